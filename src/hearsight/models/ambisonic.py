"""Ambisonic: first-order ambisonics predicted from mono and frames, then decoded to two ears with HRIRs.

The 360-degree baseline of Morgado, Vasconcelos, Langlois and Wang, "Self-Supervised Generation of Spatial Audio for 360
Video", NeurIPS 2018, as 2.5D Visual Sound (section 4.3, "Ambisonics") and PseudoBinaural (section 3.1) describe it.

- Inputs and fusion: as Mono2Binaural.
- Output: W is the mono sound (half of l + r: the sound at one ear of a source ahead); three complex masks on l + r give
  Y, Z and X (ACN order, SN3D). The masks are not bounded: where several sources overlap in a bin, the field's gradient
  can exceed its pressure. The field is decoded by virtual speakers and the pseudo-inverse (PseudoBinaural, equations 6
  to 8) with HRIRs resampled to the network's rate.
- Loss: mean squared errors of l - r and, with a tenth of the weight, of l + r of the decoded ears against the true
  ones, to which 360-degree datasets are decoded as well.
- Prediction: l - r of the decoded ears. They need not add up to the mix (the paper's baseline does not promise it); the
  ears that hearsight makes of the difference do. For a symmetric head, l - r depends on Y alone.
- Sizes: 34.3 million parameters.

Approximate: the HRIRs act on spectrograms, one complex factor per bin, rather than on waveforms. With the defaults the
error against the exact convolution is at least 29 dB below the ears (white noise from four directions,
`tests/models/test_ambisonic.py`); with the short windows of `small`, 24 dB.

Unlike Morgado et al., whose network the papers at hand do not describe further: one network predicts the masks, in
place of a separation and a localisation block; it takes one frame and no optical flow.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.acoustics import HRIRSet, binaural_decoder, load_hrirs
from hearsight.datasets.item import Item
from hearsight.models.guided import GuidedUNet
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.losses import spectrogram_error, true_ears
from hearsight.signal import STFT, zeros_above


class Ambisonic(GuidedUNet, StereoNetwork):
    """The 360-degree baseline.

    `StereoResult.extras`:
    - `ambisonics`: spectrograms of W, Y, Z, X. `[batch, 4, frequency, time]`
    - `left`, `right`: spectrograms of the decoded ears. `[batch, frequency, time]`

    Args:
        segment: sizes of segments and frames.
        hrtf: SOFA file of the head; None for the KEMAR set of the package. Read once, here: a saved network carries its
            decoder.
        speakers: layout of the virtual speakers (`acoustics.speaker_layout`).
        mix_weight: weight of the loss of l + r; 1 weighs the errors of both ears alike.
        backbone: further arguments of `GuidedUNet`.

    Raises:
        DataError: the SOFA file cannot be used.
    """

    system: ClassVar[str] = "ambisonic"
    not_saved: ClassVar[frozenset[str]] = frozenset({"visual_weights", "hrtf"})
    decoder: Tensor

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        hrtf: str | Path | None = None,
        speakers: str = "lebedev-26",
        mix_weight: float = 0.1,
        **backbone: Any,
    ) -> None:
        super().__init__(segment, 2, 6, **backbone)
        self.mix_weight = mix_weight
        response = decoder_response(load_hrirs(hrtf), self.stft, self.sample_rate_hz, speakers)
        self.register_buffer("decoder", torch.view_as_real(response).contiguous())

    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """Predict the spectrogram of l - r of the decoded ears from the spectrogram of l + r and the feature map."""
        assert isinstance(visual, Tensor)
        logits = self.unet(torch.stack([mix.real, mix.imag], dim=1), self.condition(visual)).logits.float()
        rows = logits.shape[-2]
        heard = mix[:, :rows]
        field = [heard / 2]  # W
        field += [torch.complex(logits[:, 2 * i], logits[:, 2 * i + 1]) * heard for i in range(3)]  # Y, Z, X
        field[1] = field[1] / self._lateral()[:rows, None]
        left, right = (self._decoded(field, ear) for ear in range(2))
        above = mix.shape[-2] - rows
        extras = {
            "ambisonics": torch.stack([zeros_above(channel, above) for channel in field], dim=1),
            "left": zeros_above(left, above),
            "right": zeros_above(right, above),
        }
        return StereoResult(zeros_above(left - right, above), extras)

    def _decoded(self, field: Sequence[Tensor], ear: int) -> Complex[Tensor, "batch frequency time"]:
        """Spectrogram of one ear, decoded from the field (equation 8, in the frequency domain)."""
        rows = field[0].shape[-2]
        response = self.decoder[ear, :, :rows, None]
        heard = [channel * torch.complex(response[c, ..., 0], response[c, ..., 1]) for c, channel in enumerate(field)]
        return heard[0] + heard[1] + heard[2] + heard[3]

    def _lateral(self) -> Float[Tensor, "frequency"]:
        """Magnitude of the difference between the ears' responses to Y, at least 1/4. Y's mask is divided by it, so
        that a given mask makes the same difference at all frequencies. Otherwise low frequencies, where the ears hardly
        differ, would be learned last."""
        apart = self.decoder[0, 1] - self.decoder[1, 1]
        return apart.square().sum(-1).sqrt().clamp_min(0.25)

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`difference` and `mix`: squared errors of l - r and l + r of the decoded ears."""
        true_left, true_right = true_ears(item, self.stft, self.system).unbind(1)
        both = spectrogram_error(result.extras["left"] + result.extras["right"], true_left + true_right)
        return {
            "difference": spectrogram_error(result.difference, true_left - true_right),
            "mix": self.mix_weight * both,
        }


def decoder_response(
    hrirs: HRIRSet, stft: STFT, sample_rate_hz: int, speakers: str = "lebedev-26"
) -> Complex[Tensor, "2 4 frequency"]:
    """Response of each ear to W, Y, Z and X at each bin of the STFT.

    The delay from straight ahead to the ears is removed, so that the decoded ears are in time with the mono sound to
    which they are compared and added. The response is scaled so that a source ahead with W = 1 gives ears that add up
    to 2 (root mean square over bins), as W = (l + r) / 2 requires.
    """
    hrirs = hrirs.at_rate(sample_rate_hz)
    filters = binaural_decoder(hrirs, order=1, layout=speakers).double()
    bins = torch.arange(stft.bins, dtype=torch.float64)
    taps = torch.arange(filters.shape[-1], dtype=torch.float64)
    ahead = int((torch.cos(hrirs.azimuth) * torch.cos(hrirs.elevation)).argmax())
    delay = float(hrirs.onset_delays_s()[ahead].mean()) * sample_rate_hz
    angle = -2 * math.pi / stft.n_fft * bins[:, None] * (taps - delay)
    waves = torch.polar(torch.ones_like(angle), angle)  # the response of any length of filter, at these bins only
    response = filters.to(waves.dtype) @ waves.T
    from_ahead = response[:, [0, 3]].sum((0, 1))  # W = X = 1, Y = Z = 0
    return (response * (2 / from_ahead.abs().square().mean().sqrt())).to(torch.complex64)
