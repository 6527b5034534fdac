"""Stems of a clip's sound as files in a folder: one per source and the rest, with the positions of the sources."""

import csv
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DataError, MediaError
from hearsight.files import write_json, written_whole
from hearsight.inference.input_sound import SampleQueue
from hearsight.inference.report import rounded
from hearsight.models.interface import ClipInfo
from hearsight.progress import Progress
from hearsight.vision.tracks import Source, TrackPoint

TRACKS = "tracks.json"
TABLES = (TRACKS, "tracks.csv")
REST = "rest"
MONO = "the mono mix"  # key of the sum of all parts
_BLOCK = 1 << 16
_LONGEST_NAME = 80
_LARGEST_WAV = (1 << 32) - (1 << 16)  # bytes


@dataclass(frozen=True)
class Stem:
    """The sound of one source, or the rest.

    Attributes:
        name: name of its file, without suffix.
        path: a WAV file of one channel, 32-bit floating point.
        source: the source with its track; None for the rest.
    """

    name: str
    path: Path
    source: Source | None


@dataclass
class Stems:
    """The sound of a clip in stems that add up to its mono mix; the result of `hearsight.separate`.

    Attributes:
        folder: folder of the files.
        input: path of the clip.
        model: name of the model that separated it.
        sample_rate_hz, samples: sample rate and length of each stem.
        stems: stems of the sources, the loudest first, then the rest.
        start_s: start of the separated part in the clip; times of sources count from the clip's beginning.
        is_given: whether the positions were given, not found.
        louder_db: loudness of the input, as a player plays it, above that of its mono mix.
        notes: plain sentences about weaknesses, assumptions and omissions.
        frame_rate_hz: frame rate of the clip's picture; None without one.
    """

    folder: Path
    input: str
    model: str
    sample_rate_hz: int
    samples: int
    stems: list[Stem]
    start_s: float = 0.0
    is_given: bool = False
    louder_db: float = 0.0
    notes: list[str] = field(default_factory=list)
    frame_rate_hz: float | None = None

    @property
    def names(self) -> list[str]:
        """Names of the stems; the last one is "rest"."""
        return [stem.name for stem in self.stems]

    @property
    def sources(self) -> list[Source]:
        """Sources of all stems but the last, with their tracks."""
        return [stem.source for stem in self.stems if stem.source is not None]

    @property
    def duration_s(self) -> float:
        """Duration of each stem."""
        return self.samples / self.sample_rate_hz

    def sound(self, name: str, start_s: float = 0.0, duration_s: float | None = None) -> Float[np.ndarray, "samples"]:
        """Read a stem, or a part of it.

        Args:
            name: one of `names`.
            start_s, duration_s: the part, from the stem's first sample; None: to the end.

        Raises:
            DataError: no such stem.
        """
        begin = round(start_s * self.sample_rate_hz)
        end = self.samples if duration_s is None else min(self.samples, begin + round(duration_s * self.sample_rate_hz))
        return self._read(self._called(name), begin, max(0, end - begin))

    def blocks(self, block_samples: int = _BLOCK) -> Iterator[Float[np.ndarray, "stems samples"]]:
        """Yield all stems, block by block, the rest last."""
        for begin in range(0, self.samples, block_samples):
            samples = min(block_samples, self.samples - begin)
            yield np.stack([self._read(stem, begin, samples) for stem in self.stems])

    def at(self, begin: int, samples: int) -> Float[np.ndarray, "stems samples"]:
        """Read samples of all stems; zeros beyond the end."""
        there = max(0, min(samples, self.samples - begin))
        found = np.zeros((len(self.stems), samples), np.float32)
        for row, stem in zip(found, self.stems, strict=True):
            row[:there] = self._read(stem, begin, there)
        return found

    def moved(self, folder: Path) -> "Stems":
        """Return the stems with the new path of their folder."""
        there = [replace(stem, path=folder / stem.path.name) for stem in self.stems]
        return replace(self, folder=folder, stems=there)

    def _called(self, name: str) -> Stem:
        found = next((stem for stem in self.stems if stem.name == name), None)
        if found is None:
            raise DataError(f"there is no stem {name!r}; there are {', '.join(self.names)}", "unknown")
        return found

    def _read(self, stem: Stem, begin: int, samples: int) -> Float[np.ndarray, "samples"]:
        if samples == 0:
            return np.zeros(0, np.float32)
        try:
            with soundfile.SoundFile(stem.path) as file:
                file.seek(begin)
                read = file.read(samples, dtype="float32")
        except (soundfile.LibsndfileError, OSError) as error:
            raise MediaError(f"{stem.path}: cannot be read ({error})", "unreadable") from error
        if read.shape != (samples,):
            raise MediaError(f"{stem.path}: is no sound of one channel and {self.samples} samples", "unreadable")
        return np.asarray(read)

    def write_tables(self) -> None:
        """Write `tracks.json` and `tracks.csv` beside the stems."""
        sources = [
            {
                "label": source.label,
                "file": stem.path.name,
                "gain_db": 0.0,
                "muted": False,
                **rounded(source.as_json(), 0.0),
            }
            for stem, source in zip(self.stems, self.sources, strict=False)
        ]
        described = {
            "input": self.input,
            "model": self.model,
            "sample_rate_hz": self.sample_rate_hz,
            "samples": self.samples,
            "start_s": self.start_s,
            "is_given": self.is_given,
            "louder_db": rounded(self.louder_db, 0.0),
            "notes": self.notes,
            "frame_rate_hz": self.frame_rate_hz,
            "sources": sources,
            "rest": {"file": self.stems[-1].path.name, "gain_db": 0.0, "muted": False},
        }
        write_json(self.folder / TRACKS, described)
        with written_whole(self.folder / "tracks.csv") as path, open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["source", *(each.name for each in fields(TrackPoint))])
            for name, source in zip(self.names, self.sources, strict=False):
                table.writerows([name, *rounded(list(asdict(point).values()), 0.0)] for point in source.track)


