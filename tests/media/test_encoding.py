"""A drawn video is in step, even-sized, and as long as its sound."""

from itertools import repeat

import numpy as np
import pytest
import torch
from error_codes import coded

from hearsight.errors import HearsightError, MediaError
from hearsight.media import probe, read_frames, read_sound, write_video


def flashes(rate, seconds, at_s, size=(48, 64)):
    """Dark pictures, bright from a time on."""
    for index in range(round(rate * seconds)):
        yield np.full((*size, 3), 230 if index / rate >= at_s - 1e-9 else 10, np.uint8)


def click(sample_rate_hz, seconds, at_s, block=4096, channels=2):
    sound = torch.zeros(channels, round(sample_rate_hz * seconds))
    sound[:, round(at_s * sample_rate_hz) :] = 0.5 * torch.sin(
        torch.arange(sound.shape[1] - round(at_s * sample_rate_hz)) * 0.3
    )
    return sound.split(block, dim=1)


@pytest.mark.parametrize(("suffix", "sample_rate_hz", "rate"), [(".mp4", 48_000, 25), (".mkv", 16_000, 30000 / 1001)])
def test_picture_and_sound_are_in_step(tmp_path, suffix, sample_rate_hz, rate):
    path = tmp_path / f"drawn{suffix}"
    at_s = 30 / rate
    write_video(path, flashes(rate, 3, at_s), rate, click(sample_rate_hz, 3, at_s), sample_rate_hz)
    seen_s = next(frame.shown_s for frame in read_frames(path) if frame.rgb.mean() > 100)
    ears, back_hz = read_sound(path)
    heard_s = int((ears[0].abs() > 0.1).nonzero()[0]) / back_hz
    assert back_hz == sample_rate_hz and abs(seen_s - heard_s) < 0.01
    assert abs(heard_s - at_s) < 0.01 and ears.shape[-1] / back_hz == pytest.approx(3, abs=0.1)


def test_an_odd_row_and_column_are_cut_off(tmp_path):
    write_video(tmp_path / "odd.mp4", flashes(10, 1, 0.5, (75, 41)), 10, click(16_000, 1, 0.5), 16_000)
    video = probe(tmp_path / "odd.mp4").video
    assert (video.height, video.width) == (74, 40)


def test_a_rate_that_aac_does_not_know_is_resampled(tmp_path):
    write_video(tmp_path / "fast.mp4", flashes(10, 1, 0.5), 10, click(192_000, 1, 0.5, channels=1), 192_000)
    assert probe(tmp_path / "fast.mp4").audio.sample_rate_hz == 96_000


def test_the_sound_ends_the_video(tmp_path):
    endless = repeat(np.zeros((32, 32, 3), np.uint8))
    write_video(tmp_path / "a.mp4", endless, 10, click(16_000, 1, 0.5), 16_000)
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 10


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(MediaError, match=r"\.mp4", check=coded("unsupported")):
        write_video(tmp_path / "a.webm", flashes(10, 1, 0.5), 10, click(16_000, 1, 0.5), 16_000)
    with pytest.raises(MediaError, check=coded("too-little")):
        write_video(tmp_path / "a.mp4", [], 10, click(16_000, 1, 0.5), 16_000)
    with pytest.raises(MediaError, check=coded("too-little")):
        write_video(tmp_path / "a.mp4", flashes(10, 1, 0.5), 10, [], 16_000)
    with pytest.raises(HearsightError, check=coded("missing")):
        write_video(tmp_path / "no" / "a.mp4", flashes(10, 1, 0.5), 10, click(16_000, 1, 0.5), 16_000)
    assert list(tmp_path.iterdir()) == []
