"""`hearsight import-weights`: converts the authors' released checkpoints to a model folder for all commands."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors


@one_line_errors
def import_weights(
    system: Annotated[
        str, typer.Argument(help="mono2binaural, apnet, associative-conv, sep-stereo, pseudobinaural ...")
    ],
    files: Annotated[
        list[Path], typer.Argument(help="The checkpoint of each part (visual, audio, fusion), in any order.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    quiet: Quiet = False,
) -> None:
    """Convert the authors' released checkpoints to a model folder. Nothing in the files is executed.

    Example: hearsight import-weights mono2binaural visual.pth audio.pth -o mono2binaural
    """
    from hearsight.models.import_weights import import_weights as read

    imported = read(system, files)
    imported.network.save_pretrained(output)
    if quiet:
        return
    for file, part in zip(files, imported.parts, strict=True):
        print(f"{file}: {part}")
    if imported.unused:
        print(f"left out {len(imported.unused)} tensors that the released network never uses")
    print(f"wrote {output}; try: hearsight binauralize VIDEO --model {output}")
