"""`hearsight resplit`: makes splits in which no scene is in two parts."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar


@one_line_errors
def resplit(
    folder: Annotated[
        Path, typer.Argument(help="Prepared clips, a dataset in FAIR-Play's layout, or a folder of videos.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder of the lists. Default: FOLDER/scene_splits.", show_default=False),
    ] = None,
    splits: Annotated[int, typer.Option(help="Number of splits.", min=1)] = 5,
    test: Annotated[float, typer.Option(help="Share of the clips for testing.", min=0.01, max=0.5)] = 0.1,
    validation: Annotated[float, typer.Option(help="Share of the clips for validation.", min=0.01, max=0.5)] = 0.1,
    scene_distance: Annotated[
        float, typer.Option(help="Clips whose thumbnails differ by less (of 255) are one scene.", min=0)
    ] = 14.0,
    link_distance: Annotated[
        float, typer.Option(help="A clip follows another if first and last picture differ by less.", min=0)
    ] = 5.0,
    seed: Annotated[int, typer.Option(help="Seed of the choice of scenes.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Cluster clips by scene, rebuild the recordings they were cut from, and write scene-disjoint splits.

    Writes `split1/{train,val,test}.txt` and so on, and `scenes.json` with the scenes and recordings found. This is a
    set of splits of its own beside `splits`, for `--data.stereo.split scene_splits/split1`. To get the five published
    splits of PseudoBinaural, use `hearsight prepare fair-play --list five_splits`.

    Example: `hearsight resplit prepared/fair-play`
    """
    from hearsight.datasets.resplit import find_scenes, fingerprint_clips, scene_splits
    from hearsight.datasets.splits import write_split
    from hearsight.files import write_json

    with progress_bar("reading clips", "clips", quiet) as progress:
        fingerprints = fingerprint_clips(folder, progress)
    found = find_scenes(fingerprints, scene_distance, link_distance)
    lists = scene_splits(found, splits, test, validation, seed)
    target = out or folder / "scene_splits"
    target.mkdir(parents=True, exist_ok=True)
    for number, split in enumerate(lists, start=1):
        write_split(target / f"split{number}", split)
    write_json(target / "scenes.json", {"scenes": found.scenes, "recordings": found.recordings})
    if not quiet:
        sizes = ", ".join("/".join(str(len(split[part])) for part in ("train", "val", "test")) for split in lists)
        print(f"{len(fingerprints)} clips, {len(found.recordings)} recordings, {len(found.scenes)} scenes")
        print(f"{target}: {splits} splits of train/val/test clips: {sizes}")
