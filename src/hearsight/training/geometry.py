"""Three auxiliary tasks that make a visual backbone learn geometry while any stereo network is trained.

After Garg, Gao and Grauman, "Geometry-Aware Multi-Task Learning for Binaural Audio Generation from Video", BMVC 2021:
the network's feature map of the frame must also predict

- "response": the impulse response of the scene, here the log magnitudes of both ears' response to one of its sources
(known in simulated sets), in 64 bands and 16 columns of 20 ms;
- "flip": whether left and right of the recorded ears were exchanged, from sound and picture together;
- "consistency": the same as the map of the neighbouring picture, up to a margin: max(|v - v'|^2 - margin, 0), the mean
square over the map.

The heads of these tasks are trained with the network and discarded. The paper's full text was not available: the tasks
are its own; the sizes of the heads, the margin and the default weights are hearsight's. The feature map is computed
once more for these tasks, and once for the neighbouring picture, so that the visual part of a step costs up to three
times as much.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.datasets import Item
from hearsight.errors import DataError, ModelError
from hearsight.models.interface import StereoNetwork
from hearsight.signal import STFT

TASKS = ("response", "flip", "consistency")
MARGIN = 0.05
BANDS, COLUMNS = 64, 16
_FLOOR = 1e-3  # relative to a response's largest magnitude: 60 dB
_COLUMN_S = 0.02


class GeometryTasks(nn.Module):
    """Heads of the auxiliary tasks, and their losses.

    Args:
        network: network whose `feature_map` is used.
        weights: weights of some of `TASKS`.

    Raises:
        ModelError: a task is unknown, or the network has no feature map.
    """

    def __init__(self, network: StereoNetwork, weights: Mapping[str, float]) -> None:
        super().__init__()
        unknown = sorted(set(weights) - set(TASKS))
        if unknown:
            raise ModelError(f"model: auxiliary: unknown task {unknown[0]!r}; known: {', '.join(TASKS)}", "unknown")
        self.weights = dict(weights)
        training = network.training
        with torch.no_grad():
            features = network.eval().feature_map(torch.zeros(1, 3, *network.frame_size))
        network.train(training)
        if features is None:
            raise ModelError(
                f"model: auxiliary: {network.system} has no feature map of the picture to learn by", "unsupported"
            )
        self.reduce = nn.Sequential(nn.Conv2d(features.shape[1], 8, kernel_size=1), nn.ReLU())
        seen = 8 * features.shape[2] * features.shape[3]
        if "flip" in self.weights:
            widths = (4, 16, 32, 64)
            self.hear = nn.Sequential(*(_halving(a, b) for a, b in pairwise(widths)), nn.AdaptiveAvgPool2d(1))
            self.judge = nn.Sequential(nn.Linear(64 + seen, 64), nn.ReLU(), nn.Linear(64, 1))
        if "response" in self.weights:
            self.respond = nn.Sequential(nn.Linear(seen, 256), nn.ReLU(), nn.Linear(256, 2 * BANDS * COLUMNS))

    def losses(self, network: StereoNetwork, item: Item) -> dict[str, Tensor]:
        """Named, weighted losses of a batch.

        Raises:
            DataError: the items lack the ears, the previous frames or the responses that a task needs.
        """
        features = network.feature_map(item.frames)
        assert features is not None  # checked in the constructor
        seen = self.reduce(features).flatten(1)
        terms = {}
        if "response" in self.weights:
            terms["response"] = self._response_loss(seen, item)
        if "flip" in self.weights:
            terms["flip"] = self._flip_loss(seen, network.stft, item)
        if "consistency" in self.weights:
            if item.previous_frames is None:
                raise DataError("model: auxiliary: consistency needs items with the previous picture", "mismatch")
            before = network.feature_map(item.previous_frames)
            assert before is not None
            terms["consistency"] = consistency_loss(features, before)
        return {name: self.weights[name] * term for name, term in terms.items()}

    def _flip_loss(self, seen: Tensor, stft: STFT, item: Item) -> Tensor:
        if item.ears is None:
            raise DataError("model: auxiliary: flip needs items with two ears", "mismatch")
        flipped = torch.rand(item.ears.shape[0], device=item.ears.device) < 0.5
        ears = torch.where(flipped[:, None, None], item.ears.flip(-2), item.ears)
        bins = stft.forward(ears)
        heard = self.hear(torch.cat([bins.real, bins.imag], dim=1)).flatten(1)
        logits = self.judge(torch.cat([heard, seen], dim=1))[:, 0]
        return F.binary_cross_entropy_with_logits(logits, flipped.to(logits))

    def _response_loss(self, seen: Tensor, item: Item) -> Tensor:
        if item.response is None:
            raise DataError(
                "model: auxiliary: response needs items with impulse responses; simulated sets have them (simulate and "
                "prepare anew if yours is older), recordings do not",
                "mismatch",
            )
        truth = log_response(item.response, item.sample_rate_hz)
        return F.mse_loss(self.respond(seen).unflatten(1, (2, BANDS, COLUMNS)), truth)


def consistency_loss(
    features: Float[Tensor, "batch channels h w"], before: Float[Tensor, "batch channels h w"]
) -> Float[Tensor, ""]:
    """Mean square difference of the maps of neighbouring pictures, as far as it exceeds `MARGIN`, averaged over the
    batch."""
    return ((features - before).square().mean((1, 2, 3)) - MARGIN).clamp_min(0).mean()


def log_response(
    response: Float[Tensor, "batch 2 samples"], sample_rate_hz: int
) -> Float[Tensor, "batch 2 bands columns"]:
    """Natural logarithm of a response's magnitudes over its largest, from -7 (60 dB below) to 0, in columns of 20 ms.

    The bands divide the spectrum evenly. Longer responses are cut, shorter ones padded with silence.
    """
    hop = round(_COLUMN_S * sample_rate_hz)
    samples = hop * COLUMNS - hop
    sound = F.pad(response, (0, max(0, samples - response.shape[-1])))[..., :samples]
    size = 1 << (2 * hop - 1).bit_length()
    magnitudes = STFT(size, 2 * hop, hop, padding="zeros").forward(sound).abs()
    magnitudes = F.adaptive_avg_pool2d(magnitudes, (BANDS, COLUMNS))
    largest = magnitudes.amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    return (magnitudes / largest).clamp_min(_FLOOR).log()


def _halving(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))
