"""Definition of a listening study: its parts, read from a preset or the user's YAML file."""

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
"""Sounds made from the recorded ears: the ears themselves, their mix in both ears, and left and right exchanged."""

CONSENT = (
    "You will listen to short sounds on headphones and answer questions about them. No opinion is right or wrong.",
    "Your answers and how long you listened are stored under a random number. Your name, your address, your device and "
    "the time of day are not.",
    "Taking part is voluntary. You can stop at any time by closing the page.",
    "Please take part only if you have no known hearing loss, and set a comfortable volume.",
)


@dataclass(frozen=True)
class Part:
    """One question, asked about several items.

    Attributes:
        name: name in tables; unique in the study.
        page: `choice` (the best of two or more sounds), `direction` (the direction of an instrument) or `rating` (each
            sound from 0 to 100 against the reference, ITU-R BS.1534).
        question: heading of the page; `{instrument}` is replaced by the source of a direction, `{count}` by the number
            of sounds to choose from.
        systems: systems to compare; empty for all available ones.
        ours: the system that `compare: each` pairs with every other; None for the last one.
        compare: for a choice: `all` systems on one page, or `each` other system against `ours`.
        reference: for a choice: position of the recorded ears as a reference: `none`, `first`, or `last`.
        neutral: for a choice: offer "no difference".
        answers: for a direction: `thirds` (left, centre, right) or a click on the `half-circle`.
        recorded: for a direction: also ask about the recorded ears, to screen listeners.
        centre_deg: largest angle to either side at which a direction is the centre; 20 degrees is the middle third of a
            picture of 120 degrees.
        picture: `none`, `still` (the middle frame) or `video`.
        items: number of clips, drawn with the study's seed; for a direction balanced over left, centre and right.
        per_listener: number of pages for each listener, drawn anew for each; None for all.
        traps: for a choice with the recorded ears: number of pages with the recorded ears against themselves swapped.
        least_heard_s: seconds of each sound to hear before an answer counts, or the whole sound if it is shorter.
        published: the paper's shares, by its names of the systems, to show beside the result in tables.
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
        """Whether it needs the recorded ears."""
        return self.page == "rating" or self.reference != "none" or self.recorded or self.traps > 0


@dataclass(frozen=True)
class Study:
    """Listening study.

    Attributes:
        parts: parts of the study, in order.
        title: title of every page.
        consent: paragraphs that the listener agrees to.
        contact: recipient of the answers if there is no server; shown at the end.
        seed: seed of the choice of items and, with a listener's own seed, of the order of pages and sounds.
        seconds: duration of the longest sound; longer clips are cut.
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
    """Names of the packaged presets."""
    return sorted(path.name.removesuffix(".yaml") for path in _presets().iterdir() if path.name.endswith(".yaml"))


def read_study(name: str) -> Study:
    """Read a preset, some of its parts ("pseudobinaural:preference,direction"), or a YAML file with the keys of
    `Study`.

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
    """Systems of a part, from the available ones.

    Raises:
        DataError: a system is not available, there are too few, or one has a reserved name.
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
