"""Crops that slide from picture to picture, and windows that count by how well their ears add up."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from error_codes import coded
from torch import Tensor

from hearsight.datasets.augmentation import sliding_crop, with_margin
from hearsight.errors import ModelError
from hearsight.inference import load
from hearsight.inference.network_model import NeuralModel, confidence_of
from hearsight.inference.windowing import walk
from hearsight.models.ccstereo import CCStereo
from hearsight.models.interface import ClipInfo, SegmentFormat, StereoNetwork, StereoResult, Window
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.sep_stereo import SepStereo
from hearsight.vision.frames import Frame

CLIP = ClipInfo(16_000, 2.0, 10.0, (240, 480))
BOXES = ((0, 0, 448, 224), (32, 0, 480, 224), (0, 16, 448, 240), (32, 16, 480, 240), (16, 8, 464, 232))


class Heard(StereoNetwork):
    """Pans by the mean of the frame's red, and says both ears apart, the right one off by `off` in loud windows."""

    system: ClassVar[str] = "mono2binaural"

    def __init__(self, off: float = 0.0) -> None:
        super().__init__(SegmentFormat.small())
        self.off = off

    @classmethod
    def small(cls, **settings: Any) -> "Heard":
        return cls(**settings)

    def encode_frames(self, frames: Tensor) -> Tensor:
        return frames.mean((1, 2, 3))

    def predict(self, mix: Tensor, visual: Tensor | tuple[Tensor, ...]) -> StereoResult:
        assert isinstance(visual, Tensor)
        difference = 0.1 * visual[:, None, None] * mix
        left, right = (mix + difference) / 2, (mix - difference) / 2
        return StereoResult(difference, {"left": left, "right": right + self.off * (visual > 0)[:, None, None] * mix})

    def losses(self, result: StereoResult, item: Any) -> dict[str, Tensor]:
        return {}


def picture(value: int) -> np.ndarray:
    return np.full((*with_margin((64, 128)), 3), value, np.uint8)


@pytest.mark.wrong_shapes  # numbers of rows and columns in the place of colours
def test_crops_are_those_of_the_released_code() -> None:
    assert with_margin((224, 448)) == (240, 480)
    image = np.stack(np.meshgrid(np.arange(240), np.arange(480), indexing="ij"), axis=-1)
    for number in range(10):
        left, top, right, bottom = BOXES[number % 5]
        assert np.array_equal(sliding_crop(image, number, (224, 448)), image[top:bottom, left:right])


def test_each_picture_is_cropped_by_its_number_and_only_if_asked_for() -> None:
    network = Mono2Binaural.small()
    image = np.random.default_rng(0).integers(0, 256, (*with_margin(network.frame_size), 3)).astype(np.uint8)
    frames = [Frame(number / 10, number, image) for number in range(5)]
    sliding, whole = NeuralModel(network, crops="sliding"), NeuralModel(network)
    assert sliding.spec.frame_size == image.shape[:2] and whole.spec.frame_size == network.frame_size
    seen = sliding.normalized(frames)
    for number in range(5):
        exact = np.ascontiguousarray(sliding_crop(image, number, network.frame_size))
        alone = whole.normalized([Frame(0.0, 0, exact)])[0]
        assert torch.equal(seen[number], alone)
    assert len({float(one.double().sum()) for one in seen}) == 5
    assert len({float(one.double().sum()) for one in whole.normalized(frames)}) == 1


def test_ccstereo_slides_by_itself_and_others_do_not() -> None:
    assert NeuralModel(CCStereo.small()).crops == "sliding"
    assert NeuralModel(CCStereo.small(), crops="whole").crops == "whole"
    assert NeuralModel(SepStereo.small()).crops == "whole"