def open_stems(folder: str | os.PathLike[str]) -> Stems:
    """Open the stems that `separate` wrote into a folder.

    Raises:
        DataError: there are none, or their `tracks.json` is damaged.
    """
    folder = Path(folder)
    try:
        described = json.loads((folder / TRACKS).read_text(encoding="utf-8-sig"))
        stems = [
            Stem(Path(each["file"]).stem, folder / Path(each["file"]).name, _source(each))
            for each in described["sources"]
        ]
        stems.append(Stem(REST, folder / Path(described["rest"]["file"]).name, None))
        return Stems(
            folder,
            str(described["input"]),
            str(described["model"]),
            int(described["sample_rate_hz"]),
            int(described["samples"]),
            stems,
            float(described["start_s"]),
            bool(described["is_given"]),
            float(described["louder_db"]),
            list(described["notes"]),
            described["frame_rate_hz"],
        )
    except OSError as error:
        raise DataError(
            f"{folder}: holds no stems ({error.strerror or error}); make them by hearsight separate", "missing"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder / TRACKS}: is no list of stems as hearsight separate writes it ({error!r})", "unreadable"
        ) from error


def _source(each: dict[str, Any]) -> Source:
    return Source(str(each["label"]), float(each["energy_share"]), [TrackPoint(**point) for point in each["track"]])


