"""How instruments look to a network that knows ImageNet's classes: what is seen when something is played.

Evidence for a visible thing is a vector over `SEEN`, ImageNet's classes of instruments, in [0, 1] with a sum of at most
1 (`InstrumentEye`). ImageNet has no double bass, ukulele, clarinet, trumpet or tuba, and its classes are confused with
one another; `PLAYED_AS_SEEN` says how the look of what is played spreads over the classes that can be seen, and
`draw_evidence` draws evidence as pictures give it.

How the numbers were measured. Cut-out pictures of 47 instruments (11 photographs from Debian's Tux Paint stamps, 36
drawings from there, GCompris and the Open Clip Art Library) were pasted, 40 times each, into photographs of rooms,
streets and landscapes (Scratch's and MATE's) at 449 x 801 pixels: longer side 10 to 80 % of the picture's height,
tilted by up to 25 degrees, mirrored, darker or brighter, blurred and JPEG-compressed. The evidence of a pasting is the
strongest within its outline. Six instruments in four clips of FAIR-Play (480 x 240) were looked at with their players.
Cut-outs have no players and no stage, which the network has learned from too: without them it cannot tell a cello from
a violin, with them it does. What stands on cut-outs alone is therefore mixed with the class that bears the instrument's
name; the comment at each row says what it stands on.
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
SEEN: tuple[str, ...] = tuple(_IMAGENET)
SEEN_INDICES: tuple[int, ...] = tuple(_IMAGENET.values())

# Shares of the evidence, of things whose evidence is at least 0.1. "Named": the class that bears the name.
_LOOKS: dict[str, dict[str, float]] = {
    # Drawings of an accordion and a harmonica; real accordions are far more often played and seen.
    "free reed": {"accordion": 0.75, "harmonica": 0.25},
    # A photograph and two drawings (0.71 acoustic guitar); real clip: acoustic guitar, banjo, cello and violin in turn.
    "guitar": {"acoustic guitar": 0.74, "electric guitar": 0.1, "cello": 0.06, "banjo": 0.06, "violin": 0.04},
    # Two photographs, two drawings.
    "electric guitar": {
        "electric guitar": 0.76,
        "banjo": 0.1,
        "acoustic guitar": 0.07,
        "bassoon": 0.04,
        "oboe": 0.03,
    },
    # A drawing of a banjo (0.96 banjo); mandolins and ukuleles, which belong here, by kinship of shape.
    "banjo": {"banjo": 0.55, "acoustic guitar": 0.3, "violin": 0.08, "electric guitar": 0.04, "drum": 0.03},
    # Double bass: real clip (all cello). Electric bass: a photograph and a drawing (0.85 electric guitar). Half each.
    "bass": {"cello": 0.48, "electric guitar": 0.42, "violin": 0.04, "acoustic guitar": 0.03, "bassoon": 0.03},
    # A photograph and three drawings (0.56 violin, 0.35 cello), mixed with the named.
    "violin": {"violin": 0.76, "cello": 0.18, "acoustic guitar": 0.04, "banjo": 0.02},
    # Real clip (all cello); a photograph and two drawings without player (0.60 violin, 0.35 cello).
    "cello": {"cello": 0.76, "violin": 0.2, "acoustic guitar": 0.03, "banjo": 0.01},
    # Three drawings.
    "harp": {"harp": 0.95, "flute": 0.02, "violin": 0.02, "cornet": 0.01},
    # Real clips of uprights (all upright piano); drawings of a grand and an upright. Electric pianos are seen as
    # nothing or, by a drawing of a keyboard alone, as in the row of the organ.
    "piano": {"upright piano": 0.5, "grand piano": 0.4, "organ": 0.04, "accordion": 0.03, "violin": 0.03},
    # By name and kinship: pipes and cases were not to be had; a drawing of a keyboard alone (accordion, upright piano).
    "organ": {
        "organ": 0.6,
        "upright piano": 0.14,
        "accordion": 0.1,
        "grand piano": 0.06,
        "harmonica": 0.05,
        "marimba": 0.05,
    },
    # By name and kinship; a drawing of a toy xylophone was hardly seen at all (harmonica).
    "mallets": {"marimba": 0.65, "steel drum": 0.2, "drumstick": 0.05, "harmonica": 0.05, "upright piano": 0.05},
    # Three photographs and six drawings (0.77 drum, 0.18 steel drum); real clips: small kits seen weakly as drum,
    # cello, bassoon and oboe (the stands).
    "drums": {
        "drum": 0.66,
        "steel drum": 0.13,
        "bassoon": 0.06,
        "drumstick": 0.05,
        "cello": 0.05,
        "oboe": 0.03,
        "upright piano": 0.02,
    },
    # A drawing (0.67 oboe, 0.22 bassoon, 0.11 flute), mixed with the named.
    "flute": {"flute": 0.55, "oboe": 0.33, "bassoon": 0.12},
    # A photograph of a bassoon, drawings of an oboe and a clarinet (seen as oboe).
    "reeds": {"oboe": 0.56, "bassoon": 0.36, "flute": 0.06, "saxophone": 0.02},
    # A drawing (0.82 saxophone).
    "saxophone": {"saxophone": 0.86, "cornet": 0.04, "oboe": 0.04, "flute": 0.02, "French horn": 0.02, "bassoon": 0.02},
    # A photograph and two drawings.
    "trumpet": {
        "cornet": 0.76,
        "trombone": 0.17,
        "bassoon": 0.02,
        "saxophone": 0.02,
        "French horn": 0.02,
        "oboe": 0.01,
    },
    # Drawings of a trombone, a tuba (seen as cornet) and two horns.
    "low brass": {"French horn": 0.42, "trombone": 0.33, "cornet": 0.21, "saxophone": 0.02, "oboe": 0.02},
    # Singers hold no instrument: there is nothing to see among these classes. Nor for what no instrument makes.
    "voice": {},
    "other": {},
}
PLAYED: tuple[str, ...] = tuple(_LOOKS)

PLAYED_AS_SEEN: Float[np.ndarray, "played seen"] = np.array(
    [[looks.get(name, 0.0) for name in SEEN] for looks in _LOOKS.values()], dtype=np.float32
)
"""Expected share of each of `SEEN` in the evidence of a visible instrument of each of `PLAYED`; rows add up to 1, those
of the voice and of other sounds to 0."""

_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
# Quantiles of the sum of evidence at these levels, for pastings of 20 to 80 % of the picture's height.
_ALL_STRENGTHS = (0.003, 0.013, 0.12, 0.990, 0.9999, 0.99999, 0.99999)
_STRENGTHS: dict[str, tuple[float, ...]] = {
    "free reed": (0.005, 0.011, 0.875, 0.9995, 0.9999, 0.99999, 0.99999),
    "guitar": (0.003, 0.014, 0.921, 0.9995, 0.9999, 0.99999, 0.99999),
    "electric guitar": (0.003, 0.014, 0.039, 0.987, 0.9999, 0.99999, 0.99999),
    "bass": (0.003, 0.011, 0.053, 0.997, 0.9999, 0.99999, 0.99999),
    "violin": (0.003, 0.017, 0.95, 0.9995, 0.9999, 0.99999, 0.99999),
    "cello": (0.003, 0.021, 0.908, 0.9995, 0.9999, 0.99999, 0.99999),
    "piano": (0.008, 0.016, 0.2, 0.95, 0.9995, 0.9999, 0.9999),
    "drums": (0.003, 0.011, 0.040, 0.7, 0.98, 0.9999, 0.9999),
    "flute": (0.005, 0.022, 0.074, 0.9, 0.995, 0.9999, 0.9999),
}
# Strongest sum of evidence anywhere in each of 178 pictures without any instrument.
_FALSE_STRENGTHS = (0.015, 0.02, 0.030, 0.046, 0.075, 0.22, 0.6)
_FALSE_LOOKS = {
    "drum": 0.1,
    "electric guitar": 0.068,
    "cello": 0.065,
    "oboe": 0.062,
    "harmonica": 0.059,
    "drumstick": 0.055,
    "saxophone": 0.048,
    "steel drum": 0.048,
    "upright piano": 0.048,
    "marimba": 0.045,
    "trombone": 0.044,
    "bassoon": 0.042,
    "cornet": 0.041,
    "acoustic guitar": 0.038,
    "harp": 0.038,
    "accordion": 0.034,
    "French horn": 0.034,
    "flute": 0.032,
    "violin": 0.03,
    "grand piano": 0.03,
    "banjo": 0.021,
    "organ": 0.016,
}
# Of the Dirichlet distribution that has the measured mean square of the shares: one class takes nearly all.
_CONCENTRATION = 0.6
_FALSE_CONCENTRATION = 3.0
_LEAK = 0.002  # share that every class gets at least in the mean


def draw_evidence(kind: str | None, rng: np.random.Generator) -> Float[np.ndarray, "seen"]:
    """Evidence of a visible instrument as a picture may give it; sums to less than 1.

    Its sum follows the quantiles measured on pastings of 20 to 80 % of the picture's height (half of the smaller ones
    are hardly seen: sums under 0.1 are what pictures without instruments give too); its shares follow a Dirichlet
    distribution around the row of `PLAYED_AS_SEEN` whose concentration, 0.6, gives the measured mean square of shares:
    mostly one class takes nearly all, and not always the right one.

    Args:
        kind: one of `PLAYED`; None for the strongest false alarm in a picture without any instrument, and the same is
            drawn for "voice" and "other", which have no look of their own.
        rng: the source of chance.

    Returns:
        Evidence for each of `SEEN`.

    Raises:
        ValueError: `kind` is none of `PLAYED`.
    """
    if kind is not None and kind not in _LOOKS:
        raise ValueError(f"{kind!r} is none of the kinds {', '.join(PLAYED)}")
    looks = _LOOKS[kind] if kind is not None else {}
    if looks:
        strengths = _STRENGTHS.get(str(kind), _ALL_STRENGTHS)
        concentration = _CONCENTRATION
    else:
        looks, strengths, concentration = _FALSE_LOOKS, _FALSE_STRENGTHS, _FALSE_CONCENTRATION
    mean = np.array([looks.get(name, 0.0) + _LEAK for name in SEEN])
    shares = rng.dirichlet(concentration * mean / mean.sum())
    quantiles = np.array(strengths)
    logit = np.interp(rng.random(), _LEVELS, np.log(quantiles / (1 - quantiles)))
    return np.asarray(shares / (1 + np.exp(-logit)), np.float32)
