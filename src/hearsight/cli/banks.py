"""`hearsight banks`: sounds and rooms for training the default model's sound classifier."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar


@one_line_errors
def banks(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder that gets sound/ and rooms/; made if it is missing.")
    ],
    notes: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of recorded notes to add, INSTRUMENT/*.mp3.")
    ] = None,
    recordings: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of recordings of players to add, INSTRUMENT/*.ogg.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    phrases: Annotated[int, typer.Option(min=1, help="Phrases of 10 s per class, for training.")] = 160,
    rooms: Annotated[int, typer.Option(min=1, help="Rooms, with 5 sources each.")] = 160,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core if not given.")] = None,
    quiet: Quiet = False,
) -> None:
    """Make the banks of sounds and rooms for training (`hearsight train hearsight/sounding-objects`).

    Sounds come from sound fonts, drum kits, speech and noises of Debian packages. If packages are missing, the error
    names them and the line that installs them.

    Example: hearsight banks banks --phrases 500
    """
    from hearsight.files import make_folder
    from hearsight.mixtures.rooms import make_room_bank
    from hearsight.mixtures.sound_bank import make_sound_bank

    make_folder(folder)
    with progress_bar("making sounds", "", quiet) as progress:
        report = make_sound_bank(
            folder / "sound",
            notes,
            recordings,
            seed,
            phrases=phrases,
            validation_phrases=max(1, phrases // 8),
            workers=workers,
            progress=progress,
        )
    with progress_bar("making rooms", "rooms", quiet) as progress:
        bank = make_room_bank(folder / "rooms", seed, rooms=rooms, workers=workers, progress=progress)
    if not quiet:
        count = sum(sum(classes.values()) for classes in report.phrases.values())
        print(f"{count} phrases in {report.folder}, {len(bank.sources)} room responses in {bank.folder}")
