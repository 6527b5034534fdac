"""How far each pixel is: estimated from the picture, read from 16-bit PNGs, or known from a simulation.

Two units, as in `Item.depth_unit`: "metres", and "relative" inverse depth (larger is nearer, scale and zero unknown),
which is what networks trained on several datasets estimate.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hearsight.errors import DataError, DependencyError, ModelError
from hearsight.nn.imagenet import to_pixels

DepthUnit = Literal["metres", "relative"]


class DepthEstimator:
    """Relative inverse depth of frames by a dense prediction transformer (Ranftl et al., ICCV 2021).

    Not a part of the network that uses it: it is not trained, and not saved with it.

    Args:
        weights: name on the Hugging Face Hub ("Intel/dpt-large", trained on MIX6) or folder, of transformers'
            `DPTForDepthEstimation`.
        device: to compute on.

    Raises:
        ModelError: the weights are of another kind of network.
        DependencyError: they cannot be had.
    """

    def __init__(self, weights: str, device: str | torch.device = "cpu") -> None:
        from transformers import AutoConfig, DPTForDepthEstimation

        try:
            kind = AutoConfig.from_pretrained(weights).model_type
            if kind != "dpt":
                raise ModelError(f"depth weights {weights!r} are of a {kind!r}; a DPT for depth estimation is needed")
            self._network: Any = DPTForDepthEstimation.from_pretrained(weights)
        except (OSError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DependencyError(
                f"depth weights {weights!r} cannot be had ({reason})"
                "; give a folder of a DPT for depth estimation, or depth maps as 16-bit PNG"
            ) from error
        self._network.eval().requires_grad_(False).to(device)
        size: Any = self._network.config.image_size
        self._size: tuple[int, int] = (size, size) if isinstance(size, int) else (size[0], size[1])

    def __call__(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
        """Relative inverse depth of ImageNet-normalised frames.

        As published, frames are stretched to the square that the network was trained on, with pixels in [-1, 1], and
        the map is stretched back.
        """
        pixels = to_pixels(frames)
        square = F.interpolate(pixels, self._size, mode="bicubic", align_corners=False, antialias=True)
        with torch.no_grad():
            self._network.to(frames.device)
            depth = self._network(square * 2 - 1).predicted_depth[:, None]
        return F.interpolate(depth, frames.shape[-2:], mode="bicubic", align_corners=False).clamp_min(0)


@dataclass(frozen=True)
class DepthMaps:
    """Depth of a clip over time, in 16-bit PNGs that are read when they are asked for.

    Attributes:
        files: one per map, in the order of their times. A single map stands for the whole clip.
        rate_hz: maps per second, the first at 0 s.
        metres_per_unit: metres of one step of the PNG's values (0.001: millimetres). A value of 0 is "not known".
    """

    files: tuple[Path, ...]
    rate_hz: float = 1.0
    metres_per_unit: float = 0.001

    @classmethod
    def beside(cls, clip: str | Path, metres_per_unit: float = 0.001, rate_hz: float = 1.0) -> "DepthMaps":
        """Those that lie beside a clip: `NAME.depth.png` for all of it, or a folder `NAME.depth` of PNGs in order.

        Raises:
            DataError: there are none.
        """
        clip = Path(clip)
        still, folder = clip.with_suffix(".depth.png"), clip.with_suffix(".depth")
        if still.is_file():
            return cls((still,), rate_hz, metres_per_unit)
        if folder.is_dir():
            return cls.of_folder(folder, metres_per_unit, rate_hz)
        raise DataError(f"{clip}: no depth beside it; put {still.name} or a folder {folder.name} of 16-bit PNGs there")

    @classmethod
    def of_folder(cls, folder: str | Path, metres_per_unit: float = 0.001, rate_hz: float = 1.0) -> "DepthMaps":
        """Every PNG of a folder, in the order of their names.

        Raises:
            DataError: there is none.
        """
        files = tuple(sorted(Path(folder).glob("*.png")))
        if not files:
            raise DataError(f"{folder}: no PNG of depth in it")
        return cls(files, rate_hz, metres_per_unit)

    @classmethod
    def of_simulation(cls, root: str | Path, clip: str) -> "DepthMaps":
        """The true depth of clip `clip` of a dataset of simulated concerts, along the ray through each pixel.

        Its maps are `depth/CLIP/*.png`, in millimetres and one per second unless `scenes/CLIP.json` notes something
        else under "depth" (`metres_per_unit`, `rate_hz`).

        Raises:
            DataError: there is no such clip, it has no depth, or its note is malformed.
        """
        scene = Path(root) / "scenes" / f"{clip}.json"
        try:
            note = json.loads(scene.read_text(encoding="utf-8")).get("depth", {})
            metres_per_unit, rate_hz = float(note.get("metres_per_unit", 0.001)), float(note.get("rate_hz", 1.0))
        except OSError as error:
            raise DataError(
                f"{scene}: no such scene; name a folder of simulated concerts and one of its clips"
            ) from error
        except (ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{scene}: malformed; make the clip again") from error
        return cls.of_folder(Path(root) / "depth" / clip, metres_per_unit, rate_hz)

    def at(self, time_s: float) -> Float[Tensor, "1 height width"]:
        """The map nearest to a time, in metres.

        Raises:
            DataError: its file is no 16-bit PNG of one channel.
        """
        nearest = min(max(round(time_s * self.rate_hz), 0), len(self.files) - 1)
        return read_depth_png(self.files[nearest], self.metres_per_unit)


def read_depth_png(path: str | Path, metres_per_unit: float = 0.001) -> Float[Tensor, "1 height width"]:
    """Depth in metres of a 16-bit PNG of one channel; 0 where the file says that it is not known.

    Raises:
        DataError: no such file, or another kind of file.
    """
    import cv2

    if not Path(path).is_file():
        raise DataError(f"{path}: no such file")
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 2:
        found = "not a picture" if values is None else f"{values.dtype} of shape {values.shape}"
        raise DataError(f"{path}: depth must be a 16-bit PNG of one channel, this is {found}")
    return torch.from_numpy(values.astype(np.float32) * metres_per_unit)[None]


def depth_as_picture(
    depth: Float[Tensor, "batch 1 height width"], unit: DepthUnit
) -> Float[Tensor, "batch 3 height width"]:
    """A depth map as a network for pictures takes it: inverse depth, scaled per map, three times.

    Metres are inverted (unknown is taken as infinitely far). Then scale and zero are removed as in MiDaS: minus the
    median, over the mean absolute deviation, so that estimated and true depth look alike. A flat map gives zeros.
    """
    if unit == "metres":
        depth = torch.where(depth > 0, 1 / depth.clamp_min(1e-3), 0.0)
    elif unit != "relative":
        raise ValueError(f"unknown unit of depth {unit!r}; known: metres, relative")
    flat = depth.flatten(1)
    centred = flat - flat.median(dim=1, keepdim=True).values
    scaled = centred / centred.abs().mean(dim=1, keepdim=True).clamp_min(1e-6)
    return scaled.view_as(depth).expand(-1, 3, -1, -1)
