"""Videos beside sound files: only what a player presents is measured."""

import numpy as np
import pytest
import soundfile
from error_codes import coded

from hearsight.datasets.fair_play_layout import write_clip
from hearsight.errors import MediaError
from hearsight.evaluation.comparison import compare, read_ears
from hearsight.evaluation.protocols import protocol


def write_tones(folder, seconds=1.37, rate=48_000):
    """A video with AAC (whose encoder pads the end), and the same ears as a wav."""
    times = np.arange(round(seconds * rate)) / rate
    ears = 0.3 * np.sin(2 * np.pi * np.array([[440.0], [330.0]]) * times)
    write_clip(folder, "000001", [np.zeros((32, 32, 3), np.uint8)] * 14, 10, ears, rate)
    return folder / "videos" / "000001.mp4", folder / "binaural_audios" / "000001.wav"


def test_the_padding_of_a_videos_encoder_is_no_part_of_the_prediction(tmp_path):
    video, wav = write_tones(tmp_path)
    result = compare(wav, video, protocol("plain"))
    assert result.problems == []
    assert result.per_clip[0]["duration_s"] == pytest.approx(1.37)
    assert result.per_clip[0]["snr_db"] > 20


def test_a_video_whose_sound_is_damaged_is_not_measured(tmp_path):
    video, wav = write_tones(tmp_path)
    data = bytearray(video.read_bytes())
    at = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[at : at + 6000] = bytes(6000)
    video.write_bytes(data)
    with pytest.raises(MediaError, check=coded("unreadable")):
        read_ears(video)
    assert read_ears(wav)[0].shape == (2, soundfile.info(wav).frames)
