"""Data for training and measuring a table: the user's datasets, or simulated worlds in their place."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from hearsight.datasets.catalog import DATASETS, prepare_dataset
from hearsight.datasets.prepared import INDEX_FILE, PreparedSettings
from hearsight.errors import DataError
from hearsight.progress import Progress
from hearsight.pseudo import prepare_mono_clips
from hearsight.pseudo.simulated_solos import empty_pictures, solo_clips
from hearsight.simulation import Settings, simulate

PARTS = ("stereo", "solo", "pseudo", "test")
PSEUDO = "-pseudo"
_CLIPS_FILE = "clips.json"
_BACKGROUNDS = "backgrounds"

STANDS_FOR = {"fair-play": "rooms", "music": "solos", "music-stereo": "other-rooms", "youtube-asmr": "near"}
"""Simulated world that replaces each dataset."""

_ROOMS = Settings(performers=(1, 2), reverberation_s=(0.15, 0.25), distance_m=(0.5, 1.0), still_camera=True)
WORLDS = {
    "rooms": replace(_ROOMS, seed=1),
    "solos": replace(_ROOMS, seed=2, performers=(1, 1)),
    "other-rooms": replace(_ROOMS, seed=3, reverberation_s=(0.2, 0.35), distance_m=(1.0, 2.0)),
    "near": replace(_ROOMS, seed=4, performers=(1, 1), distance_m=(0.5, 0.6)),
}
"""Settings of the simulated worlds: dry rooms, players near the listener, a camera that stands still.

docs/how-to/reproduce.md says how much gain this leaves. `solos` has one player per clip, `other-rooms` is more
reverberant and farther away, `near` is as in ASMR.
"""

SMALL = {"seconds": 2.0, "width": 240, "height": 120, "frame_rate_hz": 1}
SMALL_CLIPS, FULL_CLIPS = 480, 2000


class Bars(Protocol):
    """Makes progress bars: a label and a unit to a context that gives a progress callback."""

    def __call__(self, label: str, unit: str) -> AbstractContextManager[Progress]: ...


@dataclass(frozen=True)
class DataSources:
    """Sources of the data of each recipe.

    Attributes:
        out: folder whose subfolder `data` gets the generated data.
        given: datasets by name (`fair-play`, `fair-play-pseudo`): a download, or the output of `hearsight prepare`.
        small: use short clips and small pictures, for the small profile.
        clips: number of clips of a simulated world; None for 480 (small) or 2,000.
    """

    out: Path
    given: Mapping[str, Path] = field(default_factory=dict)
    small: bool = False
    clips: int | None = None

    @property
    def simulated(self) -> bool:
        """Whether simulated worlds replace the datasets, because no dataset is given."""
        return not self.given

    @property
    def world_clips(self) -> int:
        """Number of clips of each simulated world."""
        return self.clips or (SMALL_CLIPS if self.small else FULL_CLIPS)

    def names(self, data: Mapping[str, Any]) -> dict[str, str] | None:
        """Dataset or world of each part of a recipe's data; None if one of them is not available."""
        names = {}
        for part in PARTS:
            if not (content := data.get(part)):
                continue
            name = Path(content["folder"]).name
            if self.simulated:
                alone = content.get("task") == "separation" or str(content.get("split")).startswith("solos/")
                world = "solos" if alone else STANDS_FOR.get(name.removesuffix(PSEUDO))
                name = f"{world}{PSEUDO}" if world and name.endswith(PSEUDO) else world or ""
            elif name not in self.given:
                return None
            names[part] = name
        return names if all(names.values()) else None

    def places(self, data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
        """Recipe overrides with the folders and splits of its parts."""
        overrides = {}
        for part, name in names.items():
            split = str(data[part].get("split"))
            if self.simulated:
                split = f"{'../' + name.removesuffix(PSEUDO) + '/' if part == 'pseudo' else ''}splits/{{split}}"
                if part == "pseudo":
                    overrides["data.pseudo.backgrounds"] = json.dumps(str(self.folder(name) / _BACKGROUNDS))
            overrides[f"data.{part}.folder"] = json.dumps(str(self.folder(name)))
            overrides[f"data.{part}.split"] = json.dumps(split)
        return overrides

    def folder(self, name: str) -> Path:
        """Folder of a dataset or world in its prepared form."""
        given = self.given.get(name)
        ready = given is not None and ((given / INDEX_FILE).is_file() or (given / _CLIPS_FILE).is_file())
        return given.resolve() if given is not None and ready else self.out.resolve() / "data" / name

    def settings(self, world: str) -> Settings:
        """Simulation settings of a world."""
        return replace(WORLDS[world], **SMALL) if self.small else WORLDS[world]  # type: ignore[arg-type]

    def make(self, names: Iterable[str], bars: Bars) -> None:
        """Simulate or prepare missing data, and complete what an earlier run began.

        Raises:
            DataError, DependencyError, HearsightError: as in `simulate`, `prepare_dataset` and `prepare_mono_clips`.
        """
        for name in sorted(set(names), key=lambda one: one.endswith(PSEUDO)):
            folder, given = self.folder(name), self.given.get(name)
            if given is not None and folder == given.resolve():
                continue
            if given is not None:
                _prepare_given(name, given, folder, bars)
            elif name.endswith(PSEUDO):
                self._make_pseudo(name, folder, bars)
            else:
                self._make_world(name, folder, bars)

    def _drawn(self, world: str) -> Path:
        return self.out / "data" / "simulated" / world

    def _make_world(self, world: str, folder: Path, bars: Bars) -> None:
        settings, cores = self.settings(world), os.cpu_count() or 1
        with bars(f"simulating {world}", "clips") as progress:
            simulate(self._drawn(world), self.world_clips, settings, cores, progress=progress)
        prepared = PreparedSettings(
            frame_rate_hz=settings.frame_rate_hz, frame_size=(settings.height, settings.width), jpeg_quality=95
        )
        with bars(f"preparing {world}", "clips") as progress:
            prepare_dataset("simulated", self._drawn(world), folder, settings=prepared, progress=progress)

    def _make_pseudo(self, name: str, folder: Path, bars: Bars) -> None:
        drawn = self._drawn(name.removesuffix(PSEUDO))
        with bars(f"preparing {name}", "clips") as progress:
            prepare_mono_clips(solo_clips(drawn), folder, None, progress=progress)
        empty_pictures(drawn, folder / _BACKGROUNDS)


def _prepare_given(name: str, given: Path, folder: Path, bars: Bars) -> None:
    if name not in DATASETS:
        raise DataError(
            f"{given}: {name} must be prepared already (clips for pseudo pairs: hearsight pseudo --prepared); "
            f"downloads are taken of {', '.join(DATASETS)}"
        )
    lists = [str(given / "five_splits")] if (given / "five_splits").is_dir() else []
    with bars(f"preparing {name}", "recordings") as progress:
        prepare_dataset(name, given, folder, lists, progress=progress)
