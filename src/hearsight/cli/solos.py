"""`hearsight solos`: finds the clips of a prepared set with one visible player."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar


@one_line_errors
def solos(
    folder: Annotated[
        Path, typer.Argument(help="A set written by `hearsight prepare`, with its splits.", show_default=False)
    ],
    quiet: Quiet = False,
) -> None:
    """List the solo clips of a prepared set, for separation and for pseudo pairs.

    Detects the people in five pictures of each clip; a clip with one person in most of them is a solo. For every split
    beside the clips (`splits/split1`), a split with only the solos is written (`solos/splits/split1`), for recipes and
    benchmarks.

    Example: `hearsight solos prepared/fair-play`
    """
    from hearsight.datasets.prepared import PreparedSet
    from hearsight.datasets.solos import find_solos, solo_split, splits_beside
    from hearsight.datasets.splits import write_split
    from hearsight.vision.people_detector import PeopleDetector

    prepared = PreparedSet(folder)
    splits = splits_beside(folder)
    with progress_bar("finding players", "clips", quiet) as progress:
        found = find_solos(prepared, PeopleDetector(), progress)
    for split in splits:
        write_split(folder / "solos" / split, solo_split(folder, split, found))
    if not quiet:
        print(f"{folder / 'solos'}: {len(found)} solos of {len(prepared)} clips, in {len(splits)} splits")
