"""Responses of a room in the place of a head's: what becomes of them is said."""

import torch

from hearsight.acoustics import HRIRSet, load_hrirs
from hearsight.models.interface import ClipInfo, Window
from hearsight.models.positions import Positions
from hearsight.models.sounding_objects.wiener_panning import DifferenceFilters
from hearsight.vision.tracks import Track


def room() -> HRIRSet:
    """KEMAR's responses, and 0.12 s of echoes."""
    head = load_hrirs()
    some = torch.arange(0, len(head.azimuth), 8)
    taps = round(0.12 * head.sample_rate_hz)
    echoes = 0.01 * torch.randn(len(some), 2, taps, generator=torch.Generator().manual_seed(0))
    echoes[..., : head.taps] += head.responses[some]
    return HRIRSet(echoes, head.azimuth[some], head.elevation[some], head.sample_rate_hz, "room")


def test_long_responses_are_named() -> None:
    given = [Track.at("one", 0.2, 0.5)]
    for hrirs, is_long in ((room(), True), (load_hrirs(), False)):
        session = Positions(given, hrirs).session(ClipInfo(16_000, 1.0))
        session.process([Window(0.0, 0.1 * torch.randn(16_000))])
        assert any("0.12 s, as of a room" in note for note in session.notes()) == is_long


def test_filters_are_of_the_beginning_of_long_responses() -> None:
    hrirs, n_fft = room(), 1024
    cut = hrirs.replaced(hrirs.responses[..., :n_fft], hrirs.sample_rate_hz)
    angles = torch.tensor([0.3]).numpy(), torch.tensor([0.1]).numpy()
    rate = round(hrirs.sample_rate_hz)
    filters = [DifferenceFilters(each, rate, n_fft)(*angles) for each in (hrirs, cut)]
    torch.testing.assert_close(*filters)
