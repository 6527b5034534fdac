"""Type of item that every dataset gives and every system trains on."""

from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass
class Item:
    """A segment of sound with its picture; the same type holds a batch (every tensor with a leading batch axis).

    Levels: `mono` is the mix l + r, scaled to a root mean square of 0.1 (see `signal.normalize_rms`), and `ears` and
    `stems` are scaled by the same factor, so that `ears.sum(-2) == mono`.

    Attributes:
        name: clip that the segment is cut from (a list of names in a batch).
        sample_rate_hz: sample rate of all sounds of the item.
        mono: the mix, the only sound that a network gets. `[samples]`
        frames: the picture at the segment's centre, ImageNet-normalised. `[3, height, width]`
        previous_frames: the picture before that one, cropped and coloured independently, for systems that learn from
            neighbouring pictures. `[3, height, width]`
        ears: both ears, left first, where known. `[2, samples]`
        depth: depth of each pixel in metres, or relative inverse depth where a network estimated it (`depth_unit`),
            where known. `[1, height, width]`
        depth_unit: "metres" or "relative".
        response: beginning of the impulse response from one source of the scene to both ears, where known. `[2, taps]`
        stems: each source alone, mono, where known; they sum to `mono`. `[sources, samples]`
        stem_frames: the picture of each source. `[sources, 3, height, width]`
        stem_ears: both ears of each source alone, where known; they sum to `ears`. `[sources, 2, samples]`
    """

    name: Any
    sample_rate_hz: int
    mono: Float[Tensor, "*batch samples"]
    frames: Float[Tensor, "*batch 3 height width"]
    previous_frames: Float[Tensor, "*batch 3 height width"] | None = None
    ears: Float[Tensor, "*batch 2 samples"] | None = None
    depth: Float[Tensor, "*batch 1 height width"] | None = None
    depth_unit: str = "metres"
    response: Float[Tensor, "*batch 2 taps"] | None = None
    stems: Float[Tensor, "*batch sources samples"] | None = None
    stem_frames: Float[Tensor, "*batch sources 3 height width"] | None = None
    stem_ears: Float[Tensor, "*batch sources 2 samples"] | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Copy of the item with every tensor on `device`."""
        moved = {
            field.name: value.to(device, non_blocking=non_blocking)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return type(self)(**{**{field.name: getattr(self, field.name) for field in fields(self)}, **moved})


def collate(items: list[Item]) -> Item:
    """Collate items into a batch. Raises if only some of them have a tensor."""
    batch: dict[str, Any] = {}
    for field in fields(Item):
        values = [getattr(item, field.name) for item in items]
        if field.name == "name":
            batch[field.name] = values
        elif isinstance(values[0], Tensor):
            if not all(isinstance(value, Tensor) for value in values):
                raise ValueError(f"only some items of the batch have {field.name}")
            batch[field.name] = torch.stack(values)
        elif any(value != values[0] for value in values):
            raise ValueError(f"items of one batch differ in {field.name}: {values}")
        else:
            batch[field.name] = values[0]
    return Item(**batch)
