"""High dynamic range to what a usual screen shows, against the formulas of ITU-R BT.2100."""

import math
from pathlib import Path

import av
import numpy as np
import pytest

from hearsight.media.picture import read_frames
from hearsight.media.tone_mapping import HLG, PQ, tone_mapped

BT709 = 1


def hlg_signal(light: float) -> float:
    """OETF of HLG, of scene light with a peak of 1."""
    return math.sqrt(3 * light) if light <= 1 / 12 else 0.17883277 * math.log(12 * light - 0.28466892) + 0.55991073


def pq_signal(nits: float) -> float:
    """Inverse EOTF of PQ."""
    power = (nits / 10_000) ** (2610 / 16384)
    return float(((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32))


@pytest.mark.parametrize("grey", [0.02, 0.18, 0.5, 0.75])
def test_greys_below_white_come_out_as_a_usual_screen_shows_them(grey):
    peak = 0.2649  # of scene light, that diffuse white is: HLG's inverse OETF of 0.75
    for transfer, signal in ((HLG, hlg_signal(grey * peak)), (PQ, pq_signal(203 * grey))):
        picture = np.full((4, 4, 3), round(255 * signal), np.uint8)
        np.testing.assert_allclose(tone_mapped(picture, transfer) / 255, grey ** (1 / 2.4), atol=0.03)


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_brighter_stays_brighter_and_the_brightest_is_white(transfer):
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    shown = tone_mapped(ramp, transfer)[0, :, 1].astype(int)
    assert (np.diff(shown) >= 0).all() and shown[0] == 0 and shown[-1] >= 253


def test_a_usual_picture_is_left_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    assert tone_mapped(picture, BT709) is picture


def test_frames_of_an_hlg_video_are_mapped(tmp_path: Path):
    clip = tmp_path / "hlg.mkv"
    with av.open(str(clip), "w") as written:
        stream = written.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        stream.codec_context.color_trc = HLG
        for _ in range(5):
            frame = av.VideoFrame(64, 48, "yuv420p10le")
            for plane, value in zip(frame.planes, (round(64 + 876 * 0.38), 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
            frame.color_trc = HLG
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
    frame = next(iter(read_frames(clip)))
    expected = (0.38**2 / 3 / 0.2649) ** (1 / 2.4)  # lighter than the 0.38 of the file
    assert frame.rgb.mean() / 255 == pytest.approx(expected, abs=0.03)
    assert expected > 0.48
