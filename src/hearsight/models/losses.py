"""Losses that several systems share, on complex spectrograms."""

from typing import Literal, get_args

from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.signal import STFT, difference

Loss = Literal["squared", "absolute"]


def checked(loss: Loss) -> Loss:
    """Return the name of a loss if it is known.

    Raises:
        ValueError: unknown name.
    """
    if loss not in get_args(Loss):
        raise ValueError(f"loss must be squared or absolute, got {loss!r}")
    return loss


def spectrogram_error(
    predicted: Complex[Tensor, "*batch frequency time"],
    truth: Complex[Tensor, "*batch frequency time"],
    loss: Loss = "squared",
) -> Float[Tensor, ""]:
    """Mean difference over bins and over real and imaginary parts.

    "squared" differences are the papers' ||S - S'||^2 up to its scale; "absolute" ones are what PseudoBinaural's
    scripts and Sep-Stereo's joint training actually minimise. The highest bin is left out where the number of bins is
    odd: the U-Net does not predict it (257 rows in, 256 out).
    """
    rows = truth.shape[-2] - truth.shape[-2] % 2
    error = predicted[..., :rows, :] - truth[..., :rows, :]
    if loss == "absolute":
        return (error.real.abs() + error.imag.abs()).mean() / 2
    return (error.real.square() + error.imag.square()).mean() / 2


def true_ears(item: Item, stft: STFT, system: str) -> Complex[Tensor, "batch 2 frequency time"]:
    """Spectrograms of both ears.

    Raises:
        DataError: the items have no ears.
    """
    if item.ears is None:
        raise DataError(f"{system} learns from both ears, but the items of this dataset have none", "mismatch")
    return stft.forward(item.ears)


def true_difference(item: Item, stft: STFT, system: str) -> Complex[Tensor, "batch frequency time"]:
    """Spectrogram of l - r (2.5D Visual Sound, equation 1).

    Raises:
        DataError: the items have no ears.
    """
    if item.ears is None:
        raise DataError(f"{system} learns from both ears, but the items of this dataset have none", "mismatch")
    return stft.forward(difference(item.ears))
