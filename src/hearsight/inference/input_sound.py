"""Sound of an input while a model processes it: mixed to mono, kept until its ears are made, and levelled."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from hearsight.inference.loudness import LARGEST_GAIN_DB, LevelKeeper, loudness_weights
from hearsight.inference.options import Treatment
from hearsight.media import mix_to_mono

_NOTED_LOSS_DB = 1.0
_LARGEST = 1e6  # of full scale; larger values in damaged floats would overflow
_FADE_S = 0.05  # into and out of an untouched stretch


class SampleQueue:
    """Queue of samples of one or more channels."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self.samples = 0

    def push(self, part: Tensor) -> None:
        self._parts.append(part)
        self.samples += part.shape[-1]

    def take(self, samples: int) -> Tensor:
        joined = torch.cat(self._parts, dim=-1) if self._parts else torch.zeros(0)
        self._parts = [joined[..., samples:].clone()]
        self.samples -= samples
        return joined[..., :samples]


class InputSound(SampleQueue):
    """The input's sound, mixed to mono, and kept until its ears are finished and levelled."""

    def __init__(self, sound: Iterable[Tensor], layout: str, sample_rate_hz: int, treatment: Treatment) -> None:
        super().__init__()
        self._sound, self._layout, self._rate, self._treatment = sound, layout, sample_rate_hz, treatment
        self._not_finite = self._too_large = False
        self._sides = SampleQueue()
        self._done = 0  # samples of levelled ears
        self._level: LevelKeeper | None = None

    @property
    def level(self) -> LevelKeeper:
        if self._level is None:  # there was no sound at all
            self._level = self._new_level([2.0])
        return self._level

    def _new_level(self, weights: Sequence[float]) -> LevelKeeper:
        return LevelKeeper(self._rate, weights, self._treatment.true_peak_db, 10 ** (self._treatment.gain_db / 20))

    def blocks(self) -> Iterator[Tensor]:
        """Yield the channels block by block, and queue their mono mix."""
        channels = 1
        for block in self._sound:
            if self._level is None:
                channels = block.shape[0]
                self._level = self._new_level(loudness_weights(self._layout, channels))
            if not bool(torch.isfinite(block).all()):
                self._not_finite = True
                block = torch.nan_to_num(block, 0.0, 0.0, 0.0)
            if float(block.abs().amax()) > _LARGEST:
                self._too_large = True
                block = block.clamp(-_LARGEST, _LARGEST)
            self.level.hear(block)
            self.push(mix_to_mono(block, self._layout))
            if channels == 2 and self._keeps_sides():
                self._sides.push((block[0] - block[1]) / 2)
            yield block
        self.level.hear(torch.zeros(channels, 0), last=True)

    def mono(self) -> Iterator[Tensor]:
        """Yield the mono mix of each block."""
        for block in self.blocks():
            yield mix_to_mono(block, self._layout)

    def levelled(self, ears: Tensor, mono: Tensor, last: bool = False) -> Tensor:
        """Return the ears that are finished, given the model's next ears and the mono sound that they come from."""
        samples = ears.shape[-1]
        placed = self._placed(samples)
        strength = self._treatment.strength * placed
        if not isinstance(strength, float) or strength != 1:
            ears = mono + strength * (ears - mono)
        if self._sides.samples:
            side = self._sides.take(samples)
            if self._treatment.keeps_sides == "untouched":
                side = side * (1 - placed)
            ears = ears + torch.stack([side, -side])
            mono = torch.where(side.abs() > mono.abs(), side, mono)  # silence must be silent in both
        self._done += samples
        return self.level.process(ears, mono, last)

    def _keeps_sides(self) -> bool:
        keeps = self._treatment.keeps_sides
        return keeps == "always" or (keeps == "untouched" and len(self._treatment.untouched_s) > 0)

    def _placed(self, samples: int) -> Tensor | float:
        """Weight of the ears at each of the next samples: 0 in untouched stretches, 1 elsewhere, with fades between."""
        untouched = self._treatment.untouched_s
        if not untouched:
            return 1.0
        time_s = (self._done + torch.arange(samples)) / self._rate
        away_s = torch.stack([torch.maximum(begin - time_s, time_s - end) for begin, end in untouched]).amin(0)
        return (away_s / _FADE_S).clamp(0, 1)

    def notes(self) -> list[str]:
        found = []
        if self._not_finite:
            found.append("the input holds samples that are not finite; they are taken for silence")
        if self._too_large:
            found.append("the input holds samples more than 120 dB above full scale; they are taken for that level")
        if self.level.lost_db > _NOTED_LOSS_DB:
            found.append(
                "the input is so loud that the louder ear had no room: "
                f"keeping it from clipping cost {self.level.lost_db:.1f} dB of loudness"
            )
        if self.level.short_db > _NOTED_LOSS_DB:
            found.append(
                f"the input's channels cancel one another in the mono mix, of which no more than {LARGEST_GAIN_DB:.0f} "
                f"dB are made up: up to {self.level.short_db:.0f} dB of loudness are missing"
            )
        return found
