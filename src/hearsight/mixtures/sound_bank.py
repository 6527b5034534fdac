"""Bank of phrases of every class of instrument, from sound fonts, recorded notes, drum kits, speech and noises.

A bank is a folder with `train/CLASS.npy` and `validation/CLASS.npy` (16-bit integers, `[phrases, samples]`), for some
classes `recordings/CLASS.npy` in each part (phrases of real recordings), and `bank.json`, with the sample rate and the
origin of each phrase. The two parts share no sound font, drum kit, speaker, recorded note or recording.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from hearsight.errors import DataError
from hearsight.files import folder_written_whole, write_json
from hearsight.mixtures.debian_packages import DRUM_FONTS, EFFECT_FONT, FONTS, require_packages
from hearsight.mixtures.instruments import DRUM_FONT, EFFECTS, VOICES, Voice
from hearsight.mixtures.phrases import compose_phrase
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.progress import Progress, no_progress
from hearsight.simulation.synthesizer import default_sound_font
from hearsight.workers import done_by_workers

RATE_HZ = 16_000
SECONDS = 10.0
PARTS = ("train", "validation")

_TRIES = 12
_ABOVE_20_HZ = butter(2, 20, "highpass", fs=RATE_HZ, output="sos")
_RECORDINGS = "recordings/"  # prefix of the class for phrases of recordings


class SoundBank:
    """One part of a bank on disk, memory-mapped.

    Args:
        folder: folder of the bank.
        part: `train` or `validation`.

    Raises:
        DataError: the folder holds no bank, or one with other classes.
    """

    def __init__(self, folder: str | os.PathLike[str], part: str = "train") -> None:
        self.folder, self.part = Path(folder), part
        if part not in PARTS:
            raise DataError(f"{part!r}: is no part of a sound bank; name one of {', '.join(PARTS)}")
        try:
            saved = json.loads((self.folder / "bank.json").read_text(encoding="utf-8"))
            self.sample_rate_hz: int = saved["sample_rate_hz"]
            self.origins: dict[str, list[str]] = saved["origins"][part]
            self._phrases = {
                name: np.load(self.folder / part / f"{name}.npy", mmap_mode="r")
                for name in dict.fromkeys([*SOUND_CLASSES, *self.origins])
            }
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{folder}: holds no whole sound bank; make one with `hearsight banks`",
                "missing",
            ) from error

    def __reduce__(self) -> tuple[type["SoundBank"], tuple[Path, str]]:
        """Reopen the bank in another process instead of copying it."""
        return SoundBank, (self.folder, self.part)

    def phrases(self, sound_class: str | int) -> NDArray[np.int16]:
        """All phrases of a class (or of its number in SOUND_CLASSES), memory-mapped; full scale is 32767. `[phrases,
        samples]`"""
        return self._phrases[SOUND_CLASSES[sound_class] if isinstance(sound_class, int) else sound_class]

    @cached_property
    def recorded_classes(self) -> list[int]:
        """Numbers of the classes for which the bank has phrases of recordings."""
        return [number for number, name in enumerate(SOUND_CLASSES) if f"{_RECORDINGS}{name}" in self._phrases]

    def draw(
        self, sound_class: str | int, samples: int, rng: np.random.Generator, recorded: bool = False
    ) -> NDArray[np.float32]:
        """A random segment of a random phrase, if possible not silent, at its stored level. `[samples]`

        A segment longer than a phrase consists of several phrases one after another.

        Args:
            recorded: use a phrase of real recordings; the class must have them (`recorded_classes`).
        """
        name = SOUND_CLASSES[sound_class] if isinstance(sound_class, int) else sound_class
        pool = self.phrases(f"{_RECORDINGS}{name}" if recorded else name)
        pieces: list[NDArray[np.float32]] = []
        left = samples
        while left > 0:
            row = pool[rng.integers(len(pool))]
            take = min(left, len(row))
            for _ in range(8):
                first = int(rng.integers(len(row) - take + 1))
                piece = row[first : first + take].astype(np.float32) / 32767
                if float(np.dot(piece, piece)) > 1e-6 * take:
                    break
            pieces.append(piece)
            left -= take
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


@dataclass(frozen=True)
class BankReport:
    """Result of writing: the folder, phrases per part and class, and number of phrases from each source."""

    folder: Path
    phrases: dict[str, dict[str, int]]
    sources: dict[str, int] = field(default_factory=dict)


def make_sound_bank(
    folder: str | os.PathLike[str],
    notes: str | os.PathLike[str] | None = None,
    recordings: str | os.PathLike[str] | None = None,
    seed: int = 0,
    fonts: Sequence[str | os.PathLike[str]] | None = None,
    validation_font: str | os.PathLike[str] | None = None,
    phrases: int = 160,
    validation_phrases: int = 20,
    packages: bool = True,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> BankReport:
    """Write a bank; the same arguments, packages and library versions give the same phrases.

    Args:
        folder: folder of the bank; an existing one is replaced when the new one is complete.
        notes: folder of recorded notes (see `recorded_notes`); None for none.
        recordings: folder of recordings of people who play (see `mixtures.recordings`); classes that have them get as
            many phrases of them in addition to the others. None for none.
        fonts: sound fonts for training; None for those of Debian's packages.
        validation_font: sound font of the validation part; None for the one in pretty_midi's wheel. It may not be among
            `fonts` unless it is the only one (for a trial).
        phrases, validation_phrases: number of phrases per class, of 10 s each.
        packages: use the speech, drum kits and noises of Debian's packages; otherwise voices are only sung and noises
            only synthesized.
        workers: number of processes; None for one per core.

    Raises:
        DependencyError: Debian packages are missing; the message names them all and the line that installs them.
        DataError: a font or folder cannot be read.
    """
    if packages or fonts is None:
        require_packages(fonts_too=fonts is None, recordings_too=packages)
    held = Path(validation_font) if validation_font is not None else default_sound_font()
    chosen = [Path(font) for font in fonts] if fonts is not None else [font.path for font in FONTS]
    if held in chosen and len(chosen) > 1:
        raise DataError(f"{held}: is the font kept for validation; leave it out of `fonts` or name another")
    folders = {name: str(given) for name, given in (("notes", notes), ("recordings", recordings)) if given is not None}
    job = _Job(_Setting(tuple(map(str, chosen)), str(held), packages, **folders))
    names = [*SOUND_CLASSES, *(f"{_RECORDINGS}{sound_class}" for sound_class in job.makers.recorded_classes)]
    tasks = []
    for part, count in zip(PARTS, (phrases, validation_phrases), strict=True):
        for number, name in enumerate(names):
            rng = np.random.default_rng([seed, PARTS.index(part), number])
            sources = job.makers.sources(part, name)
            weights = np.array(list(sources.values()))
            # shares as exact as whole numbers allow, instead of random ones
            quota = np.floor(np.cumsum(weights / weights.sum()) * count + 0.5).astype(int)
            each = np.repeat(list(sources), np.diff(quota, prepend=0))
            tasks += [
                _Task(part, name, index, str(source), int(rng.integers(2**62))) for index, source in enumerate(each)
            ]
    # those of one font and class together, so that loaded samples are reused
    tasks.sort(key=lambda task: (task.source, task.name, task.part, task.index))
    origins: dict[str, dict[str, list[str]]] = {
        part: {name: [""] * count for name in names}
        for part, count in zip(PARTS, (phrases, validation_phrases), strict=True)
    }
    used: dict[str, int] = {}
    with folder_written_whole(folder) as temporary:
        arrays = {}
        for part, count in zip(PARTS, (phrases, validation_phrases), strict=True):
            for name in names:
                file = temporary / part / f"{name}.npy"
                file.parent.mkdir(parents=True, exist_ok=True)
                arrays[part, name] = np.lib.format.open_memmap(file, "w+", np.int16, (count, round(SECONDS * RATE_HZ)))
        results = done_by_workers(job, tasks, workers or os.cpu_count() or 1)
        for done, (task, (wave, origin)) in enumerate(results, start=1):
            arrays[task.part, task.name][task.index] = wave
            origins[task.part][task.name][task.index] = origin
            used[task.source] = used.get(task.source, 0) + 1
            progress(done, len(tasks))
        for array in arrays.values():
            array.flush()
        write_json(
            temporary / "bank.json",
            {
                "sample_rate_hz": RATE_HZ, "seconds": SECONDS, "seed": seed, "classes": list(SOUND_CLASSES),
                "fonts": [path.name for path in chosen], "validation_font": held.name, "sources": used,
                "origins": origins,
            },
        )  # fmt: skip
    return BankReport(
        Path(folder),
        {part: {name: len(rows) for name, rows in phrases_of.items()} for part, phrases_of in origins.items()},
        used,
    )


@dataclass(frozen=True)
class _Setting:
    """Arguments of the makers, the same in every process."""

    fonts: tuple[str, ...]
    validation_font: str
    packages: bool
    notes: str | None = None
    recordings: str | None = None


@dataclass(frozen=True)
class _Task:
    part: str
    name: str  # name of the array: a class, with or without the prefix `_RECORDINGS`
    index: int
    source: str
    seed: int

    @property
    def sound_class(self) -> str:
        return self.name.removeprefix(_RECORDINGS)


class _Makers:
    """All makers of phrases; each loads its data on first use."""

    def __init__(self, setting: _Setting) -> None:
        from hearsight.mixtures.noises import Noises
        from hearsight.mixtures.recorded_notes import RecordedNotes
        from hearsight.mixtures.recordings import Recordings
        from hearsight.mixtures.soundfont_player import FontPlayer

        self.setting = setting
        paths = {*setting.fonts, setting.validation_font}
        if setting.packages:
            paths |= {str(package.path) for package in (*DRUM_FONTS, EFFECT_FONT)}
        self._players = {path: FontPlayer(path) for path in paths}
        self._notes = RecordedNotes(setting.notes, RATE_HZ) if setting.notes else None
        self._recordings = Recordings(setting.recordings, RATE_HZ) if setting.recordings else None
        self.recorded_classes = self._recordings.classes if self._recordings else []
        self._voices = self._kits = self._patches = None
        if setting.packages:
            from hearsight.mixtures.drum_kits import DrumKits
            from hearsight.mixtures.patches import PatchPlayer
            from hearsight.mixtures.speech import Voices

            self._patches = PatchPlayer()
            self._voices, self._kits = Voices(RATE_HZ), DrumKits(RATE_HZ)
        self._noises = Noises(RATE_HZ, self._voices, recorded=setting.packages)

    def sources(self, part: str, name: str) -> dict[str, float]:
        """Shares of the sources of an array of phrases."""
        if name.startswith(_RECORDINGS):
            return {"recordings": 1.0}
        sound_class = name
        fonts = self.setting.fonts if part == "train" else (self.setting.validation_font,)
        shares: dict[str, float] = {}
        if sound_class == "other":
            shares["synthesized"] = 5.0
            if any(self._players[font].has(voice) for font in fonts for voice in EFFECTS):
                shares["effects"] = 2.0
            if self.setting.packages:
                shares |= {"crowd": 2.0, "noises": 3.0}
            return shares
        able = [font for font in fonts if any(self._players[font].has(voice) for voice in VOICES[sound_class])]
        if not able:
            raise DataError(
                f"{', '.join(fonts)}: no instrument of the class {sound_class!r}; name a General MIDI sound font"
            )
        shares |= {f"font:{font}": 10.0 / len(able) for font in able}
        if part == "train" and self._patches is not None and any(map(self._patches.has, VOICES[sound_class])):
            shares["patches"] = 2.0
        if self._notes is not None and self._notes.instruments(part, sound_class):
            shares["notes"] = 4.0
        if sound_class == "drums" and self.setting.packages:
            shares["kits"] = 7.0
            if part == "train":
                shares |= {f"drum font:{package.path}": 1.5 for package in DRUM_FONTS}
        if sound_class == "voice":
            shares["sung"] = 2.0
            if self.setting.packages:
                shares |= {"recorded speech": 8.0, "espeak": 4.0, "flite": 2.0}
        return shares

    def make(self, task: _Task) -> tuple[NDArray[np.int16], str]:
        """Make a phrase that is not mostly silent.

        Raises:
            DataError: a source gives only silence.
        """
        for attempt in range(_TRIES):
            rng = np.random.default_rng([task.seed, attempt])
            wave, origin = self._raw(rng, task)
            # Some fonts' samples have an offset that jumps with each note.
            wave = sosfilt(_ABOVE_20_HZ, wave).astype(np.float32)
            if sounding_share(wave) >= 0.45:
                return _kept(rng, wave), origin
        raise DataError(
            f"{task.source}: gives no phrase of {task.sound_class} that can be heard; leave this source out"
        )

    def _raw(self, rng: np.random.Generator, task: _Task) -> tuple[NDArray[np.float32], str]:
        origin, _, path = task.source.partition(":")
        if origin == "font":
            return self._by_font(rng, path, VOICES[task.sound_class])
        if origin == "drum font":
            return self._by_font(rng, path, (DRUM_FONT,))
        if origin == "effects":
            fonts = (self.setting.validation_font,)
            if task.part == "train":
                fonts = (*self.setting.fonts, *((str(EFFECT_FONT.path),) if self.setting.packages else ()))
            able = [font for font in fonts if any(map(self._players[font].has, EFFECTS))]
            return self._by_font(rng, able[rng.integers(len(able))], EFFECTS)
        if origin == "patches" and self._patches is not None:
            voice = _one_of(rng, [voice for voice in VOICES[task.sound_class] if self._patches.has(voice)])
            phrase = compose_phrase(rng, voice, SECONDS)
            origin = f"freepats: {self._patches.name(voice)}, {phrase.style}"
            return self._patches.play_phrase(voice, phrase, SECONDS, RATE_HZ), origin
        if task.source == "recordings" and self._recordings is not None:
            return self._recordings.phrase(rng, task.part, task.sound_class, SECONDS)
        if task.source == "notes" and self._notes is not None:
            return self._notes.phrase(rng, task.part, task.sound_class, SECONDS)
        if task.source == "kits" and self._kits is not None:
            return self._kits.phrase(rng, task.part, SECONDS)
        if task.source == "sung":
            from hearsight.mixtures.speech import sung

            return sung(rng, SECONDS, RATE_HZ)
        makers = {"synthesized": self._noises.synthesized, "crowd": self._noises.crowd, "noises": self._noises.recorded}
        if self._voices is not None:
            makers |= {
                "recorded speech": self._voices.recorded, "espeak": self._voices.espeak, "flite": self._voices.flite,
            }  # fmt: skip
        return makers[task.source](rng, task.part, SECONDS)

    def _by_font(self, rng: np.random.Generator, font: str, voices: Sequence[Voice]) -> tuple[NDArray[np.float32], str]:
        player = self._players[font]
        voice = _one_of(rng, [voice for voice in voices if player.has(voice)])
        phrase = compose_phrase(rng, voice, SECONDS)
        # play half of the pitched phrases as on a smaller or larger instrument, for more variety from few fonts
        size = int(rng.integers(-3, 4)) if voice.manner != "drums" and rng.random() < 0.6 else 0
        name = player.presets[voice.bank, voice.program]
        origin = f"{player.sound_font.name}: {name} ({voice.bank}:{voice.program}), {phrase.style}, size {size:+d}"
        return player.play_phrase(voice, phrase, SECONDS, RATE_HZ, size), origin


def _one_of(rng: np.random.Generator, voices: Sequence[Voice]) -> Voice:
    shares = np.array([voice.share for voice in voices])
    return voices[int(rng.choice(len(voices), p=shares / shares.sum()))]


def sounding_share(wave: NDArray[np.float32]) -> float:
    """Share of blocks of 50 ms that are within 45 dB of the loudest tenth; 0 for silence."""
    size = round(0.05 * RATE_HZ)
    power = (wave[: len(wave) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    loud = float(np.quantile(power, 0.9))
    return float((power > loud * 10**-4.5).mean()) if loud > 1e-9 else 0.0


def _kept(rng: np.random.Generator, wave: NDArray[np.float32]) -> NDArray[np.int16]:
    """Scale to a random level, 32 to 16 dB below full scale where it sounds, without clipping."""
    size = round(0.05 * RATE_HZ)
    power = (wave[: len(wave) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    loud = np.sqrt(power[power >= 1e-3 * power.max()].mean())
    gain = 10 ** (rng.uniform(-32, -16) / 20) / loud
    gain = min(gain, 0.97 / float(np.abs(wave).max()))
    return np.round(wave * gain * 32767).astype(np.int16)


class _Job:
    """Makes phrases in any process. It keeps its loaded data, but does not pickle them."""

    def __init__(self, setting: _Setting) -> None:
        self.setting = setting

    def __getstate__(self) -> dict[str, _Setting]:
        return {"setting": self.setting}

    @cached_property
    def makers(self) -> _Makers:
        return _Makers(self.setting)

    def __call__(self, task: _Task) -> tuple[NDArray[np.int16], str]:
        return self.makers.make(task)
