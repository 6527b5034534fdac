"""The classifier: distributions over classes, parts that add up, evidence that draws, folders that give it back."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.saving import load_network
from hearsight.models.sounding_objects.classifier import WEIGHTS, SoundClassifier
from hearsight.signal import STFT
from hearsight.signal.band_cues import CUES
from hearsight.signal.mel_bands import BANDS, HOP_SAMPLES, N_FFT, SAMPLE_RATE_HZ
from hearsight.simulation.music import Note
from hearsight.simulation.synthesizer import Synthesizer
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS


@pytest.fixture(scope="module")
def classifier() -> SoundClassifier:
    torch.manual_seed(0)
    return SoundClassifier((8, 12, 16, 16, 16), layers=1).eval()


def powers(columns: int, seed: int = 0, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 1e-3 * torch.rand(batch, BANDS, columns, generator=generator).pow(4)


def cues(columns: int, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, CUES, BANDS, columns, generator=generator)


def classified(columns: int = 16) -> Tensor:
    """Random log probabilities of the classes."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(1, len(SOUND_CLASSES), BANDS, columns, generator=generator).mul(2).log_softmax(1)


def evidence(*objects: dict[str, float]) -> Tensor:
    rows = torch.zeros(1, len(objects), len(IMAGENET_INSTRUMENTS))
    for row, object_track in enumerate(objects):
        for name, value in object_track.items():
            rows[0, row, IMAGENET_INSTRUMENTS.index(name)] = value
    return rows


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 100, 256, 333])
@torch.inference_mode()
def test_classes_are_a_distribution_for_any_number_of_columns(classifier: SoundClassifier, columns: int) -> None:
    classes, direct = classifier(powers(columns), cues(columns))
    assert classes.shape == (2, len(SOUND_CLASSES), BANDS, columns)
    torch.testing.assert_close(classes.exp().sum(1), torch.ones(2, BANDS, columns))
    assert direct.shape == (2, BANDS, columns)
    assert 0 < direct.min() <= direct.max() < 1


@torch.inference_mode()
def test_the_level_does_not_matter(classifier: SoundClassifier) -> None:
    power = powers(64)
    for here, there in zip(classifier(power, cues(64)), classifier(1e4 * power, cues(64)), strict=True):
        torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_what_one_window_holds_does_not_touch_another(classifier: SoundClassifier) -> None:
    power = powers(64)
    for together, alone in zip(classifier(power, cues(64)), classifier(power[:1], cues(64)[:1]), strict=True):
        torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_silence_gives_finite_numbers(classifier: SoundClassifier) -> None:
    silence = torch.zeros(32 * HOP_SAMPLES)
    made = classifier(torch.zeros(1, BANDS, 32), classifier.cues(silence, 32)[None])
    assert all(torch.isfinite(entry).all() for entry in made)


@torch.inference_mode()
def test_parts_add_up_to_one_and_a_row_of_zeros_gets_nothing(classifier: SoundClassifier) -> None:
    parts = classifier.associate(classified(), evidence({"cello": 0.6}, {}, {"drum": 0.3, "steel drum": 0.1})).exp()
    assert parts.shape == (1, 4, BANDS, 16)
    torch.testing.assert_close(parts.sum(1), torch.ones(1, BANDS, 16))
    assert parts[0, 1].max() < 1e-8
    assert parts[0, [0, 2, 3]].min() > 1e-4


@torch.inference_mode()
def test_parts_go_with_the_objects_wherever_they_stand(classifier: SoundClassifier) -> None:
    objects = evidence({"cello": 0.6}, {"upright piano": 0.9}, {"drum": 0.3})
    here = classifier.associate(classified(), objects)
    there = classifier.associate(classified(), objects[:, [2, 0, 1]])
    torch.testing.assert_close(there[:, :3], here[:, [2, 0, 1]])
    torch.testing.assert_close(there[:, 3], here[:, 3])


@torch.inference_mode()
def test_without_objects_all_is_the_rest(classifier: SoundClassifier) -> None:
    parts = classifier.associate(classified(), torch.zeros(1, 2, len(IMAGENET_INSTRUMENTS))).exp()
    torch.testing.assert_close(parts[:, 2], torch.ones(1, BANDS, 16))


@torch.inference_mode()
def test_more_evidence_draws_more_in_every_bin(classifier: SoundClassifier) -> None:
    other = {"upright piano": 0.5}
    little, much = (
        classifier.associate(classified(), evidence({"cello": strength}, other))[0, 0] for strength in (0.2, 0.8)
    )
    assert (much > little).all()


