"""Sound classifier: a network that finds the class of instrument in each band at each time, the part of each visible
object, and the share of direct sound."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.saving import SavedNetwork
from hearsight.signal.band_cues import CUES, BandCues
from hearsight.signal.mel_bands import BANDS, SAMPLE_RATE_HZ, MelBands
from hearsight.vision.appearance import APPEARANCE, IMAGENET_INSTRUMENTS

if TYPE_CHECKING:
    from hearsight.mixtures.mixtures import Mixture

WEIGHTS = Path(__file__).parent / "data"
_DYNAMIC_RANGE = 1e-6  # least power relative to the window's mean
_STEM_COLUMNS = 2  # columns that the first convolution joins


class Classified(NamedTuple):
    """Output of the classifier for windows.

    Attributes:
        classes: log probability of each class. `[batch, classes, bands, columns]`
        direct: share of the power that comes straight from the instruments (within 2.5 ms of the first arrival), rather
            than from the room. `[batch, bands, columns]`
    """

    classes: Float[Tensor, "batch classes bands columns"]
    direct: Float[Tensor, "batch bands columns"]


class SoundClassifier(SavedNetwork):
    """A U-Net over 128 bands and 32 ms, with attention over the whole window at its deepest level.

    Its inputs are log powers relative to the window's mean, log powers relative to each band's own mean (which an
    equaliser between instrument and file cannot change), the position of the band, and tonality, steadiness and onsets
    on finer grids (`BandCues`). For each bin it returns a distribution over the classes of instruments and the share of
    direct sound, the same for two columns of 16 ms.

    `associate` joins this output with the picture, like the associative convolution of Sep-Stereo (section 3.2): the
    evidence for each visible object gives a kernel over the classifier's channels, here the probabilities of the
    classes, and the response of the kernel in a bin is the object's part of it. The kernel's weights are positive, so
    with probabilities as features it is Bayes' rule: part(object) ~ sum over classes of p(class | bin) p(object |
    class).

    Args:
        channels: channels of the levels, from the finest to the coarsest.
        layers: number of attention layers at the coarsest.
    """

    system: ClassVar[str] = "sounding-objects"
    learns_from: ClassVar[str] = "mixtures"

    def __init__(self, channels: tuple[int, ...] = (24, 48, 96, 128, 192), layers: int = 2) -> None:
        super().__init__()
        self.bands, self.cues = MelBands(SAMPLE_RATE_HZ), BandCues()
        finest, *deeper = channels
        self.stem = _convolution(3 + CUES, finest, size=5, stride=(1, _STEM_COLUMNS))
        strides = [(2, 2)] * (len(deeper) - 1) + [(2, 1)]  # the deepest keeps its columns of a quarter of a second
        self.columns_joined = _STEM_COLUMNS * math.prod(stride[1] for stride in strides)
        self.down = nn.ModuleList()
        before = finest
        for width, stride in zip(deeper, strides, strict=True):
            self.down.append(nn.Sequential(_convolution(before, width, stride=stride), _Residual(width)))
            before = width
        depth = channels[-1]
        self.place = nn.Parameter(torch.zeros(1, depth, BANDS // 2 ** len(deeper), 1))
        self.attention = nn.ModuleList(
            nn.TransformerEncoderLayer(depth, 4, 2 * depth, 0.0, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.presence = nn.Linear(2 * depth, len(SOUND_CLASSES))
        self.up = nn.ModuleList()
        for width, stride in zip(reversed(channels[:-1]), reversed(strides), strict=True):
            self.up.append(_Up(before, width, stride))
            before = width
        self.head = nn.Sequential(_convolution(finest, 24), nn.Conv2d(24, len(SOUND_CLASSES), 1))
        self.dryness = nn.Linear(2 * depth, 1)
        self.direct = nn.Conv2d(24, 1, 1)
        self.association = Association()

    @classmethod
    def shipped(cls) -> "SoundClassifier":
        """The classifier with the weights in the package."""
        return cls.from_pretrained(WEIGHTS)

    def forward(
        self, power: Float[Tensor, "batch bands columns"], cues: Float[Tensor, "batch cues bands columns"]
    ) -> Classified:
        """Classify each bin of a window of band powers (`MelBands.powers`) and cues (`BandCues`) of any length."""
        classes, direct = (
            steps.repeat_interleave(_STEM_COLUMNS, -1)[..., : power.shape[-1]]
            for steps in self._classified(power, cues)
        )
        return Classified(classes, direct.sigmoid())

    def _classified(
        self, power: Tensor, cues: Tensor
    ) -> tuple[Float[Tensor, "batch classes bands steps"], Float[Tensor, "batch bands steps"]]:
        """Log probabilities of the classes, and the logit of the direct share, one step per `_STEM_COLUMNS` columns."""
        padded = F.pad(torch.cat([_features(power), cues.float()], 1), (0, -power.shape[-1] % self.columns_joined))
        levels = [self.stem(padded.contiguous(memory_format=torch.channels_last))]
        for down in self.down:
            levels.append(down(levels[-1]))
        deep = levels.pop() + self.place
        batch, depth, rows, times = deep.shape
        tokens = (deep + _time_code(depth, times).to(deep)).flatten(2).transpose(1, 2)
        for layer in self.attention:
            tokens = layer(tokens)
        whole = torch.cat([tokens.mean(1), tokens.amax(1)], -1)
        x = tokens.transpose(1, 2).reshape(batch, depth, rows, times)
        for up in self.up:
            x = up(x, levels.pop())
        joined, classes = self.head
        features = joined(x)
        logits = classes(features).float() + self.presence(whole).float()[..., None, None]
        direct = self.direct(features).float() + self.dryness(whole).float()[..., None, None]
        return logits.log_softmax(1), direct[:, 0]

    def loss_terms(self, pair: "Mixture") -> dict[str, Tensor]:
        """Cross entropies, in nats per bin, of the classes, of the visible objects' parts and of the direct share.

        Bins are weighted by the fourth root of their power relative to the window's mean, so that quiet ones matter a
        little.
        """
        classified, direct = self._classified(pair.power, pair.cues)
        steps = classified.shape[-1]
        relative = pair.power / pair.power.mean((-2, -1), keepdim=True).clamp_min(1e-12)
        weight = _by_step(relative.clamp(0, 16).pow(0.25), steps)
        weight = weight / weight.sum()
        classes = -(_by_step(pair.classes.float(), steps) * classified).sum(1)
        parts = -(_by_step(pair.parts.float(), steps) * self.associate(classified, pair.evidence)).sum(1)
        true = _by_step(pair.direct.float(), steps)
        straight = F.binary_cross_entropy_with_logits(direct, true, reduction="none")
        return {
            "classes": (classes * weight).sum(), "parts": (parts * weight).sum(), "direct": (straight * weight).sum(),
        }  # fmt: skip

    def associate(
        self, classes: Float[Tensor, "batch classes bands columns"], evidence: Float[Tensor, "batch objects seen"]
    ) -> Float[Tensor, "batch parts bands columns"]:
        """Log of the part of each visible object in each bin, then of the rest; the parts add up to 1.

        Args:
            classes: log probabilities of the classes.
            evidence: evidence of each object for the ImageNet classes `IMAGENET_INSTRUMENTS`; a row of zeros is no
                object and gets nothing.
        """
        kernels = self.association(evidence)
        mixed = torch.einsum("bpk,bkft->bpft", kernels, classes.exp())
        return (mixed + 1e-12).log() - (mixed.sum(1, keepdim=True) + 1e-12).log()


class Association(nn.Module):
    """Kernels from evidence: the affinity of each visible object, and of the rest, to each class of sound."""

    def __init__(self) -> None:
        super().__init__()
        table = torch.as_tensor(APPEARANCE, dtype=torch.float32)  # [instruments, seen]
        known = torch.zeros(len(IMAGENET_INSTRUMENTS), len(SOUND_CLASSES))
        known[:, : table.shape[0]] = (table / table.sum(0, keepdim=True).clamp_min(1e-3)).T
        self.weights = nn.Parameter(_inverse_softplus(known.clamp_min(0.01)))
        self.exponent = nn.Parameter(torch.tensor(0.5))
        unseen = torch.full((len(SOUND_CLASSES),), -3.0)
        unseen[-1] = 2.0
        self.unseen = nn.Parameter(unseen)

    def forward(self, evidence: Float[Tensor, "batch objects seen"]) -> Float[Tensor, "batch parts classes"]:
        """Positive kernels over the classes, of each object, then of the rest."""
        strength = evidence.float() @ F.softplus(self.weights)
        kernels = (strength + 1e-4).pow(F.softplus(self.exponent))
        kernels = kernels * (evidence.sum(-1, keepdim=True) > 0)
        rest = self.unseen.exp().expand(len(evidence), 1, -1)
        return torch.cat([kernels, rest], 1)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x), inplace=True)


class _Up(nn.Module):
    """Upsampling of bands and columns, joined with the level of the same size."""

    def __init__(self, deep: int, width: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.scale = (float(stride[0]), float(stride[1]))
        self.reduce = nn.Conv2d(deep, width, 1)
        self.join = _convolution(2 * width, width)

    def forward(self, deep: Tensor, level: Tensor) -> Tensor:
        raised = F.interpolate(self.reduce(deep), scale_factor=self.scale, mode="nearest")
        return self.join(torch.cat([raised, level], 1))


def _convolution(before: int, after: int, size: int = 3, stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)
    )


def _by_step(values: Float[Tensor, "*any columns"], steps: int) -> Float[Tensor, "*any steps"]:
    """Means over the columns of each step; padding counts as zero."""
    padded = F.pad(values, (0, steps * _STEM_COLUMNS - values.shape[-1]))
    return padded.unflatten(-1, (steps, _STEM_COLUMNS)).mean(-1)


def _features(power: Float[Tensor, "batch bands columns"]) -> Float[Tensor, "batch 3 bands columns"]:
    relative = power / power.mean((-2, -1), keepdim=True).clamp_min(1e-12)
    level = (relative + _DYNAMIC_RANGE).log() / 4
    own = level - level.mean(-1, keepdim=True)
    place = torch.linspace(-1, 1, power.shape[-2], device=power.device)[:, None].expand_as(level)
    return torch.stack([level, own, place], 1)


def _time_code(depth: int, times: int) -> Float[Tensor, "1 depth 1 times"]:
    """Sines and cosines of the time within the window (Vaswani et al., 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, depth, 2) * (-math.log(1000.0) / depth))
    phase = torch.arange(times)[None] * rate[:, None]
    return torch.stack([phase.sin(), phase.cos()], 1).reshape(1, depth, 1, times)


def _inverse_softplus(value: Tensor) -> Tensor:
    return torch.log(torch.expm1(value))
