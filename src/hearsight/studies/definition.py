"""What a listening study asks: its parts, read from a preset or a YAML file of one's own."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from hearsight.errors import DataError
from hearsight.schema import Range, typed

RECORDED, MONO, SWAPPED = "Recorded", "Mono anchor", "Swapped ears"
"""What is made of the recorded ears: themselves, their mix in both ears, and left exchanged with right."""

CONSENT = (
    "You will listen to short sounds on headphones and answer questions about them. No opinion is right or wrong.",
    "Your answers and how long you listened are stored under a random number. Your name, your address, your device and "
    "the time of day are not.",
    "Taking part is voluntary. You can stop at any time by closing the page.",
    "Please take part only if you have no known hearing loss, and set a comfortable volume.",
)


@dataclass(frozen=True)
class Part:
    """One question, asked about many items.

    Attributes:
        name: in tables; unique in the study.
        page: `choice` (the best of two or more sounds), `direction` (from where an instrument is heard) or `rating`
            (each sound from 0 to 100 against the reference, ITU-R BS.1534).
        question: heading of the page; `{instrument}` stands for the source that a direction is asked of,
            `{count}` for the number of sounds to choose from.
        systems: that are compared; empty for all that there are.
        ours: the system that `compare: each` pairs with every other; None for the last one.
        compare: of a choice: `all` systems on one page, or `each` other system against `ours`.
        reference: of a choice: the recorded ears are not to be heard (`none`), are heard `first`, or `last`.
        neutral: of a choice: offer "no difference".
        answers: of a direction: `thirds` (left, centre, right) or a click on the `half-circle`.
        recorded: of a direction: ask about the recorded ears, too, by which listeners are screened.
        centre_deg: up to which angle to either side a direction is the centre; 20 degrees is the middle third of a
            picture of 120 degrees.
        picture: `none`, `still` (the middle frame) or `video`.
        items: how many clips, drawn by the study's seed; of a direction as evenly from left, centre and right as can
            be.
        per_listener: how many pages each listener gets, drawn anew for each; None for all.
        traps: of a choice with the recorded ears: pages on which these compete with themselves swapped.
        least_heard_s: how long each sound has to be heard before an answer counts, or to its end if it is shorter.
        published: the paper's shares, by its names of the systems, that the tables show beside the result.
    """

    name: str
    page: Literal["choice", "direction", "rating"]
    question: str
    systems: list[str] = field(default_factory=list)
    ours: str | None = None
    compare: Literal["all", "each"] = "all"
    reference: Literal["none", "first", "last"] = "none"
    neutral: bool = False
    answers: Literal["thirds", "half-circle"] = "thirds"
    recorded: bool = False
    centre_deg: Annotated[float, Range(above=0, below=90)] = 20.0
    picture: Literal["none", "still", "video"] = "none"
    items: Annotated[int, Range(1)] = 10
    per_listener: Annotated[int, Range(1)] | None = None
    traps: Annotated[int, Range(0)] = 0
    least_heard_s: Annotated[float, Range(0)] = 3.0
    published: dict[str, float] = field(default_factory=dict)

    @property
    def needs_recorded(self) -> bool:
        """Whether it cannot be made without the recorded ears."""
        return self.page == "rating" or self.reference != "none" or self.recorded or self.traps > 0


@dataclass(frozen=True)
class Study:
    """A listening study.

    Attributes:
        parts: one after the other.
        title: over every page.
        consent: paragraphs that the listener agrees to.
        contact: to whom answers are sent where there is no server; shown at the end.
        seed: of the drawing of items, and with a listener's own seed of the order of pages and sounds.
        seconds: longest sound; longer clips are cut.
        headphone_check: begin with tests of left and right and of opposite phase.
        practice: begin each part with a page that does not count.
    """

    parts: list[Part]
    title: str = "Listening study"
    consent: list[str] = field(default_factory=lambda: list(CONSENT))
    contact: str = ""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    seconds: Annotated[float, Range(1, 60)] = 10.0
    headphone_check: bool = True
    practice: bool = True


def preset_names() -> list[str]:
    """The presets that come with hearsight."""
    return sorted(path.name.removesuffix(".yaml") for path in _presets().iterdir() if path.name.endswith(".yaml"))


def read_study(name: str) -> Study:
    """A preset, some of its parts ("pseudobinaural:preference,direction"), or a YAML file with the keys of `Study`.

    Raises:
        DataError: there is no such preset, part or file, or a key is unknown, of the wrong type or contradicts another.
    """
    is_file = name.endswith((".yaml", ".yml"))
    preset, _, wanted = (name, "", "") if is_file else name.partition(":")
    if not is_file and preset not in preset_names():
        raise DataError(f"{preset}: no such preset; known: {', '.join(preset_names())}, or name a YAML file", "unknown")
    path: Any = Path(name) if is_file else _presets() / f"{preset}.yaml"
    try:
        study: Study = typed(Study, yaml.safe_load(path.read_text(encoding="utf-8")))
        _check(study)
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror})", "unreadable") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: is not YAML ({' '.join(str(error).split())[:200]})", "unreadable") from error
    except DataError as error:
        raise DataError(f"{name}: {error}", error.code) from error
    if not wanted:
        return study
    known = {part.name: part for part in study.parts}
    if missing := [part for part in wanted.split(",") if part not in known]:
        raise DataError(f"{preset} has no part {missing[0]!r}; it has {', '.join(known)}", "unknown")
    return dataclasses.replace(study, parts=[known[part] for part in wanted.split(",")])


def systems_of(part: Part, known: Sequence[str]) -> list[str]:
    """The systems of a part, among those that there are.

    Raises:
        DataError: one is not there, there are too few, or one has a name that is taken.
    """
    for name in (RECORDED, MONO, SWAPPED):
        if known.count(name) > (name == RECORDED):
            raise DataError(f"a system is called {name!r}, which is what is made of the recorded ears; rename it")
    wanted = part.systems or [name for name in known if name != RECORDED]
    if missing := [name for name in wanted if name not in known]:
        raise DataError(f"{part.name}: there is no system {missing[0]!r}; there are {', '.join(known)}", "unknown")
    if part.page == "choice" and len(wanted) < 2:
        raise DataError(f"{part.name}: a choice needs two systems; there is {', '.join(wanted) or 'none'}")
    if part.ours is not None and part.ours not in wanted:
        raise DataError(f"{part.name}: ours is {part.ours!r}, which is none of {', '.join(wanted)}", "unknown")
    return list(wanted)


def _check(study: Study) -> None:
    names = [part.name for part in study.parts]
    if not names or len(set(names)) < len(names):
        raise DataError("parts: there must be one, and no two of one name")
    for part in study.parts:
        if part.traps and (part.page != "choice" or (part.reference == "none" and part.picture == "none")):
            raise DataError(f"{part.name}: traps need a choice with a reference or a picture to compare with")


def _presets() -> Any:
    return files("hearsight.studies") / "presets"