@torch.inference_mode()
def test_alike_objects_share_alike(classifier: SoundClassifier) -> None:
    parts = classifier.associate(classified(), evidence({"violin": 0.7}, {"violin": 0.7}))
    torch.testing.assert_close(parts[:, 0], parts[:, 1])


@pytest.mark.parametrize(
    ("seen", "sound_class"), [("cello", "cello"), ("drum", "drums"), ("upright piano", "piano"), ("harp", "harp")]
)
@torch.inference_mode()
def test_an_untrained_association_knows_which_instrument_resembles_what(seen: str, sound_class: str) -> None:
    association = SoundClassifier((8, 12, 16, 16, 16), layers=1).association
    others = [name for name in ("cello", "drum", "upright piano", "harp") if name != seen]
    kernels = association(evidence({seen: 0.5}, *({name: 0.5} for name in others)))[0]
    assert int(kernels[:-1, SOUND_CLASSES.index(sound_class)].argmax()) == 0


def test_the_association_learns_which_object_sounds() -> None:
    from dataclasses import dataclass

    @dataclass
    class Pair:
        power: Tensor
        cues: Tensor
        evidence: Tensor
        classes: Tensor
        parts: Tensor
        direct: Tensor

    torch.manual_seed(0)
    network = SoundClassifier((8, 8, 8, 8, 8), layers=1).train()
    power = powers(32, batch=4)
    classes = torch.zeros(4, len(SOUND_CLASSES), BANDS, 32)
    classes[:2, SOUND_CLASSES.index("cello")] = 1
    classes[2:, SOUND_CLASSES.index("drums")] = 1
    power[2:] = power[2:].flip(1) * torch.linspace(1, 0.01, BANDS)[:, None]
    parts = torch.zeros(4, 3, BANDS, 32)
    parts[:2, 0] = 1
    parts[2:, 1] = 1
    direct = torch.zeros(4, BANDS, 32)
    direct[2:] = 1
    pair = Pair(
        power, cues(32, batch=4), evidence({"cello": 0.5}, {"drum": 0.5}).expand(4, -1, -1), classes, parts, direct
    )
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(30):
        terms = network.loss_terms(pair)  # type: ignore[arg-type]
        losses.append(sum(term.item() for term in terms.values()))
        optimizer.zero_grad()
        sum(terms.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
    assert set(terms) == {"classes", "parts", "direct"}
    assert losses[-1] < 0.25 * losses[0]


@pytest.mark.parametrize(
    ("sound_class", "pitches", "least"), [("piano", (60, 64, 67, 72), 0.2), ("drums", (36, 42, 38, 42), 0.04)]
)
@torch.inference_mode()
def test_the_shipped_classifier_hears_the_room(sound_class: str, pitches: tuple[int, ...], least: float) -> None:
    """Strokes of a sampled instrument: where a room rings, less of it is heard to come straight."""
    rate, generator = SAMPLE_RATE_HZ, torch.Generator().manual_seed(0)
    notes = [Note(0.4 * k, 0.3, pitches[k % 4], 90) for k in range(10)]
    dry = torch.from_numpy(Synthesizer().play(sound_class, notes, 4.1, rate))
    classifier = SoundClassifier.from_pretrained(WEIGHTS).eval().float()
    shares = []
    for ringing_s in (0.0, 1.2):
        response = torch.zeros(rate)
        response[0] = 1
        if ringing_s:
            decay = torch.exp(-torch.arange(rate) * (6.9 / ringing_s / rate))
            tail = torch.randn(rate, generator=generator) * decay
            tail[: rate // 200] = 0
            response += 2 * tail / tail.square().sum().sqrt()  # 6 dB above the direct sound
        size = 2 * len(dry)
        wet = torch.fft.irfft(torch.fft.rfft(dry, size) * torch.fft.rfft(response, size), size)[: len(dry)]
        power = classifier.bands.powers(STFT(N_FFT, N_FFT, HOP_SAMPLES).forward(wet))[None]
        heard = classifier.cues(wet, power.shape[-1])[None]
        weight = power.pow(0.25)
        shares.append(float((classifier(power, heard).direct * weight).sum() / weight.sum()))
    assert shares[0] > 0.9
    assert shares[0] > shares[1] + least


@torch.inference_mode()
def test_a_folder_gives_the_same_classifier_back(classifier: SoundClassifier, tmp_path: Path) -> None:
    classifier.save_pretrained(tmp_path / "classifier")
    again = load_network(tmp_path / "classifier").eval()
    assert isinstance(again, SoundClassifier)
    given = powers(48), cues(48)
    assert all(torch.equal(one, other) for one, other in zip(again(*given), classifier(*given), strict=True))
    objects = evidence({"cello": 0.4}, {"organ": 0.2})
    assert torch.equal(again.associate(classified(), objects), classifier.associate(classified(), objects))
