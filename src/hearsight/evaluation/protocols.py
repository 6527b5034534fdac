"""Measuring protocols: sample rate, levels, and how a model runs."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DataError
from hearsight.metrics import PAPERS_STFT, Padding, binaural_distances, peak_normalize
from hearsight.signal import STFT, resample

FAULTS: dict[str, str] = {
    "inverse-510": "the 256 predicted rows are inverted as a transform of 510 points, which scales each frame in time",
    "level-of-both-ears": "each window is scaled by the level of both true ears, which the mono does not show",
    "previous-mix": "the last window's ears are made with the mix of the window before it",
    "heads-as-ears": "two channels that a network predicts are the ears, whether or not they add up to the mix",
}
"""Faults of the authors' test scripts, by the names that a protocol takes in `faults`.

They change how a network runs, not how its ears are measured: an option for comparisons with published numbers.
`inverse-510` limits even a perfect prediction, to 15.6 dB on white noise.
"""

PADDINGS: tuple[Padding, ...] = ("reflect", "zeros")


@dataclass(frozen=True)
class Protocol:
    """Protocol of measuring predicted ears against recorded ones.

    Attributes:
        name: name that users type.
        summary: one line.
        sample_rate_hz: both signals are resampled to this rate before they are measured.
        stft: transform of the spectral distances, at that rate.
        padding: padding of that transform at both ends, see `metrics.binaural`.
        level: "peak" divides prediction and truth each by its own peak, so that the prediction's level has no effect
            (the released scripts); "kept" changes nothing.
        window_s, hop_s: sliding window that a network runs with.
        published: metrics that papers print under this protocol, by the names used here.
        note: differences from the released scripts, for comparisons with their numbers.
        script_faults: faults (see `FAULTS`) of the scripts that the protocol follows.
        faults: faults to reproduce; none unless asked for.
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
    padding: Padding = "reflect"
    script_faults: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name, with options that differ from the default."""
        said = [] if self.padding == "reflect" else ["zero padding"]
        said += [f"faults {', '.join(self.faults)}"] if self.faults else []
        return f"{self.name} ({'; '.join(said)})" if said else self.name

    def measure(
        self,
        prediction: Float[Tensor, "*batch 2 samples"],
        reference: Float[Tensor, "*batch 2 samples"],
        sample_rate_hz: int,
    ) -> dict[str, Float[Tensor, "*batch"]]:
        """All binaural distances of two signals at `sample_rate_hz`, of the same length; see `metrics`.

        Raises:
            ValueError: the shapes differ or are not `[..., 2, samples]`.
        """
        return self.distances(self.prepare(prediction, sample_rate_hz), self.prepare(reference, sample_rate_hz))

    def prepare(
        self, ears: Float[Tensor, "*batch 2 samples"], sample_rate_hz: int
    ) -> Float[Tensor, "*batch 2 resampled"]:
        """Resample ears to the protocol's rate and set their level, ready for `distances`."""
        ears = resample(ears, sample_rate_hz, self.sample_rate_hz)
        return peak_normalize(ears) if self.level == "peak" else ears

    def distances(
        self, prediction: Float[Tensor, "*batch 2 samples"], reference: Float[Tensor, "*batch 2 samples"]
    ) -> dict[str, Float[Tensor, "*batch"]]:
        """All binaural distances of prepared ears."""
        return binaural_distances(prediction, reference, self.stft, self.padding)


