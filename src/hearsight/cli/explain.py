"""`hearsight explain`: video with a map that explains a model's prediction."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli import options
from hearsight.cli.errors import Quiet, one_line_errors, progress_bar


class Method(StrEnum):
    """The methods of `hearsight.explain`."""

    occlusion = "occlusion"
    activation = "activation"
    association = "association"
    attention = "attention"
    objects = "objects"


@one_line_errors
def explain(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="Any video that FFmpeg reads.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.mp4|FOLDER",
            help="The drawn video; or a folder, which gets it, stills with a bar of colours, the maps and notes.",
        ),
    ],
    model: options.Model = None,
    method: Annotated[
        Method | None,
        typer.Option(
            help="Method of explanation. Default: objects for models that place sources, occlusion for networks."
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="EARS", help="Recorded ears of the video: occlusion shows the loss against them, as in the paper."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(metavar="HZ", help="Maps per second.")] = 1.0,
    patch: Annotated[
        int | None, typer.Option(min=1, help="Side of the patch that covers, in pixels of the network's frame. [32]")
    ] = None,
    step: Annotated[
        int | None, typer.Option(min=1, help="Distance of patches; side by side if left out, finer if smaller.")
    ] = None,
    stills: Annotated[int, typer.Option(min=0, help="Number of pictures of the video written to a folder.")] = 6,
    start: options.Start = 0.0,
    duration: options.Duration = None,
    device: options.Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Draw explanation maps of a model over a video, with the model's binaural sound.

    For the default model, people and instruments are outlined, each as bright as its part of the sound is loud. For a
    network: occlusion (the change when a place is covered), activation, association and attention maps, as far as the
    network has them.

    Example: hearsight explain concert.mp4 -o concert.explained.mp4

    Example: hearsight explain concert.mp4 -o maps --model runs/apnet/model --method association
    """
    from hearsight.explain import explain as explained

    with progress_bar("explaining", "s", quiet) as progress:
        found = explained(
            video,
            output,
            model,
            method=None if method is None else method.value,
            truth=truth,
            rate_hz=rate,
            patch=patch,
            step=step,
            stills=stills,
            start_s=start,
            duration_s=duration,
            device=device,
            progress=progress,
        )
    if not quiet:
        print(f"{output}  ({found.model}, {found.method}: {found.meaning})")
        for note in found.notes:
            print(f"  note: {note}")
