"""The default model: it hears what plays, sees where it is, and joins the two by associative convolution."""

from hearsight.models.sounding_objects.classifier import ConcertEar
from hearsight.vision.instrument_detector import InstrumentEye
from hearsight.models.sounding_objects.model import Concert
from hearsight.models.sounding_objects.given_positions import Placed
from hearsight.vision.instrument_tracker import Watcher

__all__ = ["Concert", "ConcertEar", "InstrumentEye", "Placed", "Watcher"]
