"""Appearance of instruments to a network with ImageNet's classes: the classes seen when an instrument is played.

Evidence for a visible object is a vector over `IMAGENET_INSTRUMENTS`, ImageNet's classes of instruments, in [0, 1] with
a sum of at most 1 (`InstrumentDetector`). ImageNet has no double bass, ukulele, clarinet, trumpet or tuba, and the
network confuses its classes. `APPEARANCE` states how the evidence of a played class spreads over the visible classes,
and `draw_evidence` draws evidence with the distribution of real pictures.

The numbers were measured with the detector's own network:

- Cut-outs: 47 instruments (11 photographs from Debian's Tux Paint stamps, 36 drawings from there, GCompris and the Open
Clip Art Library) pasted into photographs of rooms, streets and landscapes (Scratch's and MATE's) at 449 x 801 pixels,
tilted by up to 25 degrees, mirrored, darker or brighter, blurred and JPEG-compressed: 40 single pictures of each with a
longer side of 10 to 80 % of the picture's height, and 7 times 4 seconds of a shaken camera with noise at 15 to 80 %,
followed by `InstrumentTracker`.
- Players: 90 performers in 36 simulated concerts (`hearsight simulate`: drawings of nine classes with players), and six
instruments in four real clips of FAIR-Play (480 x 240).

Cut-outs have no players, but the network has learned from pictures with players: without a player it takes half of the
cellos for violins, with a player it does not. Rows therefore rely on players where available; rows that rely on
cut-outs of a few drawings only are mixed with the class of the same name. The comment at each row states its data.
"""

import numpy as np
from jaxtyping import Float

_IMAGENET = {
    "accordion": 401,
    "acoustic guitar": 402,
    "banjo": 420,
    "bassoon": 432,
    "cello": 486,
    "cornet": 513,
    "drum": 541,
    "drumstick": 542,
    "electric guitar": 546,
    "flute": 558,
    "French horn": 566,
    "grand piano": 579,
    "harmonica": 593,
    "harp": 594,
    "marimba": 642,
    "oboe": 683,
    "organ": 687,
    "saxophone": 776,
    "steel drum": 822,
    "trombone": 875,
    "upright piano": 881,
    "violin": 889,
}
IMAGENET_INSTRUMENTS: tuple[str, ...] = tuple(_IMAGENET)
IMAGENET_INDICES: tuple[int, ...] = tuple(_IMAGENET.values())

