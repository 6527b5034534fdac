"""Makes a study: draws items, equalises the loudness of sounds, and writes the files for listeners and the key."""

import base64
import hashlib
import io
import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DataError
from hearsight.evaluation.clips import sound_of
from hearsight.files import folder_written_whole, write_json
from hearsight.progress import Progress, no_progress
from hearsight.signal import resample
from hearsight.signal.loudness import integrated_loudness
from hearsight.signal.true_peak import TruePeakMeter
from hearsight.studies.answers import THIRDS
from hearsight.studies.definition import MONO, RECORDED, SWAPPED, Part, Study, systems_of
from hearsight.studies.layout import ANSWERS_FILE, PUBLIC, STUDY_FILE
from hearsight.studies.material import Clip, Material, NamedSource
from hearsight.studies.order import PublicStudy
from hearsight.studies.pictures import write_still, write_video

LOUDNESS_LUFS, CEILING_DB = -23.0, -1.0
LARGEST_DEVIATION_DB = 0.5
EDGE_FADE_S = 0.01
_LENGTHS_S = 0.05  # largest difference in length between sounds of one clip
_COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
_LATERAL_DB = 1.5


@dataclass
class _Page:
    """A page whose sounds do not have anonymous names yet."""

    clip: Clip
    systems: list[str]
    reference: bool = False
    source: NamedSource | None = None
    trap: bool = False


@dataclass(frozen=True)
class MadeStudy:
    """Result of making a study: the folder, the number of pages per listener, and notes for the user."""

    folder: Path
    pages: int
    notes: list[str]


def make_study(
    study: Study, material: Material, folder: Path, progress: Progress = no_progress, rate_hz: int | None = None
) -> MadeStudy:
    """Write a study: `public/` is for listeners, `study.json` holds the key of sounds to systems.

    All sounds have one sample rate (the lowest of all used ones, so that brightness does not identify a system), two
    channels, and one loudness: -23 LUFS (ITU-R BS.1770), or lower if the loudest peak would exceed -1 dBTP. The sounds
    of a clip may differ in length by at most 50 ms; all are cut to the shortest.

    Args:
        rate_hz: the sample rate; None for the lowest.

    Raises:
        DataError: the material lacks data that a part needs, a sound is silent or shorter than 0.4 s, or the folder
            holds answers.
        MediaError: a file cannot be read.
    """
    if (folder / ANSWERS_FILE).exists():
        raise DataError(f"{folder}: holds answers; name another folder", "occupied")
    random = Random(study.seed)
    notes: list[str] = []
    parts = [
        (part, *_pages_of(part, study, material, random, notes))
        for part in (_without_recordings(part, material, notes) for part in study.parts)
    ]
    wanted: dict[str, tuple[Clip, list[str]]] = {}
    for _, pages, practice in parts:
        for page in [*pages, *practice]:
            _, systems = wanted.setdefault(page.clip.name, (page.clip, []))
            systems += [name for name in [*page.systems, *[RECORDED] * page.reference] if name not in systems]
    sounds = _Sounds(wanted, study.seconds, rate_hz)
    total = 2 * len(wanted) + sum(part.picture != "none" for part, *_ in parts)
    for done, name in enumerate(wanted, start=1):
        sounds.measure(name)
        progress(done, total)
    ids = _Ids(study.seed)
    identity = hashlib.sha256(json.dumps([asdict(study), sorted(wanted), sounds.loudness], default=str).encode())
    public, key = _written_pages(study, identity.hexdigest()[:12], parts, ids, sounds)
    with folder_written_whole(folder) as temporary:
        place = temporary / PUBLIC
        _copy_page(place)
        for done, name in enumerate(wanted, start=len(wanted) + 1):
            sounds.write(name, place / "sounds", ids)
            progress(done, total)
        for done, (part, pages, practice) in enumerate((p for p in parts if p[0].picture != "none"), 1):
            _write_pictures(part, [*pages, *practice], place / "pictures", ids, study.seconds)
            progress(2 * len(wanted) + done, total)
        (place / "study.js").write_text(f"window.STUDY = {json.dumps(public)};\n", encoding="utf-8")
        notes += sounds.notes
        write_json(
            temporary / STUDY_FILE,
            {
                "format": 1,
                "study": asdict(study),
                "sample_rate_hz": sounds.rate_hz,
                "loudness_lufs": sounds.target,
                "largest_loudness_deviation_db": sounds.deviation_db,
                "notes": notes,
                "key": key,
                "public": public,
            },
        )
    pages_of_one = sum(_pages_of_one(part, pages) for part, pages, _ in parts)
    return MadeStudy(folder, pages_of_one, notes)


