"""Separation networks on files: each is shown the right picture, and what it hears is put in its place."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from drawn_clips import still_video
from error_codes import coded
from torch import nn

import hearsight
from hearsight.errors import DataError, MediaError, ModelError
from hearsight.inference import separate_mix
from hearsight.models.mix_and_separate import MixAndSeparate
from hearsight.models.sep_stereo import SepStereo

RATE = 44_100
EDGE_HZ = 2_000.0


class BrightIsLow(nn.Module):
    """Gives a bright picture what is below 2 kHz of the mix, and a dark one what is above."""

    system = "bright-is-low"
    sample_rate_hz, segment_samples, frame_size = 16_000, 10_080, (32, 64)

    def separate(self, mix: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(mix)[:, None]
        low = torch.fft.rfftfreq(mix.shape[-1], 1 / self.sample_rate_hz) < EDGE_HZ
        bright = (frames.mean((2, 3, 4)) > 0)[..., None]
        return torch.fft.irfft(spectrum * (low == bright), mix.shape[-1])


def bands(seconds: float = 2.0) -> np.ndarray:
    """Noise below 1 kHz, and from 3 to 20 kHz. `[2, samples]`"""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(0, 0.1, (2, round(seconds * RATE))))
    frequency = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)
    spectrum[0, frequency > 1_000] = 0
    spectrum[1, (frequency < 3_000) | (frequency > 20_000)] = 0
    return np.fft.irfft(spectrum).astype(np.float32)


def two_halves(path: Path, sound: np.ndarray) -> Path:
    """A video whose left half is white and right half black."""
    still_video(path.with_suffix(".sound.mkv"), sound[None], RATE)
    picture = np.zeros((72, 128, 3), np.uint8)
    picture[:, :64] = 255
    with av.open(str(path.with_suffix(".sound.mkv"))) as source, av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 72, 128, "yuv420p"
        copied = output.add_stream_from_template(source.streams.audio[0])
        for _ in range(round(len(sound) / RATE * 10)):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode(None))
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = copied
                output.mux(packet)
    path.with_suffix(".sound.mkv").unlink()
    return path


@pytest.mark.parametrize("swapped", [False, True])
def test_each_source_gets_what_goes_with_its_part_of_the_picture(tmp_path: Path, swapped: bool) -> None:
    low, high = bands()
    clip = two_halves(tmp_path / "in.mkv", low + high)
    places = [(0.75, 0.5), (0.25, 0.5)] if swapped else [(0.25, 0.5), (0.75, 0.5)]
    stems = hearsight.separate(clip, tmp_path / "out", BrightIsLow(), sources=places)
    assert stems.names == ["source 1", "source 2", "rest"] and stems.model == "bright-is-low"
    found = {name: stems.sound(name) for name in stems.names}
    for name, true in zip(stems.names, (high, low) if swapped else (low, high), strict=False):
        error = (found[name] - true)[4000:-4000]  # the band above 7.2 kHz goes with the octave below
        assert 10 * np.log10((error**2).mean() / (true**2).mean()) < -13
    mix = sum(sound.astype(np.float64) for sound in found.values())
    assert np.allclose(mix, low + high, atol=1e-6)
    assert np.sign(stems.sources[0].track[0].azimuth_deg) == (-1 if swapped else 1)


def test_two_videos_are_mixed_and_separated_by_their_pictures(tmp_path: Path) -> None:
    low, high = bands()
    bright = still_video(tmp_path / "bright.mkv", low[None], RATE, grey=230)
    dark = still_video(tmp_path / "dark.mkv", high[None, : -RATE // 2], RATE, grey=20)
    stems, ratios = separate_mix((dark, bright), tmp_path / "out", BrightIsLow())
    assert stems.names == ["dark", "bright", "rest"] and stems.samples == len(low) - RATE // 2
    assert ratios is not None and ratios.sdr.min() > 12
    assert sorted(p.name for p in (tmp_path / "out").glob("*.wav")) == ["bright.wav", "dark.wav", "rest.wav"]


def test_saved_networks_are_taken_from_their_folders(tmp_path: Path) -> None:
    clip = two_halves(tmp_path / "in.mkv", bands(1.0).sum(0))
    for network in (MixAndSeparate.small(), SepStereo.small()):
        folder = tmp_path / network.system
        network.save_pretrained(folder)
        stems = hearsight.separate(clip, None, folder, sources=[(0.2, 0.5), (0.8, 0.5)])
        total = sum(stems.sound(name).astype(np.float64) for name in stems.names)
        assert stems.model == network.system and np.allclose(total, bands(1.0).sum(0), atol=1e-6)
    with pytest.raises(DataError):
        hearsight.separate(clip, None, tmp_path / "sep-stereo", sources=[(0.2, 0.5)])


def test_what_a_network_cannot_do_is_one_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", bands(1.0)[0], RATE)
    with pytest.raises(MediaError, check=coded("no-picture")):
        hearsight.separate(tmp_path / "in.wav", tmp_path / "out", BrightIsLow(), sources=[(0.2, 0.5)])
    with pytest.raises(ModelError, check=coded("unsupported")):
        separate_mix((tmp_path / "in.wav", tmp_path / "in.wav"), tmp_path / "out", "mono-mono")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]
