"""Simulated concerts: random rooms, performers, sound and pictures, with all true values known."""

from hearsight.simulation.check import CheckReport, check_folder
from hearsight.simulation.contact_sheet import contact_sheet
from hearsight.simulation.settings import SIMULATED_INSTRUMENTS, Settings
from hearsight.simulation.write import SimulateReport, simulate

__all__ = [
    "SIMULATED_INSTRUMENTS",
    "CheckReport",
    "Settings",
    "SimulateReport",
    "check_folder",
    "contact_sheet",
    "simulate",
]
