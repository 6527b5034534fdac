"""Recorded drum kits (Debian's hydrogen-drumkits and sonic-pi-samples) that play drum phrases.

Each kit of Hydrogen names its own licence (GPL, CC BY, CC BY-SA or CC0, in the package's copyright file); Sonic Pi's
samples are CC0.
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearsight.errors import DependencyError
from hearsight.mixtures.instruments import VOICES
from hearsight.mixtures.phrases import compose_phrase
from hearsight.mixtures.sound_clips import faded, lay, read_clip, transposed

KITS = Path("/usr/share/hydrogen/data/drumkits")

LOOSE = Path("/usr/share/sonic-pi/samples")

USED = (
    "BJA_Pacific", "ColomboAcousticDrumkit", "ForzeeStereo", "Gimme A Hand 1.0", "Millo-Drums_v.1",
    "Millo_MultiLayered2", "Millo_MultiLayered3", "The Black Pearl 1.0", "circAfrique v4", "rumpf_kit_z01_h2",
    "Audiophob",
)  # fmt: skip
"""Kits recorded from real drums; the last is kept for validation."""

_WORDS: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = (
    (("kick", "bass", "bd"), (35, 36)),
    (("stick", "rim", "side"), (37,)),
    (("snare", "sd", "sn"), (38, 40)),
    (("clap",), (39,)),
    (("open", "hho"), (46,)),
    (("pedal", "foot", "hhp"), (44,)),
    (("hat", "hh", "closed"), (42,)),
    (("bell",), (53,)),
    (("ride",), (51, 59)),
    (("splash",), (55,)),
    (("china",), (52,)),
    (("crash", "cymbal"), (49, 57)),
    (("floor", "low tom", "tom 3", "tom3", "tom lo"), (41, 43)),
    (("mid", "tom 2", "tom2"), (45, 47)),
    (("tom",), (48, 50)),
    (("cowbell",), (56,)),
)


@dataclass(frozen=True)
class _Drum:
    name: str
    layers: tuple[tuple[float, float, Path], ...]


class DrumKits:
    """Installed drum kits.

    Raises:
        DependencyError: none is installed.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.rate = sample_rate_hz
        self._kits = {name: drums for name in USED if (drums := _kit(KITS / name))}
        self._kits |= {
            f"Sonic Pi {name}": [_Drum(path.stem.replace("_", " "), ((0.0, 1.0, path),)) for path in files]
            for name, words in (("drums", ("drum_", "bd_", "sn_", "perc_")), ("tabla", ("tabla_",)))
            if (files := sorted(path for path in LOOSE.glob("*.flac") if path.stem.startswith(words)))
        }
        self._loops = [path for name in _LOOPS if (path := LOOSE / f"{name}.flac").is_file()]
        if USED[-1] not in self._kits or len(self._kits) < 2 or not self._loops:
            raise DependencyError(f"drum kits are missing in {KITS} or {LOOSE}", "missing")

    def phrase(self, rng: np.random.Generator, part: str, seconds: float) -> tuple[NDArray, str]:
        """A phrase on one drum kit, or sometimes (in training) a drummer's loop. `[samples]`"""
        if part == "train" and rng.random() < 0.08:
            return self._loop(rng, seconds)
        names = [name for name in self._kits if (name == USED[-1]) == (part == "validation")]
        name = names[rng.integers(len(names))]
        drums = self._kits[name]
        phrase = compose_phrase(rng, VOICES["drums"][0], seconds)
        sound = np.zeros(round(seconds * self.rate), np.float32)
        chosen: dict[int, _Drum] = {}
        for note in phrase.notes:
            if note.pitch not in chosen:
                chosen[note.pitch] = _drum_for(rng, drums, note.pitch)
            layers = chosen[note.pitch].layers
            loud = note.velocity / 127
            fit = [path for low, high, path in layers if low <= loud <= high] or [layers[-1][2]]
            wave = transposed(read_clip(fit[rng.integers(len(fit))], self.rate), phrase.cents / 100)
            lay(sound, faded(wave[: 3 * self.rate], 8, 800) * loud**1.5, round(note.onset_s * self.rate))
        return sound, f"drum kit: {name}, {phrase.style}"

    def _loop(self, rng: np.random.Generator, seconds: float) -> tuple[NDArray, str]:
        path = self._loops[rng.integers(len(self._loops))]
        wave = transposed(read_clip(path, self.rate), float(rng.uniform(-3, 3)))
        count = round(seconds * self.rate)
        turns = np.tile(wave, 2 + count // len(wave))
        return turns[(first := int(rng.integers(len(wave)))) : first + count].copy(), f"drum loop: {path.stem}"


_LOOPS = ("loop_amen", "loop_amen_full", "loop_breakbeat", "loop_tabla", "loop_safari", "loop_perc1", "loop_perc2")


def _drum_for(rng: np.random.Generator, drums: list[_Drum], pitch: int) -> _Drum:
    """A drum whose name fits a General MIDI key; a random one if none fits (as in a kit of hand drums)."""
    for words, pitches in _WORDS:
        if pitch in pitches:
            fit = [drum for drum in drums if any(word in drum.name.lower() for word in words)]
            if fit:
                return fit[rng.integers(len(fit))]
    return drums[rng.integers(len(drums))]


def _kit(folder: Path) -> list[_Drum]:
    """Instruments of a kit; empty if it is not installed."""
    file = folder / "drumkit.xml"
    if not file.is_file():
        return []
    root = ElementTree.parse(file).getroot()
    for element in root.iter():  # newer kits have a namespace
        element.tag = element.tag.split("}")[-1]
    drums = []
    for instrument in root.iter("instrument"):
        layers = []
        for layer in instrument.iter("layer"):
            path = folder / (layer.findtext("filename") or "")
            if path.is_file():
                layers.append((float(layer.findtext("min") or 0), float(layer.findtext("max") or 1), path))
        single = instrument.findtext("filename")
        if not layers and single and (folder / single).is_file():
            layers = [(0.0, 1.0, folder / single)]
        if layers:
            drums.append(_Drum(instrument.findtext("name") or "", tuple(layers)))
    return drums
