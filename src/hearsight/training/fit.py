"""Check that clips suit a network, before any training."""

from collections.abc import Sequence

from hearsight.datasets.prepared import PreparedClip
from hearsight.errors import DataError
from hearsight.models.interface import AudioVisualNetwork


def check_fit(network: AudioVisualNetwork, clips: Sequence[PreparedClip], part: str) -> None:
    """Check sample rates and lengths of clips.

    Args:
        network: network to train.
        clips: clips that its segments are cut from.
        part: part of the recipe's data, for the message.

    Raises:
        DataError: a clip has another sample rate than the network, or is shorter than its segments.
    """
    wanted = network.sample_rate_hz
    for clip in clips:
        rate = clip.settings.sample_rate_hz
        if rate != wanted:
            raise DataError(
                f"data.{part}: {clip.entry.name} is prepared at {rate} Hz, this {network.system} is made for {wanted} "
                f"Hz; prepare the set with --rate {wanted}, or set model.settings.segment.sample_rate_hz",
                "mismatch",
            )
        if clip.entry.samples < network.segment_samples:
            raise DataError(
                f"data.{part}: {clip.entry.name} is {clip.entry.samples / rate:.2f} s, shorter than a segment of "
                f"{network.system}, {network.segment_samples / wanted:.2f} s",
                "too-little",
            )
