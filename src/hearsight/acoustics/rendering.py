"""Rendering of mono sources to two ears by HRIRs: fixed or moving, as a whole or block by block."""

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics.arrays import directions_for, directions_like, numpy_friendly
from hearsight.acoustics.convolution import convolve, fast_length
from hearsight.acoustics.directions import from_cartesian, to_cartesian
from hearsight.acoustics.hrir import HRIRSet

BLOCK_S = 5e-3  # interval of new responses for a moving source: at 90 degrees per second every 0.45 degrees
BLOCKS_AT_ONCE = 256  # bounds the memory of moving rendering


@numpy_friendly
def render(
    mono: Float[Tensor, "*batch samples"],
    azimuth: Tensor | float,
    elevation: Tensor | float,
    hrirs: HRIRSet,
    sample_rate_hz: float | None = None,
    *,
    block_samples: int | None = None,
) -> Float[Tensor, "*batch 2 samples"]:
    """Binaural sound of one source per batch entry (PseudoBinaural section 3.1, `direct`: HRIRs alone).

    The output is aligned in time with the input, with the time zero of `load_hrirs` (the delay from the loudspeaker is
    removed; the remaining delay is the way around the head, with KEMAR 0.25 to 1 ms), and cut to the input's length.
    For several sources, sum over their axis (the rendering is linear), or see `spatialize`.

    Args:
        mono: the sources; differentiable.
        azimuth, elevation: radians. With fewer axes than `mono`: one direction per batch entry (or for all). With as
            many axes as `mono`: a trajectory, the last axis being control points evenly spaced in time, the first at
            the first sample, the last at the last; between them the source moves on the great circle.
        hrirs: HRIRs of the head, at any sample rate; precision and device follow `mono`.
        sample_rate_hz: sample rate of `mono`; the HRIRs are resampled to it. None: they have that rate already.
        block_samples: interval of new responses for a moving source, with crossfades in between; 5 ms by default.

    Raises:
        ValueError: the shapes do not fit together.
    """
    if sample_rate_hz is not None:
        hrirs = hrirs.at_rate(sample_rate_hz)
    hrirs = hrirs.to(mono.dtype, mono.device)
    azimuth, elevation, moving = directions_for(mono, azimuth, elevation)
    if not moving or azimuth.shape[-1] == 1:
        if moving:
            azimuth, elevation = azimuth.squeeze(-1), elevation.squeeze(-1)
        return convolve(mono.unsqueeze(-2), hrirs.interpolated(azimuth, elevation))[..., : mono.shape[-1]]
    samples = mono.shape[-1]
    block = block_samples or max(1, round(BLOCK_S * hrirs.sample_rate_hz))
    count = -(-samples // block)
    position = torch.arange(count + 1, dtype=torch.float64, device=mono.device) * block / max(samples - 1, 1)
    azimuth, elevation = along_path(azimuth, elevation, position.clamp_max(1.0))
    engine = MovingRenderer(hrirs, block_samples=block)
    ears = []
    for start in range(0, count, BLOCKS_AT_ONCE):
        part = mono[..., start * block : (start + BLOCKS_AT_ONCE) * block]
        boundaries = slice(start, start + BLOCKS_AT_ONCE + 1)
        ears.append(engine.advance(part, azimuth[..., boundaries], elevation[..., boundaries]))
    return torch.cat(ears, dim=-1)


class MovingRenderer:
    """Renders one moving source (or a batch of them) block by block, without clicks and without latency.

    Every block is convolved with the response of its first direction, fading out, and with that of its last direction,
    fading in. The joined output of all calls and of `flush` is the whole rendering; a source that does not move is
    rendered exactly as by `render`.

    Args:
        hrirs: HRIRs of the head, at the sample rate of the sound.
        block_samples: longest step of one crossfade; longer input is divided, and the source moves evenly on a great
            circle. 5 ms by default.
    """

    def __init__(self, hrirs: HRIRSet, block_samples: int | None = None) -> None:
        self._hrirs = hrirs
        self._block = block_samples or max(1, round(BLOCK_S * hrirs.sample_rate_hz))
        if self._block < 1:
            raise ValueError(f"a block must have at least one sample, got {block_samples}")
        self._tail: Tensor | None = None  # [*batch, 2, taps - 1]: the end of earlier blocks' responses
        self._last: tuple[Tensor, Tensor] | None = None  # present direction of the source
        self._standing: tuple[tuple[object, ...], Tensor, Tensor, Tensor] | None = None  # spectra of a still source

    @numpy_friendly
    def process(
        self, block: Float[Tensor, "*batch samples"], azimuth: Tensor | float, elevation: Tensor | float = 0.0
    ) -> Float[Tensor, "*batch 2 samples"]:
        """Sound at the two ears during `block`, in which the source moves from its last direction to the given one.

        In the first call the source has this direction from the beginning.

        Args:
            block: the next samples, any number of them; the batch axes must stay the same from call to call.
            azimuth, elevation: direction of the source at the end of the block, radians, `[*batch]`.
        """
        azimuth, elevation = directions_like(azimuth, elevation, block.device)
        azimuth, elevation = azimuth.expand(block.shape[:-1]), elevation.expand(block.shape[:-1])
        last = self._last or (azimuth, elevation)
        self._last = azimuth, elevation
        samples = block.shape[-1]
        if samples == 0:
            return block.new_zeros(*block.shape[:-1], 2, 0)
        count = -(-samples // self._block)
        position = torch.arange(count + 1, dtype=torch.float64, device=block.device) * self._block / samples
        path = along_path(
            torch.stack([last[0], azimuth], dim=-1), torch.stack([last[1], elevation], dim=-1), position.clamp_max(1.0)
        )
        return self.advance(block, *path)

    def flush(self) -> Float[Tensor, "*batch 2 tail"]:
        """Return the end of the response after the last block (`taps - 1` samples), and reset the renderer."""
        tail = self._tail if self._tail is not None else self._hrirs.responses.new_zeros(2, self._hrirs.taps - 1)
        self._tail = self._last = self._standing = None
        return tail

    def advance(
        self,
        signal: Float[Tensor, "*batch samples"],
        azimuth: Float[Tensor, "*batch boundary"],
        elevation: Float[Tensor, "*batch boundary"],
    ) -> Float[Tensor, "*batch 2 samples"]:
        """Render blocks of `block_samples` (the last may be shorter), with a direction at each boundary of a block."""
        hrirs, block = self._hrirs.to(signal.dtype, signal.device), self._block
        batch, samples = signal.shape[:-1], signal.shape[-1]
        count = -(-samples // block)
        if azimuth.shape[-1] != count + 1:
            raise ValueError(f"{count} blocks need {count + 1} directions, got {azimuth.shape[-1]}")
        padded = torch.nn.functional.pad(signal, (0, count * block - samples)).reshape(*batch, count, block)
        fade = self._fade(count, samples, signal)
        length = fast_length(block + hrirs.taps - 1)
        filters = self._responses(hrirs, azimuth, elevation, length)
        faded_in = torch.fft.rfft(padded * fade, length).unsqueeze(-2)
        whole = torch.fft.rfft(padded, length).unsqueeze(-2)
        spectra = (whole - faded_in) * filters[..., :-1, :, :] + faded_in * filters[..., 1:, :, :]
        blocks = torch.fft.irfft(spectra, length)[..., : block + hrirs.taps - 1]
        out = _overlap_add(blocks, block)
        if self._tail is not None:
            out = out + torch.nn.functional.pad(self._tail, (0, out.shape[-1] - self._tail.shape[-1]))
        self._tail = out[..., samples : samples + hrirs.taps - 1]
        return out[..., :samples]

    def _fade(self, count: int, samples: int, like: Tensor) -> Float[Tensor, "block sample"]:
        """Weight of the response at the end of each block, rising from 0; the last block may be shorter."""
        fade = torch.arange(self._block, dtype=torch.float64, device=like.device) / self._block
        fades = fade.repeat(count, 1)
        left = samples - (count - 1) * self._block
        fades[-1] = (fade * self._block / left).clamp_max(1.0)
        return fades.to(like.dtype)

    def _responses(self, hrirs: HRIRSet, azimuth: Tensor, elevation: Tensor, length: int) -> Tensor:
        """Spectra `[*batch, boundary, 2, frequency]`; if the source does not move, only one is computed."""
        still = bool((azimuth == azimuth[..., :1]).all() and (elevation == elevation[..., :1]).all())
        if still and not (azimuth.requires_grad or elevation.requires_grad):
            here, format_of = (
                (azimuth[..., :1], elevation[..., :1]),
                (length, hrirs.responses.dtype, azimuth.shape[:-1]),
            )
            known = self._standing
            if (
                known is None
                or known[0] != format_of
                or not (torch.equal(known[1], here[0]) and torch.equal(known[2], here[1]))
            ):
                known = format_of, *here, torch.fft.rfft(hrirs.interpolated(*here), length)
                self._standing = known
            return known[3].expand(*azimuth.shape, 2, -1)
        return torch.fft.rfft(hrirs.interpolated(azimuth, elevation), length)


def along_path(
    azimuth: Float[Tensor, "*batch points"], elevation: Float[Tensor, "*batch points"], position: Float[Tensor, "times"]
) -> tuple[Float[Tensor, "*batch times"], Float[Tensor, "*batch times"]]:
    """Directions on a path through control points; `position` goes from 0 (the first point) to 1 (the last).

    Between two points the path is the great circle at constant speed.
    """
    points = azimuth.shape[-1]
    if points == 1:
        return azimuth.expand(*azimuth.shape[:-1], len(position)), elevation.expand(*azimuth.shape[:-1], len(position))
    place = position * (points - 1)
    before = place.floor().clamp(0, points - 2).long()
    fraction = (place - before).unsqueeze(-1)
    corners = to_cartesian(azimuth, elevation)
    start, end = corners[..., before, :], corners[..., before + 1, :]
    # Spherical linear interpolation; for a small angle a, sin(k a) / sin(a) is k.
    angle = torch.atan2(torch.linalg.cross(start, end).norm(dim=-1, keepdim=True), (start * end).sum(-1, keepdim=True))
    small = angle < 1e-6
    safe = torch.where(small, torch.ones_like(angle), angle)
    first = torch.where(small, 1 - fraction, torch.sin((1 - fraction) * safe) / torch.sin(safe))
    second = torch.where(small, fraction, torch.sin(fraction * safe) / torch.sin(safe))
    return from_cartesian(first * start + second * end)


def _overlap_add(blocks: Float[Tensor, "*batch block ear length"], hop: int) -> Float[Tensor, "*batch ear samples"]:
    """Overlap-add of blocks, each `hop` samples after the previous one."""
    *batch, count, ears, length = blocks.shape
    slices = -(-length // hop)
    blocks = torch.nn.functional.pad(blocks, (0, slices * hop - length)).reshape(*batch, count, ears, slices, hop)
    out = blocks.new_zeros(*batch, count + slices - 1, ears, hop)
    for index in range(slices):
        out[..., index : index + count, :, :] += blocks[..., index, :]
    joined = out.transpose(-2, -3).reshape(*batch, ears, -1)
    return joined[..., : (count - 1) * hop + length]
