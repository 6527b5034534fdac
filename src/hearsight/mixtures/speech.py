"""Voices: recorded announcements and syllables, speech synthesizers in many languages, and sung vowels.

Recorded: the prompts of Debian's asterisk-core-sounds (five speakers in five languages, CC BY-SA 3.0) and the letters
and syllables of klettres-data (many speakers, GPL-2+). Synthesized: eSpeak NG (GPL-3+, formants) and Flite (CMU's
licence, from recorded speakers).
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from hearsight.errors import DependencyError
from hearsight.mixtures.sound_clips import faded, lay, levelled, read_clip, transposed

Wave = NDArray[np.float32]

PROMPTS = Path("/usr/share/asterisk/sounds")
PROMPT_SUFFIX = ".g722"
SYLLABLES = Path("/usr/share/klettres")

_LANGUAGES = (
    "en-us", "en-gb", "en-gb-scotland", "de", "fr-fr", "es", "es-419", "it", "pt", "pt-br", "nl", "sv", "da", "nb",
    "fi", "pl", "cs", "sk", "hu", "ro", "el", "ru", "uk", "tr", "ar", "fa", "hi", "ta", "id", "vi", "ko", "cmn", "ja",
    "eo", "la", "sw", "ca", "hr", "lt", "lv",
)  # fmt: skip
_VARIANTS = (
    "", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+m8", "+f1", "+f2", "+f3", "+f4", "+f5", "+klatt", "+klatt2",
    "+klatt3", "+linda", "+steph", "+belinda", "+pablo", "+rob", "+adam", "+grandma", "+grandpa", "+whisper",
)  # fmt: skip
_FLITE = ("kal16", "awb", "rms", "slt")
_WORDS = (
    "river", "morning", "seven", "window", "garden", "under", "yellow", "carry",
    "thunder", "seldom", "orange", "because", "people", "never", "island", "about",
    "mountain", "question", "always", "letter", "brother", "distant", "summer", "paper",
    "travel", "across", "music", "follow", "silver", "little", "harbour", "number",
    "children", "station", "remember", "evening", "winter", "between", "another", "picture",
    "country", "begin", "story", "water",
)  # fmt: skip


class Voices:
    """Phrases of people's voices.

    Raises:
        DependencyError: a program or folder of the voices is missing.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.rate = sample_rate_hz
        speakers = sorted(path for path in PROMPTS.glob("*_*_*_*") if path.is_dir())  # language, country, sex, name
        self._prompts = {
            path.name: sorted(
                clip
                for clip in path.rglob(f"*{PROMPT_SUFFIX}")
                if "silence" not in clip.parts and "beep" not in clip.stem and clip.stat().st_size > 3000
            )
            for path in speakers
        }
        self._prompts = {name: clips for name, clips in self._prompts.items() if clips}
        self._syllables = {
            path.name: sorted(path.rglob("*.ogg")) for path in sorted(SYLLABLES.glob("*")) if path.is_dir()
        }
        self._syllables = {name: clips for name, clips in self._syllables.items() if len(clips) > 20}
        if not self._prompts or not self._syllables:
            raise DependencyError(f"recorded speech is missing in {PROMPTS} or {SYLLABLES}", "missing")

    def recorded(self, rng: np.random.Generator, part: str, seconds: float) -> tuple[Wave, str]:
        """Announcements of one speaker, or syllables of one language, one after another.

        The last speaker and the last language are kept for validation.
        """
        pool = self._prompts if rng.random() < 0.75 else self._syllables
        names = sorted(pool)
        names = names[-1:] if part == "validation" else names[:-1]
        name = names[rng.integers(len(names))]
        # a change of speed makes further voices from few speakers
        shift = float(rng.uniform(-3, 3)) if rng.random() < 0.6 else 0.0
        gap = float(rng.choice([0.05, 0.25, 0.6]))
        sound = np.zeros(round(seconds * self.rate), np.float32)
        at = round(rng.uniform(0, 0.4) * self.rate)
        while at < len(sound):
            clip = pool[name][rng.integers(len(pool[name]))]
            wave = faded(transposed(levelled(read_clip(clip, self.rate)), shift), 80, 160)
            lay(sound, wave, at)
            at += len(wave) + round(float(rng.uniform(0.5, 1.5)) * gap * self.rate)
        return sound, f"recorded speech: {name}"

    def espeak(self, rng: np.random.Generator, part: str, seconds: float) -> tuple[Wave, str]:
        """Random words and numbers spoken by eSpeak NG in one of many languages and voices."""
        languages = [name for index, name in enumerate(_LANGUAGES) if (index % 10 == 9) == (part == "validation")]
        name = languages[rng.integers(len(languages))] + _VARIANTS[rng.integers(len(_VARIANTS))]
        text = self._text(rng, name.startswith("en"))
        speed, pitch = int(rng.integers(110, 240)), int(rng.integers(10, 90))
        return self._spoken(
            ["espeak-ng", "-v", name, "-s", str(speed), "-p", str(pitch), "-w", "{file}", text],
            seconds,
            f"eSpeak NG: {name}",
        )

    def flite(self, rng: np.random.Generator, part: str, seconds: float) -> tuple[Wave, str]:
        """Words and numbers spoken by Flite in English; the voice `rms` is kept for validation."""
        voices = [voice for voice in _FLITE if (voice == "rms") == (part == "validation")]
        name = voices[rng.integers(len(voices))]
        stretch = f"duration_stretch={rng.uniform(0.8, 1.3):.2f}"
        return self._spoken(
            ["flite", "-voice", name, "--setf", stretch, "-t", self._text(rng, True), "-o", "{file}"],
            seconds,
            f"Flite: {name}",
        )

    def _text(self, rng: np.random.Generator, english: bool) -> str:
        words: list[str] = []
        for _ in range(int(rng.integers(14, 30))):
            if english and rng.random() < 0.85:
                words.append(str(_WORDS[rng.integers(len(_WORDS))]))
            else:
                words.append(str(int(10 ** rng.uniform(0, 3.6))))
            if rng.random() < 0.15:
                words[-1] += str(rng.choice([",", ".", "?"]))
        return " ".join(words)

    def _spoken(self, command: list[str], seconds: float, origin: str) -> tuple[Wave, str]:
        sound = np.zeros(round(seconds * self.rate), np.float32)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "speech.wav"
            filled = [part.replace("{file}", str(file)) for part in command]
            try:
                done = subprocess.run(filled, capture_output=True, timeout=60, check=False)
            except FileNotFoundError as error:
                raise DependencyError(f"{command[0]} is not installed", "missing") from error
            if done.returncode != 0 or not file.is_file():
                raise DependencyError(
                    f"{command[0]} failed on {origin}: {done.stderr.decode(errors='replace').strip()}"
                )
            lay(sound, levelled(read_clip.__wrapped__(file, self.rate)), round(0.1 * self.rate))
        return sound, origin