def _without_recordings(part: Part, material: Material, notes: list[str]) -> Part:
    """Remove the screening by recorded ears from a part, if no clip has recorded ears."""
    if any(clip.recorded is not None for clip in material.clips) or not (part.traps or part.recorded):
        return part
    notes.append(f"{part.name}: there are no recorded ears, so no page screens listeners by them")
    return replace(part, traps=0, recorded=False)


def _pages_of(
    part: Part, study: Study, material: Material, random: Random, notes: list[str]
) -> tuple[list[_Page], list[_Page]]:
    """Pages of a part, and its practice page if it has one."""
    systems = systems_of(part, [*material.systems, RECORDED])
    clips = [clip for clip in material.clips if all(name in clip.predictions for name in systems if name != RECORDED)]
    clips = [clip for clip in clips if clip.recorded is not None or not (part.needs_recorded or RECORDED in systems)]
    clips = [clip for clip in clips if clip.picture is not None or part.picture == "none"]
    clips = [clip for clip in clips if clip.sources or part.page != "direction"]
    if not clips:
        raise DataError(
            f"{part.name}: none of {len(material.clips)} clips has what it needs: predictions of {', '.join(systems)}"
            + ", recorded ears" * part.needs_recorded
            + f", a {part.picture} picture" * (part.picture != "none")
            + ", a named source with its direction (scenes/ or directions.csv)" * (part.page == "direction"),
            "missing",
        )
    random.shuffle(clips)
    chosen = _evenly(clips, part, random) if part.page == "direction" else [(clip, None) for clip in clips]
    rest = [clip for clip, _ in chosen[part.items :]]
    chosen = chosen[: part.items]
    if len(chosen) < part.items:
        notes.append(f"{part.name}: {len(chosen)} clips have all that it needs, of {part.items} asked for")
    pages: list[_Page] = []
    for clip, source in chosen:
        pages += _pages_of_clip(part, systems, clip, source)
    practice: list[_Page] = []
    if study.practice:
        clip, source = (rest[0], None) if rest and part.page != "direction" else chosen[-1]
        practice = _pages_of_clip(part, systems, clip, source)[-1:]
    pages += [_Page(clip, [RECORDED, SWAPPED], part.reference != "none", trap=True) for clip in _lateral(part, clips)]
    if part.traps and sum(page.trap for page in pages) < part.traps:
        notes.append(
            f"{part.name}: {sum(page.trap for page in pages)} traps of {part.traps}: in no other clip do the recorded "
            f"ears differ by {_LATERAL_DB} dB, so that their exchange is heard"
        )
    return pages, practice


def _pages_of_clip(part: Part, systems: list[str], clip: Clip, source: NamedSource | None) -> list[_Page]:
    if part.page == "rating":
        own = [name for name in systems if name != RECORDED]
        return [_Page(clip, [*own, RECORDED, MONO, SWAPPED], True)]
    if part.page == "direction":
        heard = [*systems, *[RECORDED] * (part.recorded and RECORDED not in systems)]
        return [_Page(clip, [system], source=source) for system in heard]
    reference = part.reference != "none"
    if part.compare == "all":
        return [_Page(clip, systems, reference)]
    ours = part.ours or systems[-1]
    return [_Page(clip, [ours, other], reference) for other in systems if other != ours]


def _evenly(clips: Sequence[Clip], part: Part, random: Random) -> list[tuple[Clip, NamedSource | None]]:
    """Order clips with one source each, so that left, centre and right are balanced from the first one on."""
    left = list(clips)
    chosen: list[tuple[Clip, NamedSource | None]] = []
    count: Counter[str] = Counter()
    while left:
        wanted = sorted(THIRDS, key=lambda third: count[third])
        clip, third = next((clip, third) for third in wanted for clip in left if third in _thirds(clip, part))
        source = random.choice([s for s in clip.sources if s.direction(part.centre_deg) == third])
        left.remove(clip)
        count[third] += 1
        chosen.append((clip, source))
    return chosen


def _thirds(clip: Clip, part: Part) -> set[str]:
    return {source.direction(part.centre_deg) for source in clip.sources}


