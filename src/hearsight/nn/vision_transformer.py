"""Vision transformers as feature extractors. Architecture and published weights come from transformers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.errors import DependencyError, ModelError
from hearsight.nn.imagenet import DEVIATION, MEAN


class VisionTransformer(nn.Module):
    """Patch tokens of some layers of a ViT, as feature maps (Beyond Mono to Binaural, section 3.2).

    ViT-Large by default: `[batch, 3, H, W]` to four maps `[batch, 1024, H / 16, W / 16]`, of layers 6, 12, 18 and 24.
    The class token and the norm after the last layer are left out (as in the dense prediction transformer, DPT).

    The network and its tensor names are those of the encoder in transformers' `DPTModel`, which is the ViT of
    Dosovitskiy et al. Published weights may be those of a DPT ("Intel/dpt-large", trained for depth on MIX6) or of a
    ViT ("google/vit-large-patch16-384", ImageNet). Both were trained on pixels scaled to [-1, 1]; frames are
    ImageNet-normalised here and rescaled inside.

    Args:
        width, layers, heads: width of the tokens, number of layers and of attention heads (1024, 24, 16: ViT-Large).
        mlp_width: width of each layer's hidden layer.
        taken: layers whose outputs are returned, counted from 1.
        patch: side of a patch in pixels.
        grid: side of the square grid of learned position embeddings, which are interpolated to the frame's grid (24:
            the 384 x 384 pixels of the published networks).
        weights: name on the Hugging Face Hub or folder of published weights; None for random ones. Read once, here.
        frozen: no gradients.

    Raises:
        ModelError: the published weights are of another architecture.
        DependencyError: the published weights are not available.
    """

    _scale: Tensor
    _shift: Tensor

    def __init__(
        self,
        width: int = 1024,
        layers: int = 24,
        heads: int = 16,
        mlp_width: int = 4096,
        taken: Sequence[int] = (6, 12, 18, 24),
        patch: int = 16,
        grid: int = 24,
        weights: str | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        if not taken or list(taken) != sorted(set(taken)) or not 1 <= taken[0] <= taken[-1] <= layers:
            raise ValueError(f"taken layers must rise within 1 to {layers}, got {tuple(taken)}")
        from transformers import DPTConfig, DPTModel

        config = DPTConfig(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=mlp_width,
            image_size=grid * patch,
            patch_size=patch,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        vit = DPTModel(config, add_pooling_layer=False)
        nn.init.trunc_normal_(vit.embeddings.position_embeddings, std=0.02)  # zeros in transformers
        nn.init.trunc_normal_(vit.embeddings.cls_token, std=0.02)
        if weights is not None:
            _load_published(vit, weights)
        self.embeddings = vit.embeddings
        self.layers = vit.encoder.layer
        self.taken = tuple(taken)
        self.patch = patch
        self.out_channels = width
        self.frozen = frozen
        # (frame * deviation + mean - 0.5) / 0.5: from ImageNet's mean and deviation to [-1, 1]
        self.register_buffer("_scale", torch.tensor(DEVIATION)[:, None, None] / 0.5, persistent=False)
        mean = torch.tensor(MEAN)[:, None, None]
        self.register_buffer("_shift", (mean - 0.5) / 0.5, persistent=False)
        if frozen:
            self.requires_grad_(False)
            self.train(False)

    def forward(
        self, frames: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch _channels _h _w"], ...]:
        """Maps of the taken layers for ImageNet-normalised frames."""
        height, width = self.map_size(frames.shape[-2:])
        tokens = self.embeddings(frames * self._scale + self._shift)
        x = tokens if isinstance(tokens, Tensor) else tokens[0]
        maps = []
        for number, layer in enumerate(self.layers[: self.taken[-1]], start=1):
            out = layer(x)
            x = out if isinstance(out, Tensor) else out[0]
            if number in self.taken:
                maps.append(x[:, 1:].transpose(1, 2).unflatten(2, (height, width)))
        return tuple(maps)

    def attend_by_products(self) -> None:
        """Compute attention by `attention_by_products` from now on, if transformers supports it."""
        try:
            from transformers import AttentionInterface
        except ImportError:  # before 4.48
            return
        AttentionInterface.register("products", attention_by_products)
        for module in self.layers.modules():
            if hasattr(module, "config"):
                module.config._attn_implementation = "products"

    def map_size(self, frame_size: Sequence[int]) -> tuple[int, int]:
        """Size (height, width) of the maps of frames of `frame_size`: the grid of patches.

        Raises:
            ValueError: an axis of the frame is not a multiple of the patch.
        """
        height, width = frame_size
        if height % self.patch or width % self.patch or not height or not width:
            raise ValueError(f"frames of {height} x {width}: both must be multiples of the patch's {self.patch} pixels")
        return height // self.patch, width // self.patch

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a frozen transformer stays in evaluation mode."""
        return super().train(mode and not self.frozen)