def test_confidence_falls_with_what_is_missing_and_stays_finite() -> None:
    mix = torch.randn(4, 5, 6, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor([0.0, 0.1, 1.0, float("nan")])[:, None, None]
    right = mix / 2 + scale * mix
    sure = confidence_of(mix, mix / 2, right)
    torch.testing.assert_close(sure[:3], 1 / (0.01 + scale[:3, 0, 0].square()))
    assert 0 < sure[3] < 1e-3
    silence = torch.zeros(1, 5, 6, dtype=torch.complex64)
    assert float(confidence_of(silence, silence, silence)) == pytest.approx(100)


def test_windows_whose_ears_do_not_add_up_count_less() -> None:
    """Dark and light pictures alternate; in light windows the ears miss the mix by a fifth, and weigh a fifth."""
    network = Heard(off=0.2)
    mono = 0.1 * torch.ones(16_000) * torch.randn(16_000, generator=torch.Generator().manual_seed(1))
    frames = np.stack([picture(255 if number % 2 else 0) for number in range(10)])
    equal = NeuralModel(network, precision="float32")(mono, frames, 10.0)
    sure = NeuralModel(network, precision="float32", overlap="confidence")
    weighed = sure(mono, frames, 10.0)
    value = {v: float(sure.normalized([Frame(0.0, 0, picture(v))]).mean()) for v in (0, 255)}
    dark = torch.stack([(1 + 0.1 * value[0]) * mono, (1 - 0.1 * value[0]) * mono]) / 2
    middle = slice(6_000, 10_000)
    assert (weighed - dark)[:, middle].norm() < 0.6 * (equal - dark)[:, middle].norm()
    torch.testing.assert_close(weighed.sum(0), mono, rtol=0, atol=1e-5)
    session = sure.session(CLIP)
    session.process([Window(0.0, mono[:5_040], [Frame(0.1, n, picture(v))]) for n, v in enumerate((0, 255))])
    assert session.confidences() == pytest.approx([100, 1 / (0.01 + 0.04)], rel=1e-3)
    assert not sure.remarks


def test_the_walk_weighs_as_the_model_does() -> None:
    network = Heard(off=0.5)
    mono = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(2))
    pictures = [Frame(number / 10, number, picture(255 if number % 2 else 0)) for number in range(10)]
    model = NeuralModel(network, precision="float32", overlap="confidence", batch=3)
    walked = torch.cat(list(walk(model.session(CLIP), model.spec, 16_000, [mono], pictures)), dim=-1)
    called = model(mono, np.stack([one.rgb for one in pictures]), 10.0)
    # Edges of windows are tapered in the walk alone.
    assert (walked - called).norm() < 0.1 * called.norm()
    flat = NeuralModel(network, precision="float32", batch=3)
    plain = torch.cat(list(walk(flat.session(CLIP), flat.spec, 16_000, [mono], pictures)), dim=-1)
    assert (walked - called).norm() < 0.5 * (plain - called).norm()


def test_a_network_of_the_difference_alone_says_that_windows_count_alike() -> None:
    network, mono = Mono2Binaural.small().eval(), 0.1 * torch.randn(8_000)
    frames = np.random.default_rng(0).integers(0, 256, (5, 64, 128, 3)).astype(np.uint8)
    model = NeuralModel(network, precision="float32", overlap="confidence")
    assert torch.equal(model(mono, frames, 10.0), NeuralModel(network, precision="float32")(mono, frames, 10.0))
    assert [note for note in model.session(CLIP).notes() if "count alike" in note]


def test_options_reach_the_network_by_name_and_wrong_ones_are_refused(tmp_path) -> None:
    SepStereo.small().save_pretrained(tmp_path / "saved")
    model = load(tmp_path / "saved", crops="sliding", overlap="confidence", hop_s=0.1).model
    assert isinstance(model, NeuralModel)
    assert (model.crops, model.overlap, model.spec.hop_s) == ("sliding", "confidence", 0.1)
    for wrong, message in (({"crop": "sliding"}, "crop'"), ({"crops": "five"}, "five"), ({"overlap": "sum"}, "sum")):
        with pytest.raises(ModelError, match=message):
            load(tmp_path / "saved", **wrong)
    with pytest.raises(ModelError, match=r"^positions .*'crops'", check=coded("unsupported")):
        load("positions", crops="sliding")
