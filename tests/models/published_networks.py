"""Checkpoints in the authors' layout, with parameters that anyone can make again, and what the published code gives.

`fixtures/published_networks.json` lists the names and shapes in the released files and the size of each output;
`fixtures/published_outputs.npz` holds 4,096 evenly spaced values of each output of the published implementations, with
every tensor set by `parameter` and the inputs drawn by `normal`.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_FIXTURES = Path(__file__).parent / "fixtures"
PUBLISHED: dict[str, Any] = json.loads((_FIXTURES / "published_networks.json").read_text())


def checkpoint(which: str) -> dict[str, Tensor]:
    """The state dict of a released file such as "sep-stereo/fusion-apnet", with the reproducible parameters."""
    role = which.split("/")[1].split("-")[0]
    shapes = PUBLISHED["state_dict_shapes"][which]
    return {name: parameter(f"{role}.{name}", shape) for name, shape in shapes.items()}


def normal(name: str, shape: list[int], deviation: float = 1.0) -> np.ndarray:
    """Normal numbers that depend on the name and the shape alone: Philox, seeded with the name's CRC-32."""
    bits = np.random.Philox(zlib.crc32(name.encode()))
    return (deviation * np.random.Generator(bits).standard_normal(tuple(shape))).astype(np.float32)


def parameter(name: str, shape: list[int]) -> Tensor:
    """A parameter or buffer in a range that keeps activations sane, by the role that its name gives."""
    role = name.split(".")[-1]
    if role == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if role == "running_var":
        return torch.from_numpy(0.5 + np.abs(normal(name, shape, 0.5)))
    if role == "running_mean":
        return torch.from_numpy(normal(name, shape, 0.1))
    if role == "bias":
        return torch.from_numpy(normal(name, shape, 0.02))
    if role == "weight" and len(shape) == 1:  # the scale of a norm
        return torch.from_numpy(1 + normal(name, shape, 0.1))
    fan = int(np.prod(shape[2:])) * max(shape[:2]) if len(shape) > 1 else 1
    return torch.from_numpy(normal(name, shape, (0.8 / fan) ** 0.5))


def distance(name: str, output: Tensor) -> float:
    """Largest difference from the published values of an output, in units of the largest published value.

    A complex output is compared by its real and imaginary parts as channels, without the highest bin.
    """
    published = np.load(_FIXTURES / "published_outputs.npz")[name.replace("/", "__")]
    if output.is_complex():
        output = torch.stack([output.real, output.imag], dim=1)[:, :, :256]
    assert list(output.shape) == PUBLISHED["outputs"][name]["shape"]
    values = output.numpy().ravel()
    assert abs(np.linalg.norm(values) / PUBLISHED["outputs"][name]["l2"] - 1) < 1e-4
    sampled = values[np.linspace(0, values.size - 1, published.size).astype(np.int64)]
    return float(np.abs(sampled - published).max() / np.abs(published).max())


def frames(name: str = "input.frame") -> Tensor:
    """Two frames of 224 x 448."""
    return torch.from_numpy(normal(name, [2, 3, 224, 448]))


def spectrogram(name: str) -> Tensor:
    """Two complex spectrograms of 257 x 64 bins."""
    parts = torch.from_numpy(normal(name, [2, 2, 257, 64]))
    return torch.complex(parts[:, 0], parts[:, 1])


def mix() -> Tensor:
    """The spectrograms that the published networks were given."""
    return spectrogram("input.mix")
