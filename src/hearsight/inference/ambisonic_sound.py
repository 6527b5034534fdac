"""Binaural decoding of recorded ambisonics (360-degree video), block by block, without a model."""

import re

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import binaural_decoder, load_hrirs
from hearsight.signal.context import ContextStream

_ORDER = re.compile(r"ambisonic (\d+)")


def ambisonic_order(layout: str) -> int | None:
    """Order of a layout like "ambisonic 1" or "ambisonic 1+stereo" (FFmpeg's names); None for other layouts."""
    found = _ORDER.match(layout)
    return None if found is None else int(found[1])


class AmbisonicDecoder:
    """Decoder of a sound field (ACN, SN3D, as in the container's SA3D box or layout) that faces ahead with the picture.

    It uses virtual loudspeakers and HRIRs (KEMAR, diffuse-field equalised). Channels beyond the field do not belong to
    it: head-locked stereo is added to the ears unchanged, other channels to both ears.

    Args:
        sample_rate_hz: sample rate of the sound.
        layout: FFmpeg's name of the layout.
        channels: number of channels of the sound.
        hrtf: path of a SOFA file; None for KEMAR.
    """

    def __init__(self, sample_rate_hz: int, layout: str, channels: int, hrtf: str | None = None) -> None:
        order = ambisonic_order(layout)
        if order is None:
            raise ValueError(f"{layout!r} is no ambisonic layout")
        self._field = (order + 1) ** 2
        hrirs = load_hrirs(hrtf, diffuse_field_equalized=True).at_rate(sample_rate_hz)
        self._filters = binaural_decoder(hrirs, order).float()
        self._stream = ContextStream(self._decoded, self._filters.shape[-1], channels, 2)

    def process(self, block: Float[Tensor, "channels samples"], last: bool = False) -> Float[Tensor, "2 ready"]:
        """Return the ears that are ready; with `last`, the remaining ones too."""
        return self._stream.process(block, last)

    def _decoded(self, block: Tensor) -> Tensor:
        taps = self._filters.shape[-1]
        samples = block.shape[-1] - 2 * taps
        field = block[: self._field]
        length = 1 << (field.shape[-1] + taps - 1).bit_length()
        spectrum = torch.einsum("cf,ecf->ef", torch.fft.rfft(field, length), torch.fft.rfft(self._filters, length))
        ears = torch.fft.irfft(spectrum, length)[:, taps : taps + samples]
        beside = block[self._field :, taps : taps + samples]
        if beside.shape[0] == 2:
            return ears + beside
        return ears + beside.sum(0)