def sung(rng: np.random.Generator, seconds: float, rate: int) -> tuple[Wave, str]:
    """Vowels sung by one to five synthetic singers: glottal pulses through formants, with vibrato and glides."""
    singers = int(rng.choice([1, 1, 1, 2, 3, 5]))
    sound = np.zeros(round(seconds * rate), np.float32)
    for _ in range(singers):
        lay(sound, sing(rng, seconds, rate), 0)
    return levelled(sound), f"sung vowels: {singers} singers"


_VOWELS = (
    (730, 1090, 2440, 3400), (570, 840, 2410, 3300), (300, 870, 2240, 3200), (530, 1840, 2480, 3500),
    (270, 2290, 3010, 3700), (660, 1720, 2410, 3450), (490, 1350, 1690, 3300),
)  # fmt: skip
"""Formants of vowels (Peterson and Barney, 1952, men's averages, with a fourth)."""


def sing(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    """One singer: legato vowels on notes of a scale. `[samples]`"""
    count = round(seconds * rate)
    size = float(rng.uniform(0.92, 1.25))  # factor of the vocal tract's formants, relative to a man's
    middle = 48 + 14 * (size - 0.92) / 0.33 * 1.2 + float(rng.uniform(-3, 5))
    pitch, vowel_at, level = np.zeros(count), np.zeros(count, int), np.zeros(count)
    at, degree = 0, 0
    steps = (0, 2, 4, 5, 7, 9, 11, 12)
    while at < count:
        length = round(float(rng.choice([0.3, 0.6, 1.0, 2.0, 3.5])) * rate)
        degree = int(np.clip(degree + rng.integers(-2, 3), 0, 7))
        pitch[at : at + length] = middle + steps[degree]
        vowel_at[at : at + length] = rng.integers(len(_VOWELS))
        level[at : at + length] = 0.0 if rng.random() < 0.1 else float(rng.uniform(0.5, 1))
        at += length
    glide = np.hanning(round(0.08 * rate) | 1)
    pitch = np.convolve(np.pad(pitch, len(glide) // 2, mode="edge"), glide / glide.sum(), "valid")
    level = np.convolve(np.pad(level, len(glide) // 2, mode="edge"), glide / glide.sum(), "valid")
    t = np.arange(count) / rate
    jitter = np.cumsum(rng.standard_normal(count)) / rate
    vibrato = float(rng.uniform(0, 0.6)) * np.sin(2 * np.pi * float(rng.uniform(4.8, 6.5)) * t)
    f0 = 440 * 2 ** ((pitch + vibrato + 2 * (jitter - jitter.mean()) - 69) / 12)
    phase = np.cumsum(f0 / rate)
    tilt, source = float(rng.uniform(1.1, 1.9)), np.zeros(count)
    for harmonic in range(1, int(0.45 * rate / f0.min()) + 1):
        audible = harmonic * f0 < 0.47 * rate
        source += np.where(audible, np.sin(2 * np.pi * harmonic * phase) / harmonic**tilt, 0)
    source += float(rng.uniform(0.005, 0.04)) * rng.standard_normal(count)
    voice = np.zeros(count)
    for index in np.unique(vowel_at):
        shaped = np.zeros(count)
        for number, formant in enumerate(_VOWELS[index]):
            width = 60 + 0.05 * formant
            r, theta = np.exp(-np.pi * width / rate), 2 * np.pi * min(formant * size, 0.46 * rate) / rate
            shaped += lfilter([(1 - r) * 10 ** (-number * 0.15)], [1, -2 * r * np.cos(theta), r * r], source)
        share = np.convolve(
            np.pad((vowel_at == index).astype(float), len(glide) // 2, mode="edge"), glide / glide.sum(), "valid"
        )
        voice += share * shaped
    return levelled((voice * level).astype(np.float32))
