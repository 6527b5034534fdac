"""Options that several commands share."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer


def pair(text: str) -> tuple[float, float]:
    """Parse two numbers separated by a comma.

    Raises:
        ValueError: the text has another form.
    """
    first, second = (float(part) for part in text.split(","))
    return first, second


def of_form(pattern: str, advice: str) -> Callable[[str | None], str | None]:
    """Make a callback that checks a text against a regular expression and raises with advice."""

    def checked(text: str | None) -> str | None:
        if text is not None and not re.fullmatch(pattern, text):
            raise typer.BadParameter(f"{text!r}: {advice}")
        return text

    return checked


def _positions(texts: list[str] | None) -> list[str] | None:
    """Check that texts are X,Y; errors are reported like Typer's own."""
    for text in texts or []:
        try:
            x, y = pair(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r}: give X,Y, two numbers from 0 to 1, as in 0.25,0.5") from None
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise typer.BadParameter(f"{text!r}: X and Y go from 0 (left, top) to 1 (right, bottom)")
    return texts


def _field_of_view(degrees: float | None) -> float | None:
    """Check that an angle is a possible field of view."""
    if degrees is not None and not 0 < degrees <= 360:
        raise typer.BadParameter(f"{degrees:g}: must be above 0 and at most 360 degrees")
    return degrees


def _model(name: str | None) -> str | None:
    """Check that a name is a model's, a path or a Hub id."""
    if name is None or os.path.exists(name) or re.fullmatch(r"[\w.-]+/[\w.-]+", name) or os.sep in name:
        return name
    from hearsight.models.registry import find_card

    if name.startswith(".") or find_card(name) is not None:
        return name
    raise typer.BadParameter(f"{name!r}: unknown; known: {', '.join(_model_names())}; or a folder or a Hub id")


def _model_names() -> list[str]:
    from hearsight.models.registry import CARDS, zoo_cards

    return [card.name for card in (*CARDS, *zoo_cards()) if card.task == "binaural"]


def _complete_model(incomplete: str) -> list[str]:
    """Completions for a shell."""
    return [name for name in _model_names() if name.startswith(incomplete)]


Model = Annotated[
    str | None,
    typer.Option(
        callback=_model,
        autocompletion=_complete_model,
        help="A name (see `hearsight models`), a folder or a Hub id; sounding-objects if left out.",
    ),
]
Positions = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="X,Y",
        callback=_positions,
        help="Place of a source: 0,0 is top left, 1,1 bottom right. Repeatable.",
    ),
]
Tracks = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help='Moving sources, in the format of --report; its list "untouched" of [from, to] in seconds keeps '
        'the input\'s own sound there, "gain_db" and "muted" of a source change its level.',
    ),
]
FieldOfView = Annotated[
    float | None,
    typer.Option(
        metavar="DEGREES",
        callback=_field_of_view,
        help="Horizontal angle that the picture covers; if not given, from the lens that the file names (as phones "
        "do), else from the picture's shape: 120 from 16:9 on, 38 for a phone held upright.",
    ),
]
Hrtf = Annotated[Path | None, typer.Option(metavar="FILE.sofa", help="SOFA file of another head than KEMAR's.")]
Start = Annotated[float, typer.Option(min=0, metavar="S", help="Begin at this second, at the key frame before it.")]
Duration = Annotated[float | None, typer.Option(min=0.001, metavar="S", help="Length to process in seconds.")]
AudioTrack = Annotated[
    str | None,
    typer.Option(metavar="N|LANGUAGE", help="Sound track by number or language; chosen by content if left out."),
]
VideoTrack = Annotated[int | None, typer.Option(min=1, metavar="N", help="Number of the picture track.")]
Salvage = Annotated[bool, typer.Option("--salvage", help="Process the existing part of a file that is cut off.")]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        callback=of_form(r"cpu|mps|cuda(:\d+)?", "use cpu, cuda, cuda:N or mps"),
        help="For networks: cpu, cuda, mps; models that place sources use the CPU.",
    ),
]


def parsed_positions(texts: list[str] | None) -> list[tuple[float, float]] | None:
    """Parsed values of the option `Positions`; None if there are none."""
    return [pair(text) for text in texts or []] or None
