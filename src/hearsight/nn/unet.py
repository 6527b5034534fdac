"""Conditional audio U-Net that all published systems share (2.5D Visual Sound, section 3.3 and appendix B)."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hearsight.nn.convolution_products import TransposedConvolutionAsProduct

Norm = Literal["batch", "instance"]
Conditioning = Literal["tile", "film"]


class Decoded(NamedTuple):
    """Output of the U-Net.

    Attributes:
        logits: output of the last transposed convolution, before any bound. `[batch, out, frequency, time]`
        stages: output of every inner decoder stage, coarse to fine; stage i has `channels[-2 - i]` channels and 1 /
            2^(n - 1 - i) of the input's rows and columns. Associative convolutions use these.
    """

    logits: Float[Tensor, "batch out frequency time"]
    stages: tuple[Tensor, ...]


class ConditionalUNet(nn.Module):
    """U-Net on a spectrogram, with a conditioning vector at its bottleneck.

    Conditioning "tile" repeats the vector over the bottleneck and concatenates it, as in the papers. "film" scales and
    shifts each channel of the bottleneck with the outputs of one linear layer on the vector, x (1 + gamma) + beta
    (Perez et al., FiLM, AAAI 2018, equation 2, with gamma counted from 1): the first decoder stage then has far fewer
    weights.

    Each encoder stage is a 4 x 4 convolution of stride 2, a norm and a leaky ReLU of slope 0.2; each decoder stage is a
    4 x 4 transposed convolution of stride 2, a norm and ReLU. Encoder stage i is concatenated to decoder stage n - i.
    The last decoder stage has neither norm nor activation: the caller bounds its output (2.5D Visual Sound, appendix
    B). Weights are drawn from N(0, 0.02), batch-norm scales from N(1, 0.02), as in the released code.

    With n stages each axis is halved n times: an axis of k 2^n + 1 (257 rows) loses its last element, as in the papers.

    Args:
        in_channels, out_channels: 2 and 2 for real and imaginary parts of mix and mask.
        channels: channels of the encoder's stages.
        condition_channels: length of the conditioning vector; 0 for an audio-only U-Net.
        norm: see `normalization`.
        conditioning: "tile" or "film".
    """

    def __init__(
        self,
        in_channels: int = 2,
        out_channels: int = 2,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        condition_channels: int = 784,
        norm: Norm = "batch",
        conditioning: Conditioning = "tile",
    ) -> None:
        super().__init__()
        if conditioning not in ("tile", "film"):
            raise ValueError(f"conditioning must be tile or film, got {conditioning!r}")
        widths = [in_channels, *channels]
        self.down = nn.ModuleList(downsample(a, b, norm) for a, b in pairwise(widths))
        ups = []
        modulates = conditioning == "film" and condition_channels > 0
        incoming = channels[-1] + (0 if modulates else condition_channels)
        for outgoing in reversed(channels[:-1]):
            ups.append(upsample(incoming, outgoing, norm))
            incoming = 2 * outgoing  # the skip connection has as many channels
        self.up = nn.ModuleList(ups)
        self.head = nn.ConvTranspose2d(incoming, out_channels, kernel_size=4, stride=2, padding=1)
        self.condition_channels = condition_channels
        self._splits_condition = False
        draw_weights(self)
        self.film = nn.Linear(condition_channels, 2 * channels[-1]) if modulates else None
        if self.film is not None:
            nn.init.normal_(self.film.weight, 0.0, 0.02)
            nn.init.zeros_(self.film.bias)

    def forward(
        self,
        spectrogram: Float[Tensor, "batch in frequency time"],
        condition: Float[Tensor, "_batch condition"] | None = None,
    ) -> Decoded:
        """Logits and the decoder's stages, with one condition for all spectrograms, or one for each.

        Raises:
            ValueError: an axis cannot be halved n times, or the condition is missing or has another length.
        """
        stages, skip = self.stages(spectrogram, condition)
        return Decoded(self.head(torch.cat([stages[-1], skip], dim=1)), stages)

    def stages(
        self,
        spectrogram: Float[Tensor, "batch in frequency time"],
        condition: Float[Tensor, "_batch condition"] | None = None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """The decoder's stages as in `Decoded`, and the first encoder stage.

        Raises:
            ValueError: as `forward`.
        """
        self.check_size(*spectrogram.shape[-2:])
        given = 0 if condition is None else condition.shape[1]
        if given != self.condition_channels:
            raise ValueError(f"the condition must have {self.condition_channels} channels, got {given}")
        encoded = list(accumulate(self.down, lambda x, stage: stage(x), initial=spectrogram))[1:]
        x = encoded[-1]
        if condition is not None and self.film is not None:
            gamma, beta = self.film(condition)[:, :, None, None].chunk(2, dim=1)
            x = x * (1 + gamma) + beta
        elif condition is not None and not self._splits_condition:
            tiled = condition[:, :, None, None].expand(x.shape[0], -1, x.shape[-2], x.shape[-1])
            x = torch.cat([tiled, x], dim=1)
        stages = []
        for i, stage in enumerate(self.up):
            if i == 0 and self._splits_condition:
                assert isinstance(stage, nn.Sequential)
                x = stage[1:](stage[0](x, condition))
            else:
                x = stage(x if i == 0 else torch.cat([x, encoded[-1 - i]], dim=1))
            stages.append(x)
        return tuple(stages), encoded[0]

    def split_condition(self) -> None:
        """Compute the tiled condition's share of the first decoder stage once for all positions, for inference.

        Nothing changes unless that stage's convolution is a `TransposedConvolutionAsProduct`.
        """
        first = self.up[0][0]  # type: ignore[index]
        if self.film is None and self.condition_channels and isinstance(first, TransposedConvolutionAsProduct):
            first.split(self.condition_channels)
            self._splits_condition = True

    def check_size(self, rows: int, columns: int) -> None:
        """Raise if the axes of a spectrogram cannot be halved n times.

        Raises:
            ValueError: an axis cannot be halved.
        """
        unit = 2 ** len(self.down)
        if rows % unit > 1 or rows < unit or columns % unit or not columns:
            raise ValueError(
                f"{len(self.down)} stages need k x {unit} (+ 1) rows and k x {unit} columns, got {rows} x {columns}"
            )


def draw_weights(module: nn.Module) -> None:
    """Draw weights of (transposed) convolutions from N(0, 0.02), and of batch norms from N(1, 0.02) with zero bias.

    Biases of convolutions keep PyTorch's default, as in the released code.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
            nn.init.zeros_(part.bias)


def normalization(norm: Norm, channels: int) -> nn.Module:
    """Norm after a convolution.

    "batch" is the papers' norm. "instance" uses each channel's mean and deviation for each item separately, without
    scale, shift or running statistics, as in PseudoBinaural's released scripts; it has no parameters.

    Raises:
        ValueError: there is no norm with that name.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "instance":
        return nn.InstanceNorm2d(channels)
    raise ValueError(f"norm must be batch or instance, got {norm!r}")


def downsample(in_channels: int, out_channels: int, norm: Norm = "batch") -> nn.Sequential:
    """Encoder stage: convolution that halves each axis, norm, leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1),
        normalization(norm, out_channels),
        nn.LeakyReLU(0.2),
    )


def upsample(in_channels: int, out_channels: int, norm: Norm = "batch") -> nn.Sequential:
    """Decoder stage: transposed convolution that doubles each axis, norm, ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1),
        normalization(norm, out_channels),
        nn.ReLU(),
    )