class PartFiles:
    """Sounds on disk by name, written block by block in any order; gaps are zeros.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[str, Path] = {}

    def write(self, key: str, begin: int, block: Float[np.ndarray, "samples"]) -> None:
        """Write samples at a position."""
        is_new = key not in self._paths
        path = self._paths.setdefault(key, self._folder / f"{len(self._paths)}.f32")
        with open(path, "wb" if is_new else "r+b") as file:
            file.seek(4 * begin)
            file.write(np.ascontiguousarray(block, "<f4").tobytes())

    def take(
        self,
        walked: Iterable[tuple[int, int, Mapping[str, Float[Tensor, "samples"]]]],
        mono: SampleQueue,
        clip: ClipInfo,
        progress: Progress,
    ) -> int:
        """Write parts as they are finished, and their mono sound; return the number of samples.

        Args:
            walked: output of `walk_parts`.
            mono: queue of the mono sound that was processed.
        """
        samples = 0
        for begin, count, found in walked:
            progress(begin / clip.sample_rate_hz, clip.duration_s)
            self.write(MONO, begin, mono.take(count).numpy())
            for key, part in found.items():
                self.write(key, begin, part.numpy())
            samples = begin + count
        if not samples:
            raise MediaError("the sound is empty", "no-sound")
        return samples

    def read(self, keys: Sequence[str], begin: int, samples: int) -> Float[np.ndarray, "samples"]:
        """Sum of some of the sounds; keys that were never written count as zeros."""
        total = np.zeros(samples)
        for key in keys:
            path = self._paths.get(key)
            if path is not None and path.stat().st_size > 4 * begin:
                read: np.ndarray = np.fromfile(path, "<f4", samples, offset=4 * begin)
                total[: len(read)] += read
        return total


@contextmanager
def parts_in(folder: Path) -> Iterator[PartFiles]:
    """Context with temporary part files in a folder, which are removed when it ends."""
    scratch = folder / ".parts"
    scratch.mkdir()
    try:
        yield PartFiles(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_stems(parts: PartFiles, mono: str, sources: Sequence[tuple[Source, tuple[str, ...]]], stems: Stems) -> None:
    """Write a stem for each source, the sum of its parts, and the difference from the mono sound as the rest.

    The rest is computed from the rounded stems, so that the files add up to the mono sound as exactly as 32 bits allow.

    Args:
        parts: all sounds.
        mono: key of the mono sound.
        sources: sources with the keys of their parts.
        stems: receives the stems.
    """
    names = file_names([source.label for source, _ in sources])
    stems.stems = [
        Stem(name, stems.folder / f"{name}.wav", source) for name, (source, _) in zip(names, sources, strict=True)
    ]
    stems.stems.append(Stem(REST, stems.folder / f"{REST}.wav", None))
    form = "RF64" if 4 * stems.samples > _LARGEST_WAV else "WAV"
    files: list[soundfile.SoundFile] = []
    try:
        for stem in stems.stems:
            files.append(soundfile.SoundFile(stem.path, "w", stems.sample_rate_hz, 1, "FLOAT", format=form))
        for begin in range(0, stems.samples, _BLOCK):
            samples = min(_BLOCK, stems.samples - begin)
            rest = parts.read([mono], begin, samples)
            for file, (_, keys) in zip(files, sources, strict=False):
                stem_block = parts.read(keys, begin, samples).astype(np.float32)
                rest -= stem_block
                file.write(stem_block)
            files[-1].write(rest.astype(np.float32))
    except soundfile.LibsndfileError as error:
        raise MediaError(
            f"{stems.folder}: stems cannot be written ({error.error_string}); is the disk full?", "unwritable"
        ) from error
    finally:
        for file in files:
            file.close()


def file_names(labels: Sequence[str]) -> list[str]:
    """Make file names from labels of sources: no characters that file systems refuse, no two alike."""
    plain = []
    for label in labels:
        name = re.sub(r'[\x00-\x1f/\\:*?"<>|]+', " ", label).strip(" .")
        name = name.encode("utf-8", "replace")[:_LONGEST_NAME].decode("utf-8", "ignore").strip(" .") or "source"
        plain.append(f"{name} (source)" if name.lower() in (REST, "tracks", "mix") else name)
    same = [name.lower() for name in plain]
    taken: set[str] = {name for name in same if same.count(name) == 1}
    names = []
    for name, key in zip(plain, same, strict=True):
        if same.count(key) > 1:
            number = next(n for n in range(1, len(same) + len(taken) + 1) if f"{key} {n}" not in taken)
            name = f"{name} {number}"
            taken.add(name.lower())
        names.append(name)
    return names
