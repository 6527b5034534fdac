"""Sounds of the class `other`: synthesized noises, recorded ones from free packages, and a sound font's effects.

Recorded: footsteps, doors, water, fire, glass of minetest-data (CC BY-SA and freer), typing of bucklespring-data
(GPL-2), sound-theme-freedesktop (GPL-2 / CC BY-SA). All others are made of filtered noise, clicks and many voices at
once.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from hearsight.errors import DependencyError
from hearsight.mixtures.sound_clips import faded, lay, levelled, read_clip, transposed
from hearsight.mixtures.speech import Voices

Wave = NDArray[np.float32]

FOLDERS = (
    Path("/usr/share/games/minetest/games/minetest_game/mods"),
    Path("/usr/share/buckle/wav"),
    Path("/usr/share/sounds/freedesktop/stereo"),
)


class Noises:
    """Phrases of noise.

    Args:
        voices: speakers of the crowd; None for no crowd.
        recorded: whether to use the files of Debian's packages too.

    Raises:
        DependencyError: recorded files are requested but missing.
    """

    def __init__(self, sample_rate_hz: int, voices: Voices | None, recorded: bool) -> None:
        self.rate, self._voices = sample_rate_hz, voices
        self._files: dict[str, list[Path]] = {}
        for folder in FOLDERS if recorded else ():
            files = sorted([*folder.rglob("*.ogg"), *folder.rglob("*.oga"), *folder.rglob("*.wav")])
            if not files:
                raise DependencyError(f"recorded noises are missing in {folder}", "missing")
            self._files[str(folder)] = files

    def synthesized(self, rng: np.random.Generator, part: str, seconds: float) -> tuple[Wave, str]:
        """One or two of the synthesized noises below. `[samples]`"""
        names = list(_NOISES)
        sound = np.zeros(round(seconds * self.rate), np.float32)
        chosen = [names[i] for i in rng.choice(len(names), size=int(rng.choice([1, 1, 2])), replace=False)]
        for name in chosen:
            lay(sound, levelled(_NOISES[name](rng, seconds, self.rate)) * float(rng.uniform(0.3, 1)), 0)
        return sound, f"synthesized: {', '.join(chosen)}"

    def crowd(self, rng: np.random.Generator, part: str, seconds: float) -> tuple[Wave, str]:
        """Babble of several voices, sometimes low-passed as if far away."""
        sound = np.zeros(round(seconds * self.rate), np.float32)
        if self._voices is None:
            raise DependencyError("a crowd needs recorded speech", "missing")
        people = int(rng.integers(5, 20))
        for _ in range(people):
            wave = self._voices.recorded(rng, part, seconds)[0]
            lay(sound, np.roll(wave, rng.integers(len(wave))) * float(10 ** rng.uniform(-0.8, 0)), 0)
        if rng.random() < 0.4:
            sound = _band(sound, self.rate, 120, float(rng.uniform(1200, 4000)))
        return levelled(sound), f"crowd of {people}"

    def recorded(self, rng: np.random.Generator, part: str, seconds: float) -> tuple[Wave, str]:
        """A few recorded noises, repeated like steps or key strokes; every tenth file is kept for validation."""
        folder = list(self._files)[rng.choice(len(self._files), p=[0.6, 0.2, 0.2])]
        files = [f for i, f in enumerate(self._files[folder]) if (i % 10 == 9) == (part == "validation")]
        chosen = [files[i] for i in rng.integers(len(files), size=int(rng.integers(1, 5)))]
        sound = np.zeros(round(seconds * self.rate), np.float32)
        at, gap = round(rng.uniform(0, 0.3) * self.rate), float(np.exp(rng.uniform(np.log(0.1), np.log(0.9))))
        shift = float(rng.uniform(-4, 3))
        while at < len(sound):
            file = chosen[rng.integers(len(chosen))]
            wave = faded(transposed(levelled(read_clip(file, self.rate)), shift + float(rng.normal(0, 0.4))), 20, 200)
            lay(sound, wave * float(rng.uniform(0.4, 1)), at)
            at += round(
                max(gap, 0.6 * len(wave) / self.rate * (rng.random() < 0.7)) * float(rng.uniform(0.8, 1.25)) * self.rate
            )
        return sound, f"recorded noises: {chosen[0].stem}"


def coloured(rng: np.random.Generator, count: int, rate: int, slope_db: float) -> Wave:
    """Gaussian noise whose spectrum falls by `slope_db` per octave above 30 Hz. `[samples]`"""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.maximum(np.fft.rfftfreq(count, 1 / rate), 30.0)
    noise = np.fft.irfft(spectrum * (frequency / 1000) ** (-slope_db / 6.02), count)
    return (noise / noise.std() * 0.1).astype(np.float32)


def _slow(rng: np.random.Generator, count: int, rate: int, every_s: float, low: float, high: float) -> NDArray:
    """A smooth random curve between two limits."""
    knots = rng.uniform(low, high, size=int(count / rate / every_s) + 3)
    return np.interp(np.arange(count), np.arange(len(knots)) * every_s * rate, knots)


def _band(wave: NDArray, rate: int, low: float, high: float) -> Wave:
    low, high = max(20.0, low), min(high, 0.48 * rate)
    return sosfilt(butter(2, [low, high], "bandpass", fs=rate, output="sos"), wave).astype(np.float32)


def _steady(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    count = round(seconds * rate)
    wave = coloured(rng, count, rate, float(rng.uniform(-1, 9)))
    if rng.random() < 0.5:
        low = float(np.exp(rng.uniform(np.log(30), np.log(2000))))
        wave = _band(wave, rate, low, low * float(rng.uniform(2, 12)))
    return wave * _slow(rng, count, rate, float(rng.uniform(0.2, 3)), 0.4, 1)


def _wind(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    """Wind: noise through wandering resonances, in gusts."""
    count = round(seconds * rate)
    total = np.zeros(count)
    base = float(rng.uniform(120, 700))
    source = coloured(rng, count, rate, float(rng.uniform(3, 8)))
    for place in range(4):
        gust = np.maximum(_slow(rng, count, rate, float(rng.uniform(0.4, 1.5)), -0.2, 1), 0) ** 2
        low = base * 2 ** (place * 0.6)
        total += gust * _band(source, rate, low, low * 1.7)
    return total.astype(np.float32)


def _traffic(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    """Traffic: rumble, and passing cars with tyre noise and engine harmonics that fall as they pass."""
    count = round(seconds * rate)
    t = np.arange(count) / rate
    total = 0.5 * _band(coloured(rng, count, rate, 6), rate, 30, float(rng.uniform(200, 800)))
    for _ in range(int(rng.integers(1, 5))):
        when, width = float(rng.uniform(0, seconds)), float(rng.uniform(0.6, 2.5))
        near = 1 / (1 + ((t - when) / width) ** 2)
        f0 = float(rng.uniform(30, 110)) * (1 - 0.06 * np.tanh((t - when) / width))
        phase = 2 * np.pi * np.cumsum(f0) / rate
        engine = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 14))
        tyres = _band(coloured(rng, count, rate, 3), rate, 200, float(rng.uniform(1500, 5000)))
        total = total + near * (0.03 * engine + float(rng.uniform(0.3, 1)) * tyres)
    return np.asarray(total, np.float32)


def _clap(rng: np.random.Generator, rate: int) -> Wave:
    """One clap: a burst around 1 to 2.5 kHz that decays within some milliseconds."""
    count = round(0.06 * rate)
    middle = float(rng.uniform(700, 2600))
    burst = _band(rng.standard_normal(count), rate, middle * 0.6, middle * 1.6)
    return burst * np.exp(-np.arange(count) / (float(rng.uniform(0.004, 0.015)) * rate)).astype(np.float32)


def _applause(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    sound = np.zeros(round(seconds * rate), np.float32)
    swell = _slow(rng, len(sound), rate, 2.0, 0.3, 1)
    for _ in range(int(np.exp(rng.uniform(np.log(2), np.log(60))))):
        rate_hz, at, clap = float(rng.uniform(2.5, 5)), float(rng.uniform(0, 1)), _clap(rng, rate)
        loud = float(10 ** rng.uniform(-1, 0))
        while at < seconds:
            lay(sound, clap * loud * float(rng.uniform(0.6, 1)), round(at * rate))
            at += 1 / rate_hz * float(rng.uniform(0.85, 1.15))
    return sound * swell


def _hum(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    """Mains hum or a motor: steady harmonics and a little noise."""
    count = round(seconds * rate)
    t = np.arange(count) / rate
    f0 = float(rng.choice([50, 60, 100, 120, rng.uniform(40, 400)]))
    drift = 1 + 0.002 * np.cumsum(rng.standard_normal(count)) / rate**0.5 * (rng.random() < 0.4)
    tilt = float(rng.uniform(0.5, 1.5))
    wave = np.zeros(count)
    for k in range(1, min(int(rng.integers(3, 30)), int(0.47 * rate / f0))):
        wave += float(rng.uniform(0, 1)) / k**tilt * np.sin(2 * np.pi * k * f0 * t * drift + rng.uniform(0, 6))
    return np.asarray(0.1 * wave + float(rng.uniform(0.01, 0.3)) * coloured(rng, count, rate, 4), np.float32)


def _clicks(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    """Knocks, clicks and rattle: short resonances at irregular times."""
    sound = np.zeros(round(seconds * rate), np.float32)
    at, mean = float(rng.uniform(0, 0.2)), float(np.exp(rng.uniform(np.log(0.03), np.log(0.5))))
    middle = float(np.exp(rng.uniform(np.log(150), np.log(4000))))
    while at < seconds:
        count = round(0.15 * rate)
        t = np.arange(count) / rate
        f = middle * float(np.exp(rng.normal(0, 0.4)))
        knock = (rng.standard_normal(count) * 0.4 + np.sin(2 * np.pi * f * t)) * np.exp(
            -t / float(rng.uniform(0.002, 0.025))
        )
        lay(sound, (knock * float(rng.uniform(0.2, 1))).astype(np.float32), round(at * rate))
        at += float(rng.exponential(mean)) + 0.01
    return sound


def _steps(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    """Footsteps: thuds and scrapes at walking pace."""
    sound = np.zeros(round(seconds * rate), np.float32)
    pace, at = float(rng.uniform(0.35, 0.7)), float(rng.uniform(0, 0.3))
    while at < seconds:
        count = round(0.2 * rate)
        t = np.arange(count) / rate
        thud = _band(rng.standard_normal(count), rate, 60, 300) * np.exp(-t / 0.03)
        scrape = _band(rng.standard_normal(count), rate, 800, 4500) * np.exp(-((t - 0.06) ** 2) / 0.0008)
        lay(sound, (thud * 2 + scrape * float(rng.uniform(0.1, 0.6))).astype(np.float32), round(at * rate))
        at += pace * float(rng.uniform(0.92, 1.08))
    return sound


def _rain(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    """Rain: hundreds of drops over a hiss."""
    sound = 0.3 * coloured(rng, round(seconds * rate), rate, float(rng.uniform(-2, 3)))
    for at in rng.uniform(0, seconds, size=int(rng.integers(100, 1500))):
        f, count = float(rng.uniform(800, 6000)), round(0.02 * rate)
        t = np.arange(count) / rate
        drop = np.sin(2 * np.pi * f * t * (1 + 8 * t)) * np.exp(-t / 0.004) * float(10 ** rng.uniform(-1.5, -0.2))
        lay(sound, drop.astype(np.float32), round(at * rate))
    return sound


def _machine(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    """A machine: noise modulated at a constant rate."""
    count = round(seconds * rate)
    t = np.arange(count) / rate
    beat = float(np.exp(rng.uniform(np.log(2), np.log(40))))
    chop = (0.5 + 0.5 * np.sin(2 * np.pi * beat * t)) ** float(rng.uniform(1, 6))
    low = float(np.exp(rng.uniform(np.log(60), np.log(1500))))
    return (chop * _band(coloured(rng, count, rate, 3), rate, low, 6 * low)).astype(np.float32)


def _tones(rng: np.random.Generator, seconds: float, rate: int) -> Wave:
    """Beeps, sirens and alarms."""
    count = round(seconds * rate)
    t = np.arange(count) / rate
    f = float(rng.uniform(300, 2500)) * 2 ** (
        float(rng.uniform(0, 0.5)) * np.sin(2 * np.pi * float(rng.uniform(0.2, 4)) * t)
    )
    gate = (np.sin(2 * np.pi * float(rng.uniform(0.5, 4)) * t) > float(rng.uniform(-1, 0.5))).astype(float)
    wave = np.tanh(float(rng.uniform(0.5, 4)) * np.sin(2 * np.pi * np.cumsum(f) / rate))
    smooth = np.hanning(161)
    return (wave * np.convolve(gate, smooth / smooth.sum(), "same")).astype(np.float32)


_NOISES: dict[str, Callable[[np.random.Generator, float, int], Wave]] = {
    "noise": _steady, "wind": _wind, "traffic": _traffic, "applause": _applause, "hum": _hum, "clicks": _clicks,
    "footsteps": _steps, "rain": _rain, "machine": _machine, "tones": _tones,
}  # fmt: skip
