"""Speech that is to stay in the middle stays there, and what else sounds goes where it is seen."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import hearsight
from hearsight.errors import ModelError
from hearsight.inference import Options, choose_model
from hearsight.media import read_sound
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.interface import ClipInfo, Window
from hearsight.models.sounding_objects.classifier import SoundClassifier

RATE = 16_000


def noise(seconds: float = 4.0) -> torch.Tensor:
    return 0.05 * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def half_is_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier that takes the upper half of the bands for a voice, surely, and the lower for a cello."""
    forward = SoundClassifier.forward

    def classified(self: SoundClassifier, power: torch.Tensor, cues: torch.Tensor):
        heard = forward(self, power, cues)
        classes = torch.full_like(heard.classes, -40.0)
        half = classes.shape[-2] // 2
        classes[:, SOUND_CLASSES.index("cello"), :half] = 0.0
        classes[:, SOUND_CLASSES.index("voice"), half:] = 0.0
        return heard._replace(classes=classes)

    monkeypatch.setattr(SoundClassifier, "forward", classified)


def side_energy(ears: torch.Tensor) -> tuple[float, float]:
    """Of the difference of the ears, below 500 Hz and above 4 kHz."""
    power = torch.fft.rfft(ears[0] - ears[1]).abs().square()
    frequency = torch.fft.rfftfreq(ears.shape[-1], 1 / RATE)
    return float(power[frequency < 500].sum()), float(power[frequency > 4_000].sum())


@pytest.mark.parametrize("sources", [[(0.1, 0.5)], [(0.1, 0.5), (0.2, 0.5)]])
def test_voice_stays_in_the_middle(half_is_voice: None, sources: list[tuple[float, float]]) -> None:
    plain, centred = (
        choose_model(sources=sources, options=Options(centre_speech=wanted)).session(ClipInfo(RATE, 4.0))
        for wanted in (False, True)
    )
    window = Window(0.0, noise())
    low, high = side_energy(plain.process([window])[0])
    low_centred, high_centred = side_energy(centred.process([window])[0])
    assert high_centred < 0.02 * high and low_centred > 0.5 * low
    assert any("speech stays in the middle" in note for note in centred.notes())
    (parts,) = (
        choose_model(sources=sources, options=Options(centre_speech=True)).session(ClipInfo(RATE, 4.0)).parts([window])
    )
    left = window.mono - sum(parts.values())
    assert torch.fft.rfft(left).abs()[-1000:].sum() > 0.8 * torch.fft.rfft(window.mono).abs()[-1000:].sum()


def test_other_models_cannot_distinguish_speech(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", noise(1.0).numpy(), RATE)
    for model in ("positions", "mono-mono"):
        with pytest.raises(ModelError, match="sounding-objects"):
            hearsight.binauralize(tmp_path / "in.wav", model=model, options=Options(centre_speech=True))


def test_a_stretch_is_left_as_it_is(tmp_path: Path) -> None:
    sound = noise(2.0).numpy()
    soundfile.write(tmp_path / "in.wav", sound, RATE, subtype="FLOAT")
    options = Options(untouched_s=((0.5, 1.0),))
    hearsight.binauralize(tmp_path / "in.wav", tmp_path / "out.wav", sources=[(0.1, 0.5)], options=options)
    ears = read_sound(tmp_path / "out.wav")[0].numpy()
    inside = slice(round(0.55 * RATE), round(0.95 * RATE))
    assert np.allclose(ears[0, inside], ears[1, inside], atol=1e-5)
    assert not np.allclose(ears[0, RATE:], ears[1, RATE:], atol=1e-2)