def attention_by_products(
    module: nn.Module,
    query: Float[Tensor, "batch heads tokens width"],
    key: Float[Tensor, "batch heads tokens width"],
    value: Float[Tensor, "batch heads tokens width"],
    attention_mask: Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[Float[Tensor, "batch tokens heads width"], None]:
    """Attention without a mask as two products and a softmax, in the input's precision, picture by picture.

    PyTorch's own attention uses a processor's bfloat16 less well, and the scores of several pictures exceed its caches.
    """
    assert attention_mask is None
    with torch.autocast(query.device.type, enabled=False):
        scores = ((q * scaling) @ k.transpose(-1, -2) for q, k in zip(query, key, strict=True))
        attended = [torch.softmax(score, -1) @ v for score, v in zip(scores, value, strict=True)]
    return torch.stack(attended).transpose(1, 2), None


def _load_published(vit: Any, weights: str) -> None:
    """Copy the encoder of a published DPT or ViT into `vit`."""
    from transformers import AutoConfig, DPTForDepthEstimation, ViTModel
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # hide its report of unused heads, which would only cause worry
    try:
        architecture = AutoConfig.from_pretrained(weights).model_type
        if architecture == "dpt":
            published: Any = DPTForDepthEstimation.from_pretrained(weights).dpt
        elif architecture == "vit":
            published = ViTModel.from_pretrained(weights, add_pooling_layer=False)
        else:
            raise ModelError(
                f"visual weights {weights!r} are of a {architecture!r}; a DPT or a ViT is needed", "mismatch"
            )
    except (OSError, ValueError) as error:
        what = "folder holds no usable network" if Path(weights).is_dir() else "cannot be had from the Hugging Face Hub"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DependencyError(f"visual weights {weights!r}: {what} ({reason})", "missing") from error
    finally:
        logging.set_verbosity(verbosity)
    theirs, ours = published.config, vit.config
    for field in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size"):
        if getattr(theirs, field) != getattr(ours, field):
            raise ModelError(
                f"visual weights {weights!r} are of another transformer: "
                f"{field} is {getattr(theirs, field)}, this network's {getattr(ours, field)}",
                "mismatch",
            )
    if getattr(theirs, "is_hybrid", False) or not getattr(theirs, "qkv_bias", True):
        raise ModelError(
            f"visual weights {weights!r} are of a hybrid or bias-free transformer; a plain ViT is needed", "mismatch"
        )
    tensors = {_dpt_name(name): tensor for name, tensor in published.float().state_dict().items()}
    own = vit.state_dict()
    missing = [name for name in own if name not in tensors]
    if missing:
        raise ModelError(f"visual weights {weights!r} lack {missing[0]!r} (and {len(missing) - 1} more)", "mismatch")
    positions = "embeddings.position_embeddings"
    tensors[positions] = _resized_grid(tensors[positions], own[positions].shape[1] - 1)
    vit.load_state_dict({name: tensors[name] for name in own})


# Names of tensors in transformers' ViTModel, older and newer, and in DPTModel.
_SAME: Mapping[str, str] = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def _dpt_name(name: str) -> str:
    if name.startswith("layers."):
        name = f"encoder.layer.{name.removeprefix('layers.')}"
    for theirs, ours in _SAME.items():
        name = name.replace(theirs, ours)
    return name


def _resized_grid(positions: Tensor, count: int) -> Tensor:
    """Interpolate position embeddings of a square grid (class token first) to another grid of `count` positions."""
    token, grid = positions[:, :1], positions[:, 1:]
    if grid.shape[1] == count:
        return positions
    old, new = round(grid.shape[1] ** 0.5), round(count**0.5)
    square = grid.unflatten(1, (old, old)).permute(0, 3, 1, 2)
    resized = F.interpolate(square, size=(new, new), mode="bicubic", align_corners=False)
    return torch.cat([token, resized.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