# Shares of the evidence, for objects whose evidence is at least 0.1. "Named": the class with the instrument's name.
_APPEARANCES: dict[str, dict[str, float]] = {
    # Cut-outs: drawings of an accordion and a harmonica; real accordions are played and seen far more often.
    "free reed": {"accordion": 0.75, "harmonica": 0.25},
    # Players: nine drawn ones (0.79 acoustic guitar), a real one (a third each guitar, bassoon and violin, banjo).
    # Cut-outs: a photograph and two drawings (0.66).
    "guitar": {
        "acoustic guitar": 0.68,
        "electric guitar": 0.1,
        "banjo": 0.08,
        "violin": 0.06,
        "cello": 0.04,
        "bassoon": 0.04,
    },
    # Cut-outs: two photographs, two drawings (0.56 to 0.69 electric guitar).
    "electric guitar": {
        "electric guitar": 0.68,
        "banjo": 0.15,
        "acoustic guitar": 0.08,
        "cello": 0.03,
        "oboe": 0.03,
        "bassoon": 0.03,
    },
    # Players: eight drawn ukuleles (acoustic guitar) and eight banjos (0.5 banjo, 0.5 drum); cut-out: a drawn banjo
    # (0.81 to 0.96). Mandolins by similarity of shape.
    "banjo": {"banjo": 0.55, "acoustic guitar": 0.28, "drum": 0.08, "electric guitar": 0.06, "violin": 0.03},
    # Double bass with players: nine drawn ones (0.94 cello), a real one (all cello). Electric bass: cut-outs of a
    # photograph and a drawing (0.85 to 0.89 electric guitar). Half each.
    "bass": {"cello": 0.48, "electric guitar": 0.42, "violin": 0.03, "acoustic guitar": 0.04, "bassoon": 0.03},
    # Cut-outs: a photograph and three drawings (0.57 violin, 0.34 cello), mixed with the named.
    "violin": {"violin": 0.76, "cello": 0.18, "acoustic guitar": 0.04, "banjo": 0.02},
    # Players: thirteen drawn ones (0.93 cello), a real one (all cello). Cut-outs: half cello, half violin.
    "cello": {"cello": 0.85, "violin": 0.12, "acoustic guitar": 0.02, "oboe": 0.01},
    # Players: fifteen drawn ones (0.83). Cut-outs: three drawings (0.97).
    "harp": {"harp": 0.92, "bassoon": 0.03, "cello": 0.03, "flute": 0.02},
    # Real uprights, played and idle (0.97 upright piano); eight drawn players (0.45 grand, 0.23 upright, 0.27
    # bassoon); cut-outs of a grand and an upright. Electric pianos are not detected or, like the drawing of a keyboard
    # alone, as in the row of the organ.
    "piano": {"upright piano": 0.5, "grand piano": 0.4, "organ": 0.04, "bassoon": 0.03, "accordion": 0.03},
    # By name and similarity: no pictures of pipes and cases were available; a drawing of a keyboard is hardly
    # detected.
    "organ": {
        "organ": 0.6,
        "upright piano": 0.14,
        "accordion": 0.1,
        "grand piano": 0.06,
        "harmonica": 0.05,
        "marimba": 0.05,
    },
    # By name and similarity; a drawing of a toy xylophone was hardly detected (as harmonica).
    "mallets": {"marimba": 0.65, "steel drum": 0.2, "drumstick": 0.05, "harmonica": 0.05, "upright piano": 0.05},
    # Cut-outs: three photographs and six drawings (0.7 drum, 0.15 steel drum). Ten drawn players (0.88 steel drum). Two
    # real ones, small: drum, steel drum, cello and bassoon (the stands) in turn.
    "drums": {
        "drum": 0.58,
        "steel drum": 0.22,
        "cello": 0.06,
        "bassoon": 0.05,
        "drumstick": 0.04,
        "banjo": 0.03,
        "oboe": 0.02,
    },
    # Cut-outs: a drawing (0.67 to 0.85 oboe, 0.11 flute), mixed with the named.
    "flute": {"flute": 0.53, "oboe": 0.36, "bassoon": 0.11},
    # Cut-outs: a photograph of a bassoon, drawings of an oboe and a clarinet (seen as oboe).
    "reeds": {"oboe": 0.56, "bassoon": 0.38, "flute": 0.04, "saxophone": 0.02},
    # Cut-outs: a drawing (0.71 to 0.82 saxophone).
    "saxophone": {"saxophone": 0.82, "bassoon": 0.07, "oboe": 0.03, "cornet": 0.03, "French horn": 0.03, "flute": 0.02},
    # Cut-outs: a photograph and two drawings. Ten drawn players: so small that only one was detected.
    "trumpet": {"cornet": 0.74, "trombone": 0.2, "flute": 0.02, "saxophone": 0.02, "French horn": 0.02},
    # Cut-outs: drawings of a trombone, a tuba (seen as cornet) and two horns.
    "low brass": {"French horn": 0.44, "trombone": 0.3, "cornet": 0.22, "violin": 0.02, "saxophone": 0.02},
    # Singers hold no instrument, so there is no evidence among these classes; likewise for other sounds.
    "voice": {},
    "other": {},
}
APPEARANCE_CLASSES: tuple[str, ...] = tuple(_APPEARANCES)

APPEARANCE: Float[np.ndarray, "played seen"] = np.array(
    [[appearance.get(name, 0.0) for name in IMAGENET_INSTRUMENTS] for appearance in _APPEARANCES.values()],
    dtype=np.float32,
)
"""Expected share of each of `IMAGENET_INSTRUMENTS` in the evidence of a visible instrument of each of
`APPEARANCE_CLASSES`. Rows sum to 1, those of the voice and of other sounds to 0."""

