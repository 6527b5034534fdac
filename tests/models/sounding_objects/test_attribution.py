"""What is heard in a window: hits reported from tones, and distributions that stay distributions."""

import numpy as np
import pytest
import torch
from torch import Tensor

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.interface import Window
from hearsight.models.sounding_objects.attribution import Attributor, percussiveness
from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.signal import STFT
from hearsight.signal.mel_bands import HOP_SAMPLES, N_FFT, SAMPLE_RATE_HZ

SAMPLES = 4 * SAMPLE_RATE_HZ


def tones() -> Tensor:
    time_s = torch.arange(SAMPLES) / SAMPLE_RATE_HZ
    return torch.stack([torch.sin(2 * torch.pi * pitch * time_s) for pitch in (220.0, 440.0, 660.0, 880.0)]).sum(0)


def hits() -> Tensor:
    noise = torch.randn(SAMPLES, generator=torch.Generator().manual_seed(0))
    since_s = (torch.arange(SAMPLES) % (SAMPLE_RATE_HZ // 2)) / SAMPLE_RATE_HZ
    return noise * (-60 * since_s).exp()


def powers(sound: Tensor) -> Tensor:
    classifier = SoundClassifier((4, 4, 4, 4, 4), layers=1)
    return classifier.bands.powers(STFT(N_FFT, N_FFT, HOP_SAMPLES).forward(sound))


def entry(sound: Tensor) -> float:
    """Mean over the energy."""
    power = powers(sound)
    return float((percussiveness(power) * power).sum() / power.sum())


def test_hits_are_distinguished_from_tones() -> None:
    assert entry(tones()) < -2
    assert entry(hits()) > 0.8


def test_noise_is_neither() -> None:
    assert abs(entry(torch.randn(SAMPLES, generator=torch.Generator().manual_seed(1)))) < 0.3


@pytest.mark.parametrize("gain", [1e-4, 1.0, 1e3])
def test_hits_and_tones_in_one_sound_are_distinguished_at_any_level(gain: float) -> None:
    power = powers(gain * (tones() / tones().std() + hits() / hits().std()))
    found = percussiveness(power)
    of_tones, of_hits = powers(tones() / tones().std()), powers(hits() / hits().std())
    assert found[(of_tones > 100 * of_hits) & (of_tones > of_tones.mean())].mean() < -1
    assert found[(of_hits > 100 * of_tones) & (of_hits > of_hits.mean())].mean() > 0.5


def test_each_window_of_a_batch_is_judged_by_itself() -> None:
    power = torch.stack([powers(tones()), powers(hits())])
    together = percussiveness(power)
    for one, alone in zip(together, power, strict=True):
        torch.testing.assert_close(one, percussiveness(alone), atol=1e-4, rtol=0)


def test_silence_is_classified_too() -> None:
    assert not percussiveness(torch.zeros(128, 40)).any()


def test_hits_make_drums_likelier_and_tones_less_likely() -> None:
    torch.manual_seed(0)
    classifier = SoundClassifier((4, 4, 4, 4, 4), layers=1).eval()
    listener = Attributor(classifier, SAMPLE_RATE_HZ, 2.0)
    shares = []
    for sound in (tones(), hits()):
        with torch.inference_mode():
            (classified,) = listener.classify([Window(0.0, sound, [])])
            cues = classifier.cues(sound, classified.power.shape[-1])
            alone = classifier(classified.power[None], cues[None]).classes[0]
        np.testing.assert_allclose(classified.classes.exp().sum(0), 1, atol=1e-4)
        loud = classified.power / classified.power.sum()
        drums = SOUND_CLASSES.index("drums")
        shares.append(float(((classified.classes - alone)[drums] * loud).sum()))
        others = [sound_class for sound_class in range(len(SOUND_CLASSES)) if sound_class != drums]
        # Among themselves the other classes stay as the classifier gives them.
        torch.testing.assert_close(
            classified.classes[others].log_softmax(0), alone[others].log_softmax(0), atol=1e-4, rtol=0
        )
    assert shares[0] < -1 and shares[1] > 0.3
