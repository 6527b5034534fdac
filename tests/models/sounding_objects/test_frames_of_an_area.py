"""Frames of about an area, in the picture's own shape, from the spec to the session."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hearsight.models.interface import ClipInfo, Window, WindowSpec
from hearsight.vision.frames import PictureArea
from hearsight.vision.tracks import Source

AREA = 448 * 800


def spec(**settings: object) -> WindowSpec:
    return WindowSpec(None, 1.0, 1.0, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("displayed", "wanted"),
    [((1080, 1920), (448, 800)), ((1920, 1080), (800, 448)), ((240, 480), (416, 832)), ((600, 600), (608, 608))],
)
def test_sides_are_multiples_of_32_in_the_pictures_shape(displayed: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert spec(frame_size=PictureArea(AREA)).frame_size_of(displayed) == wanted


@given(st.integers(16, 4320), st.integers(16, 4320))
def test_any_picture_gets_frames(height: int, width: int) -> None:
    size = spec(frame_size=PictureArea(AREA)).frame_size_of((height, width))
    assert size is not None
    assert size[0] >= 32 <= size[1]
    assert size[0] % 32 == size[1] % 32 == 0


def test_without_an_area_the_size_holds() -> None:
    assert spec(frame_size=(224, 448)).frame_size_of((1080, 1920)) == (224, 448)
    assert spec(frame_size=None).frame_size_of((1080, 1920)) is None
    assert spec(frame_size=PictureArea(AREA)).frame_size_of(None) is None


class _Shapes:
    """A model that keeps the shapes of the frames it is given."""

    name = "shapes"
    spec = WindowSpec(None, 0.5, 0.5, frames="all", frame_rate_hz=4.0, frame_size=PictureArea(96 * 160))

    def __init__(self) -> None:
        self.seen: set[tuple[int, ...]] = set()

    def session(self, clip: ClipInfo) -> "_Shapes":
        return self

    def process(self, windows: list[Window]) -> Tensor:
        self.seen |= {frame.rgb.shape for window in windows for frame in window.frames}
        return torch.stack([window.mono.expand(2, -1) for window in windows])

    def sources(self) -> list[Source]:
        return []

    def notes(self) -> list[str]:
        return []


@pytest.mark.parametrize(("size", "wanted"), [((90, 160), (96, 160, 3)), ((160, 90), (160, 96, 3))])
def test_a_file_is_read_in_its_own_shape(tmp_path: Path, size: tuple[int, int], wanted: tuple[int, ...]) -> None:
    import av

    from hearsight.inference.engine import run_on_file

    file = tmp_path / "clip.mkv"
    with av.open(str(file), "w") as container:
        picture, sound = container.add_stream("ffv1", rate=4), container.add_stream("pcm_s16le", rate=8000)
        picture.height, picture.width, picture.pix_fmt = *size, "yuv420p"
        sound.layout = "mono"
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 128, np.uint8), format="rgb24")
            container.mux(picture.encode(frame))
        noise = np.random.default_rng(0).integers(-3000, 3000, (1, 8000)).astype(np.int16)
        block = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        block.sample_rate = 8000
        container.mux(sound.encode(block))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
    model = _Shapes()
    run_on_file(model, file, tmp_path / "out.mkv")
    assert model.seen == {wanted}
