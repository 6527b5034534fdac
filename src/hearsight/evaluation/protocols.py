"""Agreed ways of measuring: at which rate, with which levels, and how a model is run for it."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DataError
from hearsight.metrics import PAPERS_STFT, binaural_distances, peak_normalize
from hearsight.signal import STFT, resample


@dataclass(frozen=True)
class Protocol:
    """One way of measuring predicted ears against recorded ones.

    Attributes:
        name: what users type.
        summary: one line.
        sample_rate_hz: both signals are brought to it before anything is measured.
        stft: transform of the spectral distances, at that rate.
        level: "peak": prediction and truth are each divided by their own peak, so that the prediction's level counts
            for nothing (the released scripts); "kept": nothing is changed.
        window_s, hop_s: the sliding window that a network is run with.
        published: the metrics that papers print under this protocol, by our names.
        note: what differs from the released scripts, for whoever compares with their numbers.
    """

    name: str
    summary: str
    sample_rate_hz: int
    stft: STFT
    level: Literal["peak", "kept"]
    window_s: float
    hop_s: float
    published: tuple[str, ...]
    note: str

    def measure(
        self,
        prediction: Float[Tensor, "*batch 2 samples"],
        reference: Float[Tensor, "*batch 2 samples"],
        sample_rate_hz: int,
    ) -> dict[str, Float[Tensor, "*batch"]]:
        """All binaural distances of signals at `sample_rate_hz` (both the same rate and length); see `metrics`.

        Raises:
            ValueError: the shapes differ or are not `[..., 2, samples]`.
        """
        return self.distances(self.prepare(prediction, sample_rate_hz), self.prepare(reference, sample_rate_hz))

    def prepare(
        self, ears: Float[Tensor, "*batch 2 samples"], sample_rate_hz: int
    ) -> Float[Tensor, "*batch 2 resampled"]:
        """Ears at the protocol's rate and level, ready for `distances`."""
        ears = resample(ears, sample_rate_hz, self.sample_rate_hz)
        return peak_normalize(ears) if self.level == "peak" else ears

    def distances(
        self, prediction: Float[Tensor, "*batch 2 samples"], reference: Float[Tensor, "*batch 2 samples"]
    ) -> dict[str, Float[Tensor, "*batch"]]:
        """All binaural distances of prepared ears."""
        return binaural_distances(prediction, reference, self.stft)


# The released 2.5D scripts scale each window by the level of both true ears, which tells the network how much of the
# sound the mix has lost. No protocol here does so: the level always comes from the mono alone.
PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="released-2.5d",
        summary="2.5D Visual Sound: each signal divided by its own peak; window 0.63 s, hop 0.05 s",
        sample_rate_hz=16_000,
        stft=PAPERS_STFT,
        level="peak",
        window_s=0.63,
        hop_s=0.05,
        published=("stft", "env"),
        note="windows are scaled by the mono's level; the released script used the level of both true ears",
    ),
    Protocol(
        name="released-pseudobinaural",
        summary="PseudoBinaural: each signal divided by its own peak; window 0.63 s, hop 0.1 s",
        sample_rate_hz=16_000,
        stft=PAPERS_STFT,
        level="peak",
        window_s=0.63,
        hop_s=0.1,
        published=("stft", "env", "mag_released", "difference_phase", "snr_db"),
        note="the papers print mag_released as Mag",
    ),
    Protocol(
        name="plain",
        summary="levels kept as they are: a prediction that is too loud or too soft is told so",
        sample_rate_hz=16_000,
        stft=PAPERS_STFT,
        level="kept",
        window_s=0.63,
        hop_s=0.1,
        published=(),
        note="no published table uses it",
    ),
)
DEFAULT_PROTOCOL = "released-pseudobinaural"


def protocol(name: str) -> Protocol:
    """The protocol called `name`.

    Raises:
        DataError: there is none; the message lists those there are.
    """
    for known in PROTOCOLS:
        if known.name == name:
            return known
    raise DataError(f"unknown protocol {name!r}; known: {', '.join(known.name for known in PROTOCOLS)}")
