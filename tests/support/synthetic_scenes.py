"""Scenes whose stereo is known: coloured blobs in a picture, each a band of noise panned to where its blob is."""

from dataclasses import replace

import torch
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.models.interface import AudioVisualNetwork
from hearsight.signal import normalize_rms


def mirrored_batch(network: AudioVisualNetwork, scenes: int = 4, seed: int = 0) -> Item:
    """`2 * scenes` items: scenes, then the same with picture and ears mirrored. A scene and its mirror have one mix, so
    only the picture can separate them."""
    return with_mirrors(batch(network, scenes, seed))


def batch(network: AudioVisualNetwork, scenes: int = 8, seed: int = 0) -> Item:
    """Scenes of two sources; `left + right` is the mix exactly, each source's gains add up to one."""
    generator = torch.Generator().manual_seed(seed)
    samples = network.segment_samples
    stems = torch.stack([_bands(samples, generator) for _ in range(scenes)])  # [scenes, 2, samples]
    gain = normalize_rms(stems.sum(1))[1]
    stems = stems * gain[:, None, None]
    x = torch.stack([_places(generator) for _ in range(scenes)])  # [scenes, 2], 0 left to 1 right
    gains = torch.stack([1 - x, x], dim=-1)  # [scenes, 2, 2]: to the left and to the right ear
    stem_ears = stems[:, :, None, :] * gains[..., None]
    ears = stem_ears.sum(1)
    return Item(
        name=[f"scene {i}" for i in range(scenes)],
        sample_rate_hz=network.sample_rate_hz,
        mono=ears.sum(1),
        frames=torch.stack([_picture(network.frame_size, {0: a, 1: b}) for a, b in x.tolist()]),
        previous_frames=torch.stack([_picture(network.frame_size, {0: a - 0.01, 1: b + 0.01}) for a, b in x.tolist()]),
        ears=ears,
        depth=torch.stack([_depth(network.frame_size, places) for places in x.tolist()]),
        stems=stems,
        stem_frames=torch.stack(
            [torch.stack([_picture(network.frame_size, {i: 0.5}) for i in range(2)]) for _ in range(scenes)]
        ),
        stem_ears=stem_ears,
    )


def with_mirrors(item: Item) -> Item:
    """The batch, followed by the same with picture, depth and ears mirrored."""
    assert item.ears is not None and item.depth is not None and item.stems is not None
    assert item.previous_frames is not None and item.stem_frames is not None and item.stem_ears is not None
    return Item(
        name=item.name + [f"{name} mirrored" for name in item.name],
        sample_rate_hz=item.sample_rate_hz,
        mono=item.mono.repeat(2, 1),
        frames=torch.cat([item.frames, item.frames.flip(-1)]),
        previous_frames=torch.cat([item.previous_frames, item.previous_frames.flip(-1)]),
        ears=torch.cat([item.ears, item.ears.flip(-2)]),
        depth=torch.cat([item.depth, item.depth.flip(-1)]),
        stems=item.stems.repeat(2, 1, 1),
        stem_frames=torch.cat([item.stem_frames, item.stem_frames.flip(-1)]),
        stem_ears=torch.cat([item.stem_ears, item.stem_ears.flip(-2)]),
    )


def with_swaps(item: Item) -> Item:
    """Each mix asked for twice, with the two pictures in both orders: only the pictures say what is wanted."""
    assert item.stems is not None and item.stem_frames is not None
    return replace(
        item,
        name=item.name * 2,
        mono=item.mono.repeat(2, 1),
        frames=item.frames.repeat(2, 1, 1, 1),
        previous_frames=None,
        ears=None,
        depth=None,
        stem_ears=None,
        stems=torch.cat([item.stems, item.stems.flip(1)]),
        stem_frames=torch.cat([item.stem_frames, item.stem_frames.flip(1)]),
    )


def _places(generator: torch.Generator) -> Tensor:
    """One source in the left third, one in the right, which is which by chance."""
    x = torch.stack(
        [0.1 + 0.15 * torch.rand((), generator=generator), 0.75 + 0.15 * torch.rand((), generator=generator)]
    )
    return x if torch.rand((), generator=generator) < 0.5 else x.flip(0)


def _bands(samples: int, generator: torch.Generator) -> Tensor:
    """Two sounds: noise below and above a quarter of the band, in bursts."""
    spectrum = torch.fft.rfft(torch.randn(2, samples, generator=generator))
    edge = spectrum.shape[-1] // 8
    spectrum[0, edge:] = 0
    spectrum[1, :edge] = 0
    spectrum[1, 4 * edge :] = 0
    sound = torch.fft.irfft(spectrum, n=samples)
    sound = sound / sound.square().mean(-1, keepdim=True).sqrt()
    rate = 1 + 3 * torch.rand(2, 1, generator=generator)
    return sound * (1 + 0.8 * torch.sin(2 * torch.pi * rate * torch.linspace(0, 1, samples)))


def _picture(frame_size: tuple[int, int], places: dict[int, float]) -> Tensor:
    """ImageNet-normalised colours: blob 0 red, blob 1 blue, on grey. `[3, height, width]`"""
    picture = torch.zeros(3, *frame_size)
    for source, x in places.items():
        picture[0 if source == 0 else 2] += 2.5 * _blob(frame_size, x)
    return picture


def _depth(frame_size: tuple[int, int], places: list[float]) -> Tensor:
    """A wall at 5 m with the sources 2 m before it. `[1, height, width]`"""
    return 5 - 2 * sum((_blob(frame_size, x) for x in places), torch.zeros(frame_size))[None]


def _blob(frame_size: tuple[int, int], x: float) -> Tensor:
    height, width = frame_size
    rows = torch.linspace(-0.5, 0.5, height)[:, None] * height / width
    columns = torch.linspace(0, 1, width)[None, :] - x
    return torch.exp(-(rows.square() + columns.square()) / 0.01)
