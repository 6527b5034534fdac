"""What the default model does to sound that it cannot place: its level, balance and place stay."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from drawn_instruments import photograph
from scipy.signal import lfilter
from tiers import thinned

import hearsight
from hearsight.media import read_sound
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.sounding_objects import SoundingObjects
from hearsight.models.sounding_objects.classifier import Classified, SoundClassifier
from hearsight.signal.interaural import interaural_level_difference_db
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.frames import Frame
from hearsight.vision.object_tracks import ObjectTrack

RATE, SECONDS = 48_000, 8.0
SIZE = (144, 256)
AT = np.arange(round(RATE * SECONDS)) / RATE


def speech() -> np.ndarray:
    """Pulses of a gliding pitch through three formants, in syllables with pauses."""
    generator = np.random.default_rng(0)
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.4 * AT)
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0) + 0.02 * generator.standard_normal(len(AT))
    voice = np.zeros(len(AT))
    for hertz, width, gain in ((600, 90, 1.0), (1_300, 120, 0.5), (2_600, 200, 0.25)):
        radius = np.exp(-np.pi * width / RATE)
        voice += gain * lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2], pulses)
    syllables = np.clip(np.sin(2 * np.pi * 4.1 * AT), 0.02, 1) * (np.sin(2 * np.pi * 0.3 * AT) > -0.7)
    return voice * np.convolve(syllables, np.hanning(960) / 480, mode="same")


def street() -> np.ndarray:
    """Rumble and hiss, and cars that pass."""
    generator = np.random.default_rng(1)
    spectrum = np.fft.rfft(generator.standard_normal(len(AT)))
    hertz = np.fft.rfftfreq(len(AT), 1 / RATE)
    rumble = np.fft.irfft(spectrum / np.sqrt(hertz + 60), len(AT))
    passing = 0.3 + sum(np.exp(-(((AT - time) / 0.8) ** 2)) for time in (2.0, 5.5))
    return rumble * passing


def music() -> np.ndarray:
    """Plucked chords."""
    sound = np.zeros(len(AT))
    for beat in range(round(SECONDS / 0.5)):
        since = AT - 0.5 * beat
        for pitch in (48, 55, 64, (60, 62, 65, 67)[beat % 4]):
            hertz = 440 * 2 ** ((pitch - 69) / 12)
            for partial in range(1, 9):
                wave = np.sin(2 * np.pi * partial * hertz * since) * np.exp(-(2 + partial) * since.clip(0))
                sound += wave / partial * (since >= 0)
    return sound


def make_clip(path: Path, sound: np.ndarray) -> torch.Tensor:
    """The sound as FLAC beside a noisy photograph of a flower before a swaying camera."""
    sound = np.clip(np.round(0.05 * sound / sound.std().clip(1e-9) * 32768), -32768, 32767).astype(np.int16)
    wide = photograph("flower.jpg", (SIZE[0], SIZE[1] + 40))
    generator = np.random.default_rng(3)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=15)
        picture.height, picture.width, picture.pix_fmt = *SIZE, "yuv420p"
        picture.options = {"preset": "ultrafast"}
        voice = container.add_stream("flac", rate=RATE, layout="mono", format="s16")
        for start in range(0, len(sound), 4096):
            frame = av.AudioFrame.from_ndarray(sound[None, start : start + 4096], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
        for number in range(round(SECONDS * 15)):
            left = round(20 + 18 * np.sin(number / 12))
            noise = generator.normal(0, 3, (*SIZE, 1))
            image = np.clip(wide[:, left : left + SIZE[1]] + noise, 0, 255).astype(np.uint8)
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            shown.pts, shown.time_base = number, Fraction(1, 15)
            container.mux(picture.encode(shown))
        container.mux(picture.encode(None))
    return torch.from_numpy(sound.astype(np.float32) / 32768)


def level_db(power: torch.Tensor) -> torch.Tensor:
    return 10 * power.clamp_min(1e-14).log10()


def check_level_and_balance(mono: torch.Tensor, ears: torch.Tensor) -> None:
    """As loud as it was in every tenth of a second and in every octave, in both ears together and in their average."""
    both = ears.square().mean(0)
    assert abs(float(level_db(both.mean()) - level_db(mono.square().mean()))) < 1

    hertz = torch.fft.rfftfreq(len(mono), 1 / RATE)
    window = torch.hann_window(len(mono), dtype=torch.float64)  # so that no edge is heard in the quiet octaves
    before, added, powers = (
        torch.fft.rfft(window * sound).abs().square() for sound in (mono[None], ears.mean(0, keepdim=True), ears)
    )
    for centre in (63, 125, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000):
        octave = (hertz > centre / 2**0.5) & (hertz < centre * 2**0.5)
        own, together, apart = (float(power[:, octave].sum(-1).mean()) for power in (before, added, powers))
        if own > 1e-6 * float(before.sum()):
            assert abs(10 * np.log10(together / own)) < 1.5, f"{centre} Hz"
            assert abs(10 * np.log10(apart / own)) < 1.5, f"{centre} Hz"

    tenth = RATE // 10
    short_before, short_after = (power.unfold(0, tenth, tenth).mean(-1) for power in (mono.square(), both))
    classified = short_before > 1e-4 * short_before.max()
    assert level_db(short_after[classified] / short_before[classified]).abs().max() < 1.5


@pytest.mark.parametrize("make", thinned([street, speech, music]))
def test_sound_that_belongs_to_nothing_seen_is_left_in_peace(tmp_path: Path, make: Callable[[], np.ndarray]) -> None:
    mono = make_clip(tmp_path / "clip.mkv", make())
    hearsight.binauralize(tmp_path / "clip.mkv", tmp_path / "out.wav")
    ears = read_sound(tmp_path / "out.wav")[0]
    check_level_and_balance(mono, ears)
    sides = interaural_level_difference_db(ears, RATE, window_s=0.1, hop_s=0.1)
    assert sides[torch.isfinite(sides)].abs().max() < 0.2


class CelloOnTheLeft:
    """A tracker that has always known of a cello at the picture's edge."""

    def update(self, frame: Frame) -> None: ...

    def at(self, times_s: np.ndarray) -> list[ObjectTrack]:
        steady = np.ones(len(times_s))
        evidence = np.zeros((len(times_s), len(IMAGENET_INSTRUMENTS)))
        evidence[:, IMAGENET_INSTRUMENTS.index("cello")] = 0.8
        place = (0.0 * steady, 0.5 * steady, 0.1 * steady)
        return [ObjectTrack(1, "cello", *place, evidence, 0.8 * steady, steady)]


