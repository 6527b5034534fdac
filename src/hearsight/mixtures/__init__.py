"""Training pairs composed in the space of instrument maps: phrases, rooms and the flaws of recordings."""

from hearsight.mixtures.mixtures import MapPair, MapPairs, MapPairSettings
from hearsight.mixtures.degradations import Ranges, draw_recording
from hearsight.mixtures.rooms import RoomBank, make_room_bank
from hearsight.mixtures.sound_bank import BankReport, SoundBank, make_sound_bank

__all__ = [
    "BankReport", "MapPair", "MapPairSettings", "MapPairs", "Ranges", "RoomBank", "SoundBank", "draw_recording",
    "make_room_bank", "make_sound_bank",
]  # fmt: skip
