"""Instruments of a sound font for each class, with their range and way of playing."""

from dataclasses import dataclass

DRUM_BANK = 128


@dataclass(frozen=True)
class Voice:
    """One instrument of a class.

    Attributes:
        program: General MIDI program from 0.
        low, high: lowest and highest MIDI pitch of its whole range.
        manner: `bowed`, `blown`, `plucked`, `struck`, `keys`, `held` (organ, accordion), `sung`, `bass` or `drums`.
        share: relative probability among the class's voices.
        bank: General MIDI bank, DRUM_BANK for drum kits; fonts without a bank other than 0 do not play its voices.
    """

    program: int
    low: int
    high: int
    manner: str
    share: float = 1.0
    bank: int = 0


VOICES: dict[str, tuple[Voice, ...]] = {
    "free reed": (
        Voice(21, 48, 89, "held", 3),
        Voice(22, 55, 89, "blown", 2),
        Voice(23, 48, 86, "held", 2),
        Voice(21, 48, 86, "held", 1, 8),
        Voice(20, 48, 84, "held", 0.5),
    ),
    "guitar": (
        Voice(24, 40, 79, "plucked", 3),
        Voice(25, 40, 81, "plucked", 4),
        Voice(25, 40, 79, "plucked", 1, 8),
    ),
    "electric guitar": (
        Voice(26, 40, 81, "plucked", 2),
        Voice(27, 40, 84, "plucked", 3),
        Voice(28, 40, 76, "plucked", 1),
        Voice(29, 40, 86, "plucked", 2),
        Voice(30, 40, 86, "plucked", 1.5),
        Voice(28, 40, 79, "plucked", 0.5, 8),
    ),
    "banjo": (
        Voice(105, 48, 81, "plucked", 4),
        Voice(25, 55, 86, "plucked", 2, 16),  # mandolin
        Voice(24, 57, 81, "plucked", 2, 8),  # ukulele
    ),
    "bass": (
        Voice(32, 28, 60, "bass", 4),
        Voice(33, 28, 60, "bass", 2.5),
        Voice(34, 28, 57, "bass", 1),
        Voice(35, 28, 60, "bass", 1),
        Voice(36, 28, 57, "bass", 1),
        Voice(37, 28, 57, "bass", 0.5),
        Voice(43, 28, 62, "bowed", 2.5),
        Voice(45, 28, 50, "bass", 0.5),
    ),
    "violin": (
        Voice(40, 55, 98, "bowed", 5),
        Voice(41, 48, 86, "bowed", 2.5),
        Voice(40, 55, 96, "bowed", 1, 8),
        Voice(110, 55, 91, "bowed", 1),
        Voice(48, 60, 96, "bowed", 1),
        Voice(49, 60, 96, "bowed", 0.7),
        Voice(44, 60, 93, "bowed", 0.4),
        Voice(45, 55, 93, "plucked", 0.8),
    ),
    "cello": (
        Voice(42, 36, 79, "bowed", 6),
        Voice(48, 36, 67, "bowed", 0.5, 40),
        Voice(45, 36, 67, "plucked", 0.5),
    ),
    "harp": (Voice(46, 28, 96, "plucked", 1),),
    "piano": (
        Voice(0, 24, 105, "keys", 5),
        Voice(1, 24, 105, "keys", 3),
        Voice(2, 28, 100, "keys", 1),
        Voice(3, 28, 100, "keys", 1.5),
        Voice(4, 28, 96, "keys", 1),
        Voice(5, 28, 96, "keys", 1),
        Voice(0, 24, 105, "keys", 1, 8),
        Voice(6, 36, 88, "keys", 0.4),
    ),
    "organ": (
        Voice(16, 36, 91, "held", 2),
        Voice(17, 36, 91, "held", 1),
        Voice(18, 36, 91, "held", 1),
        Voice(19, 36, 96, "held", 3),
        Voice(20, 36, 89, "held", 1),
        Voice(19, 36, 96, "held", 1, 8),
    ),
    "mallets": (
        Voice(9, 72, 103, "struck", 1.5),
        Voice(11, 53, 89, "struck", 2.5),
        Voice(12, 45, 96, "struck", 2.5),
        Voice(13, 65, 108, "struck", 2),
        Voice(114, 53, 84, "struck", 1.5),
        Voice(8, 60, 100, "struck", 0.5),
        Voice(14, 60, 79, "struck", 0.4),
        Voice(108, 55, 84, "struck", 0.4),
    ),
    "drums": tuple(Voice(kit, 27, 87, "drums", share, DRUM_BANK) for kit, share in (
        (0, 4), (8, 2), (16, 2), (32, 2), (40, 2), (25, 0.4), (24, 0.4), (48, 0.4), (1, 1), (3, 1), (5, 1), (11, 1),
        (33, 1), (35, 1), (41, 1),
    )),
    "flute": (
        Voice(73, 59, 96, "blown", 5),
        Voice(72, 74, 106, "blown", 1.5),
        Voice(74, 60, 93, "blown", 2),
        Voice(75, 60, 93, "blown", 1.5),
        Voice(77, 57, 86, "blown", 0.5),
        Voice(79, 60, 86, "blown", 0.5),
        Voice(78, 67, 93, "blown", 0.3),
    ),
    "reeds": (
        Voice(71, 50, 91, "blown", 4),
        Voice(68, 58, 91, "blown", 2.5),
        Voice(69, 52, 81, "blown", 1.5),
        Voice(70, 34, 74, "blown", 2),
    ),
    "saxophone": (
        Voice(64, 56, 88, "blown", 1.5),
        Voice(65, 49, 81, "blown", 3),
        Voice(66, 44, 76, "blown", 3),
        Voice(67, 36, 69, "blown", 1.5),
    ),
    "trumpet": (Voice(56, 52, 84, "blown", 5), Voice(59, 54, 84, "blown", 2)),
    "low brass": (
        Voice(57, 40, 74, "blown", 4),
        Voice(60, 41, 77, "blown", 3),
        Voice(58, 28, 58, "blown", 2),
        Voice(61, 40, 76, "blown", 0.6),
    ),
    "voice": (Voice(52, 43, 81, "sung", 3), Voice(53, 43, 81, "sung", 2), Voice(85, 50, 81, "sung", 0.5)),
}  # fmt: skip
"""Voices of each class that music is composed for; `other` has none."""

EFFECTS: tuple[Voice, ...] = tuple(
    Voice(program, 48, 76, "effect", 1.0, bank)
    for bank, program in (
        (0, 122), (0, 123), (0, 124), (0, 125), (0, 126), (1, 122), (2, 122), (3, 122), (4, 122), (5, 122), (1, 123),
        (2, 123), (3, 123), (1, 124), (2, 124), (3, 124), (4, 124), (1, 125), (2, 125), (3, 125), (4, 125), (5, 125),
        (6, 125), (7, 125), (5, 126), (3, 127), (0, 127),
    )
)  # fmt: skip
"""Noises of General MIDI and Roland GS: sea, rain, wind, birds, telephones, doors, cars, trains, applause, steps."""

DRUM_FONT = Voice(0, 27, 87, "drums")
"""Voice of a sound font that consists of one drum kit."""
