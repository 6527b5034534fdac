"""The default model: it hears what plays, sees where it is, and joins the two by associative convolution."""

from hearsight.models.concert.ear import ConcertEar
from hearsight.models.concert.eye import InstrumentEye
from hearsight.models.concert.model import Concert
from hearsight.models.concert.placed import Placed
from hearsight.models.concert.watcher import Watcher

__all__ = ["Concert", "ConcertEar", "InstrumentEye", "Placed", "Watcher"]