class HearsCellos(SoundClassifier):
    """A classifier for which all is a cello."""

    def forward(self, power: torch.Tensor, cues: torch.Tensor) -> Classified:
        classified = torch.full((len(power), len(SOUND_CLASSES), *power.shape[1:]), 1e-6)
        classified[:, SOUND_CLASSES.index("cello")] = 1.0
        return Classified(classified.log(), torch.full_like(power, 0.6))


@pytest.mark.parametrize("make", thinned([street, speech, music]))
def test_sound_at_the_side_keeps_its_level_and_balance(tmp_path: Path, make: Callable[[], np.ndarray]) -> None:
    mono = make_clip(tmp_path / "clip.mkv", make())
    model = SoundingObjects(HearsCellos((4, 4, 4, 4, 4), layers=1), tracker=CelloOnTheLeft)
    hearsight.binauralize(tmp_path / "clip.mkv", tmp_path / "out.wav", model)
    ears = read_sound(tmp_path / "out.wav")[0]
    check_level_and_balance(mono, ears)
    assert interaural_level_difference_db(ears, RATE).nan_to_num(10.0).min() > 3


@pytest.mark.heavy
def test_silence_stays_silence_in_the_file(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mkv", np.zeros(len(AT)))
    report = hearsight.binauralize(tmp_path / "clip.mkv", tmp_path / "out.wav")
    ears = read_sound(tmp_path / "out.wav")[0]
    assert ears.shape == (2, len(AT)) and (ears == 0).all()
    assert report.sources == []
