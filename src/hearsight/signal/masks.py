"""Complex masks on spectrograms (2.5D Visual Sound, section 3.3)."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def bounded_mask(logits: Float[Tensor, "*batch 2 frequency time"]) -> Complex[Tensor, "*batch frequency time"]:
    """Complex mask with real and imaginary parts in (-1, 1): `2 sigmoid(x) - 1` of the two channels."""
    if logits.dtype in (torch.bfloat16, torch.float16):  # under autocast; complex numbers need float32
        logits = logits.float()
    bounded = 2 * torch.sigmoid(logits) - 1
    return torch.complex(bounded[..., 0, :, :], bounded[..., 1, :, :])


def apply_mask(
    mask: Complex[Tensor, "*batch masked_frequency time"], spectrogram: Complex[Tensor, "*batch frequency time"]
) -> Complex[Tensor, "*batch frequency time"]:
    """Product of mask and spectrogram; rows above the mask's last row are zero.

    The papers' U-Net takes 257 rows and returns 256: the highest bin has no prediction and is zero in the difference.
    """
    rows = mask.shape[-2]
    if rows > spectrogram.shape[-2] or mask.shape[-1] != spectrogram.shape[-1]:
        raise ValueError(f"a mask {tuple(mask.shape)} does not fit a spectrogram {tuple(spectrogram.shape)}")
    missing = spectrogram.shape[-2] - rows
    product = mask * (spectrogram[..., :rows, :] if missing else spectrogram)
    return zeros_above(product, missing)


def zeros_above(
    spectrogram: Complex[Tensor, "*batch frequency time"], rows: int
) -> Complex[Tensor, "*batch more_frequency time"]:
    """Add `rows` rows of zeros above a spectrogram's highest bin."""
    if not rows:
        return spectrogram
    above = (0, 0, 0, rows)  # real and imaginary part separately, because ONNX pads only real numbers
    pad = torch.nn.functional.pad
    return torch.complex(pad(spectrogram.real, above), pad(spectrogram.imag, above))