# Unless the scripts' faults are asked for, the level of a window always comes from the mono alone.
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
        script_faults=("inverse-510", "level-of-both-ears"),
    ),
    Protocol(
        name="released-sep-stereo",
        summary="Sep-Stereo: each signal divided by its own peak; window 0.63 s, hop 0.1 s",
        sample_rate_hz=16_000,
        stft=PAPERS_STFT,
        level="peak",
        window_s=0.63,
        hop_s=0.1,
        published=("stft", "env"),
        note="windows are scaled by the mono's level; the released script used the level of both true ears",
        script_faults=("inverse-510", "level-of-both-ears", "previous-mix", "heads-as-ears"),
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
        script_faults=("inverse-510", "heads-as-ears"),
    ),
    Protocol(
        name="released-ccstereo",
        summary="CCStereo: each signal divided by its own peak; window 0.63 s, hop 0.063 s, zero padding",
        sample_rate_hz=16_000,
        stft=PAPERS_STFT,
        level="peak",
        window_s=0.63,
        hop_s=0.063,
        published=("stft", "env", "mag_released", "difference_phase", "snr_db", "wav", "amplitude", "phase"),
        note="the last window ends at the clip's end; the released script pads the clip with silence instead",
        padding="zeros",
    ),
    Protocol(
        name="plain",
        summary="levels kept as they are: a prediction that is too loud or too soft is measured as such",
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


@dataclass(frozen=True)
class SeparationProtocol:
    """Protocol of mixing solo clips, separating the mixtures, and measuring the estimates by BSS Eval 3.

    Attributes:
        name: name that users type.
        summary: one line.
        pairs: "all" pairs of the clips, or "random": each clip with one other, of another recording and, where the
            clips are in folders by instrument, of another instrument.
        duration_s: duration of a mixture; None for the duration of the shorter clip.
        clips: number of clips to pair, from the first, unless a benchmark gives its own limit; None for all.
        equal_levels: scale each source to the same root mean square before mixing.
        hop_s: distance between windows. Windows have the length that a network is made for; each gets the frame of each
            clip that is nearest to the window's centre.
    """

    name: str
    summary: str
    pairs: Literal["all", "random"]
    duration_s: float | None
    equal_levels: bool
    clips: int | None = None
    hop_s: float = 0.1


SEPARATION_PROTOCOLS: tuple[SeparationProtocol, ...] = (
    SeparationProtocol(
        "separation-2.5d", "2.5D Visual Sound, section 4.5: all pairs of ten solo clips, whole", "all", None, False, 10
    ),
    SeparationProtocol(
        "separation-sep-stereo",
        "Sep-Stereo: each solo clip with another, 6 s, equally loud; scaled once, not by the truth of each window",
        "random",
        6.0,
        True,
    ),
)
DEFAULT_SEPARATION = "separation-2.5d"


def separation_protocol(name: str) -> SeparationProtocol:
    """Separation protocol called `name`.

    Raises:
        DataError: there is no such protocol; the message lists the known ones.
    """
    for known in SEPARATION_PROTOCOLS:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in SEPARATION_PROTOCOLS)
    raise DataError(f"unknown separation protocol {name!r}; known: {names}", "unknown")


def protocol(name: str, padding: str | None = None, faults: Sequence[str] = ()) -> Protocol:
    """Protocol called `name`, with options.

    Args:
        padding: None for the protocol's own; "reflect", as in the four papers' scripts when they were written, or
            "zeros", as with librosa 0.9 or later.
        faults: faults of the authors' scripts to reproduce; see `FAULTS`.

    Raises:
        DataError: there is no such protocol or padding, or its scripts do not have such a fault; the message lists the
            known ones.
    """
    if padding is not None and padding not in PADDINGS:
        raise DataError(f"unknown padding {padding!r}; known: {', '.join(PADDINGS)}", "unknown")
    for known in PROTOCOLS:
        if known.name == name:
            if wrong := [fault for fault in faults if fault not in known.script_faults]:
                there = ", ".join(known.script_faults) or "none"
                raise DataError(f"{name} has no fault {wrong[0]!r}; the faults of its scripts: {there}")
            return dataclasses.replace(known, padding=padding or known.padding, faults=tuple(faults))
    raise DataError(f"unknown protocol {name!r}; known: {', '.join(known.name for known in PROTOCOLS)}", "unknown")
