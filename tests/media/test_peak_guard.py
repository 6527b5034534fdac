"""True peaks hold after encoding, whatever the codec makes of the sound."""

import numpy as np
import pytest
import torch
from media_clips import Clip, make_clip
from tiers import thinned

from hearsight.media import BinauralWriter, read_sound
from hearsight.media.codecs import SOUND_CODECS
from hearsight.media.peak_guard import PeakGuard
from hearsight.signal.true_peak import true_peaks

RATE = 48_000


def bursts(seconds: float = 2.0) -> torch.Tensor:
    """Tone bursts up to full scale, which AAC overshoots by more than 1 dB, and noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * 1000 * t) * ((t * 5).astype(int) % 2)
    noise = np.cumsum(np.random.default_rng(0).uniform(-1, 1, len(t)))
    noise -= np.convolve(noise, np.ones(400) / 400, "same")
    ears = np.stack([tone, np.where(t < seconds / 2, tone, noise / np.abs(noise).max())])
    # Sound that is cut off has a true peak where it is cut, which the encoder's later samples do not have.
    ears *= np.clip((seconds - t) / 0.01, 0, 1)
    return torch.from_numpy(ears).float() * 0.89


@pytest.mark.parametrize("codec", thinned(["aac", "flac", "mp3", "opus", "ac3"], 2))
def test_the_decoded_output_stays_below_the_ceiling(tmp_path, codec):
    source = make_clip(tmp_path / "in.mkv", Clip(picture=None, sound="flac", seconds=2))
    ears = bursts()
    peaks = {}
    for ceiling_db in (None, -1.0):
        target = tmp_path / f"out{ceiling_db}.mkv"
        with BinauralWriter(source, target, RATE, codec, true_peak_db=ceiling_db) as writer:
            for begin in range(0, ears.shape[1], 10_000):
                writer.write(ears[:, begin : begin + 10_000])
        decoded, _ = read_sound(target)
        assert abs(decoded.shape[1] - ears.shape[1]) < 3000
        peaks[ceiling_db] = 20 * np.log10(true_peaks(decoded).max())
        # What players skip (the codec's own silence and fill) counts for the writer, too.
        assert peaks[ceiling_db] - 0.1 < writer.true_peak_db < peaks[ceiling_db] + 0.5
    assert peaks[-1.0] <= -1.0 + 0.05
    assert peaks[-1.0] > -3.0, "it is turned down no more than needed"
    if codec == "aac":
        assert peaks[None] > -0.8, "without it the codec overshoots"


def test_quiet_sound_passes_as_it_is_and_gains_are_smooth():
    guard = PeakGuard(SOUND_CODECS["aac"], RATE, -1.0)
    quiet = bursts() * 0.3
    out = torch.cat([guard.process(quiet[:, :70_000]), guard.process(quiet[:, 70_000:], last=True)], dim=-1)
    assert torch.equal(out, quiet)
    guard, parts = PeakGuard(SOUND_CODECS["aac"], RATE, -1.0), []
    loud = bursts()
    for begin in range(0, loud.shape[1], 9_000):
        parts.append(guard.process(loud[:, begin : begin + 9_000], last=begin + 9_000 >= loud.shape[1]))
    out = torch.cat(parts, dim=-1)
    assert out.shape == loud.shape
    audible = loud[1].abs() > 0.3
    gain = (out[1] / loud[1])[audible]
    place = torch.arange(loud.shape[1])[audible]
    slope = gain.diff().abs() / place.diff()
    assert gain.max() <= 1 + 1e-6 and gain.min() > 0.3
    assert slope.max() < 0.35 / (0.002 * RATE), "no step"


def test_a_peak_in_the_last_packets_counts(tmp_path):
    source = make_clip(tmp_path / "in.mkv", Clip(picture=None, sound="flac", seconds=2))
    ears = 0.1 * bursts()
    ears[:, -6000:-3000] *= 5
    with BinauralWriter(source, tmp_path / "out.mkv", RATE, "aac", true_peak_db=None) as writer:
        for begin in range(0, ears.shape[1], 10_000):
            writer.write(ears[:, begin : begin + 10_000])
    decoded, _ = read_sound(tmp_path / "out.mkv")
    assert writer.true_peak_db == pytest.approx(20 * np.log10(true_peaks(decoded).max()), abs=0.05)
    assert true_peaks(decoded[:, :-10_000]).max() < 0.5 * true_peaks(decoded).max()