DETECTION_RATE: dict[str, float] = {
    "free reed": 0.93,
    "guitar": 0.87,
    "electric guitar": 0.77,
    "banjo": 0.6,
    "bass": 0.8,
    "violin": 0.88,
    "cello": 0.9,
    "harp": 0.82,
    "piano": 0.9,
    "organ": 0.5,
    "mallets": 0.5,
    "drums": 0.7,
    "flute": 0.5,
    "reeds": 0.56,
    "saxophone": 0.8,
    "trumpet": 0.5,
    "low brass": 0.81,
    "voice": 0.0,
    "other": 0.0,
}
"""Share of visible instruments of each class that are detected as an object, if their longer side is 20 to 80 % of the
picture's height (half of those from 20 to 30 %, nearly all from 45 %). Measured on 4 to 46 clips with cut-outs each and
on drawn players; for organs and mallets, without pictures, half is an assumption."""
FALSE_ALARMS = 0.2
"""Share of pictures without any instrument in which an object is detected, with a shaken camera over 4 seconds: 0 of 45
photographs of nature and animals, 17 of 92 of rooms, streets, people and objects (one stronger than 0.3), and 20 of 49
cartoons (three stronger)."""

_LEVELS = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
# Quantiles, at these levels, of the sum of evidence of objects in clips with cut-outs of 20 to 80 % of the height.
_STRENGTHS = (0.10, 0.185, 0.285, 0.73, 0.966, 0.993, 0.998, 0.9999)
_DRUMS_STRENGTHS = (0.11, 0.15, 0.2, 0.67, 0.89, 0.963, 0.992, 0.999)
# The same for the strongest object in clips without any instrument, if there was one.
_FALSE_STRENGTHS = (0.06, 0.09, 0.12, 0.138, 0.187, 0.256, 0.353, 0.55)
_FALSE_APPEARANCES = {
    "electric guitar": 0.12,
    "drum": 0.08,
    "harmonica": 0.08,
    "marimba": 0.065,
    "trombone": 0.065,
    "violin": 0.055,
    "steel drum": 0.055,
    "drumstick": 0.05,
    "cello": 0.05,
    "upright piano": 0.048,
    "bassoon": 0.042,
    "oboe": 0.042,
    "accordion": 0.042,
    "acoustic guitar": 0.038,
    "cornet": 0.035,
    "saxophone": 0.028,
    "grand piano": 0.025,
    "harp": 0.024,
    "flute": 0.022,
    "French horn": 0.02,
    "banjo": 0.018,
    "organ": 0.008,
}
# Concentration of Dirichlet distributions with the measured mean square of the shares: one class takes most.
_CONCENTRATION = 1.0
_LEAK = 0.001  # smallest mean share of every class


def draw_evidence(sound_class: str | None, rng: np.random.Generator) -> Float[np.ndarray, "seen"]:
    """Draw the evidence of a visible object, as the tracker gives it after some detections; sums to less than 1.

    Its sum follows the quantiles measured for instruments of 20 to 80 % of the picture's height that were detected as
    objects (`DETECTION_RATE` states how many are). Its shares follow a Dirichlet distribution around the row of
    `APPEARANCE` with the measured concentration, 1.0: usually one class takes nearly all, and not always the right one.

    Args:
        sound_class: one of `APPEARANCE_CLASSES`; None for a false alarm, an object in a picture without any instrument
            (`FALSE_ALARMS`). "voice" and "other" have no detections of their own and are drawn like false alarms.
        rng: random generator.

    Returns:
        Evidence for each of `IMAGENET_INSTRUMENTS`.

    Raises:
        ValueError: `sound_class` is none of `APPEARANCE_CLASSES`.
    """
    if sound_class is not None and sound_class not in _APPEARANCES:
        raise ValueError(f"{sound_class!r} is none of the classes {', '.join(APPEARANCE_CLASSES)}")
    appearance = _APPEARANCES[sound_class] if sound_class is not None else {}
    if not appearance:
        appearance, strengths = _FALSE_APPEARANCES, _FALSE_STRENGTHS
    else:
        strengths = _DRUMS_STRENGTHS if sound_class == "drums" else _STRENGTHS
    mean = np.array([appearance.get(name, 0.0) + _LEAK for name in IMAGENET_INSTRUMENTS])
    shares = rng.dirichlet(_CONCENTRATION * mean / mean.sum())
    quantiles = np.array(strengths)
    logit = np.interp(rng.random(), _LEVELS, np.log(quantiles / (1 - quantiles)))
    return np.asarray(shares / (1 + np.exp(-logit)), np.float32)
