"""Simulated concerts: rooms, performers, sound and pictures drawn by chance, with every truth known."""

from hearsight.scenes.concert.check import CheckReport, check_folder
from hearsight.scenes.concert.settings import KINDS, Settings
from hearsight.scenes.concert.sheet import contact_sheet
from hearsight.scenes.concert.write import SimulateReport, simulate

__all__ = ["KINDS", "CheckReport", "Settings", "SimulateReport", "check_folder", "contact_sheet", "simulate"]