def _lateral(part: Part, clips: Sequence[Clip]) -> list[Clip]:
    """Clips for a part's traps: the first ones whose ears differ in level, so that their exchange is audible."""
    found: list[Clip] = []
    for clip in clips:
        if len(found) == part.traps:
            break
        if clip.recorded is not None and abs(_side_db(sound_of(clip.recorded)[0])) >= _LATERAL_DB:
            found.append(clip)
    return found


def _side_db(ears: Float[Tensor, "2 samples"]) -> float:
    """Level of the left ear relative to the right one, in decibels."""
    left, right = (float(power) + 1e-12 for power in ears.double().square().mean(-1))
    return 10 * math.log10(left / right)


class _Ids:
    """Makes anonymous file names from the seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, *names: str) -> str:
        return hashlib.sha256("\0".join([str(self._seed), *names]).encode()).hexdigest()[:12]


class _Sounds:
    """Sounds of all clips, read twice: to find the common loudness, and to write them."""

    def __init__(self, wanted: dict[str, tuple[Clip, list[str]]], seconds: float, rate_hz: int | None) -> None:
        self._wanted, self._seconds = wanted, seconds
        files = [path for clip, systems in wanted.values() for path in _files(clip, systems)]
        self.rate_hz = rate_hz or min(sound_of(path)[1] for path in files)
        self.target, self.deviation_db = LOUDNESS_LUFS, 0.0
        self.loudness: dict[str, float] = {}
        self.side_db: dict[str, float] = {}
        self.notes: list[str] = []

    def measure(self, name: str) -> None:
        """Measure the loudness of a clip's sounds, and lower the common loudness if needed."""
        for system, ears in self._read(name).items():
            lufs = integrated_loudness(ears, self.rate_hz)
            if not math.isfinite(lufs):
                raise DataError(
                    f"{name}, {system}: is silent, or shorter than 0.4 s; nothing to listen to", "too-little"
                )
            meter = TruePeakMeter()
            meter.process(ears)
            self.loudness[f"{name}\0{system}"] = lufs
            self.target = min(self.target, CEILING_DB - (meter.peak_db - lufs))
            if system == RECORDED:
                self.side_db[name] = _side_db(ears)

    def write(self, name: str, folder: Path, ids: _Ids) -> None:
        """Write a clip's sounds as scripts, which a page opened from a file can load."""
        for system, ears in self._read(name).items():
            gain = 10 ** ((self.target - self.loudness[f"{name}\0{system}"]) / 20)
            samples = (ears * gain * _edges(ears.shape[-1], self.rate_hz) * 32767).round().clamp(-32768, 32767)
            written = samples.to(torch.int16)
            deviation = abs(integrated_loudness(written.float() / 32767, self.rate_hz) - self.target)
            self.deviation_db = max(self.deviation_db, deviation)
            if deviation > LARGEST_DEVIATION_DB:
                raise DataError(f"{name}, {system}: is {deviation:.1f} dB off the loudness of the others", "mismatch")
            file = io.BytesIO()
            soundfile.write(file, written.numpy().T, self.rate_hz, format="FLAC", subtype="PCM_16")
            key = ids(name, system)
            text = base64.b64encode(file.getvalue()).decode()
            (folder / f"{key}.js").write_text(f'STUDY_SOUND("{key}","{text}");\n', encoding="ascii")

    def _read(self, name: str) -> dict[str, Tensor]:
        clip, systems = self._wanted[name]
        recorded = self._of_file(clip.recorded) if clip.recorded is not None and set(systems) & _MADE else None
        sounds = {}
        for system in systems:
            if system in _MADE:
                assert recorded is not None
                sounds[system] = _made_of(recorded, system)
            else:
                sounds[system] = self._of_file(clip.predictions[system])
        samples = [ears.shape[-1] for ears in sounds.values()]
        if max(samples) - min(samples) > _LENGTHS_S * self.rate_hz:
            spread = ", ".join(f"{system} {n / self.rate_hz:.2f} s" for system, n in zip(sounds, samples, strict=True))
            raise DataError(f"{name}: its sounds differ in length: {spread}", "mismatch")
        return {system: ears[:, : min(samples)] for system, ears in sounds.items()}

    def _of_file(self, path: Path) -> Float[Tensor, "2 samples"]:
        ears, rate = sound_of(path)
        if len(ears) != 2:
            raise DataError(f"{path}: has {len(ears)} channel(s); two ears are needed", "mismatch")
        ears = ears[:, : round(self._seconds * rate) + rate // 10]
        return resample(ears, rate, self.rate_hz)[:, : round(self._seconds * self.rate_hz)]


_MADE = {RECORDED, MONO, SWAPPED}


def _made_of(recorded: Float[Tensor, "2 samples"], what: str) -> Float[Tensor, "2 samples"]:
    if what == MONO:
        return recorded.mean(0, keepdim=True).repeat(2, 1)
    return recorded.flip(0) if what == SWAPPED else recorded


def _files(clip: Clip, systems: Iterable[str]) -> list[Path]:
    files = [clip.recorded if system in _MADE else clip.predictions[system] for system in systems]
    return [path for path in files if path is not None]


def _edges(samples: int, rate_hz: int) -> Float[Tensor, "samples"]:
    """Gain with fades at both ends, so that a loop does not click."""
    fade = min(samples // 2, round(EDGE_FADE_S * rate_hz))
    gain = torch.ones(samples)
    ramp = torch.from_numpy(np.sin(np.linspace(0, np.pi / 2, fade + 1)[1:]) ** 2).float()
    gain[:fade] = ramp
    gain[samples - fade :] = ramp.flip(0)
    return gain


def _written_pages(
    study: Study,
    identity: str,
    parts: Sequence[tuple[Part, list[_Page], list[_Page]]],
    ids: _Ids,
    sounds: _Sounds,
) -> tuple[PublicStudy, dict[str, Any]]:
    """Data for the page, and the key that the page does not get."""
    key: dict[str, Any] = {}
    public_parts = []
    for part, pages, practice in parts:
        written = []
        for page in [*practice, *pages]:
            is_practice = any(page is other for other in practice)
            what = [part.name, page.clip.name, *page.systems, *["trap"] * page.trap, *["practice"] * is_practice]
            what += [page.source.label] if page.source is not None else []
            identifier = ids("page", *what)
            heard = [ids(page.clip.name, system) for system in page.systems]
            count = _COUNTS.get(len(heard), str(len(heard)))
            label = page.source.label if page.source is not None else ""
            written.append(
                {
                    "id": identifier,
                    "question": part.question.replace("{instrument}", label).replace("{count}", count),
                    "sounds": sorted(heard),
                    "reference": ids(page.clip.name, RECORDED) if page.reference else None,
                    "picture": None if part.picture == "none" else _picture_name(part, page.clip, ids),
                    "always": page.trap,
                }
            )
            key[identifier] = {
                "part": part.name,
                "clip": page.clip.name,
                "systems": dict(zip(heard, page.systems, strict=True)),
                "trap": page.trap,
                "practice": is_practice,
                "side_db": sounds.side_db.get(page.clip.name),
            }
            if page.source is not None:
                key[identifier] |= {
                    "instrument": page.source.label,
                    "azimuth_deg": page.source.azimuth_deg,
                    "direction": page.source.direction(part.centre_deg),
                }
        public_parts.append(
            {
                "name": part.name,
                "page": part.page,
                "reference": part.reference if part.page == "choice" else "first" if part.page == "rating" else "none",
                "neutral": part.neutral,
                "answers": part.answers,
                "least_heard_s": part.least_heard_s,
                "per_listener": len(written) if part.per_listener is None else part.per_listener,
                "practice": written[0] if practice else None,
                "pages": written[len(practice) :],
            }
        )
    public = {
        "id": identity,
        "title": study.title,
        "consent": study.consent,
        "contact": study.contact,
        "seed": study.seed,
        "headphone_check": study.headphone_check,
        "parts": public_parts,
    }
    return public, key


def _pages_of_one(part: Part, pages: list[_Page]) -> int:
    traps = sum(page.trap for page in pages)
    free = len(pages) - traps
    return traps + (free if part.per_listener is None else min(free, part.per_listener))


def _picture_name(part: Part, clip: Clip, ids: _Ids) -> str:
    return f"pictures/{ids('picture', part.picture, clip.name)}.{'mp4' if part.picture == 'video' else 'jpg'}"


def _write_pictures(part: Part, pages: list[_Page], folder: Path, ids: _Ids, seconds: float) -> None:
    for clip in {page.clip.name: page.clip for page in pages}.values():
        assert clip.picture is not None
        path = folder.parent / _picture_name(part, clip, ids)
        if not path.exists():
            (write_video if part.picture == "video" else write_still)(clip.picture, path, seconds)


def _copy_page(place: Path) -> None:
    with as_file(files("hearsight.studies") / "page") as source:
        shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__", "__init__.py"))
    for name in ("sounds", "pictures"):
        (place / name).mkdir()
