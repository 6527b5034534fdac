"""The default model: it hears what plays, sees where it is, and joins the two by associative convolution."""

from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.models.sounding_objects.given_positions import GivenPositions
from hearsight.models.sounding_objects.model import SoundingObjects
from hearsight.vision.instrument_detector import InstrumentDetector
from hearsight.vision.instrument_tracker import InstrumentTracker

__all__ = ["GivenPositions", "InstrumentDetector", "InstrumentTracker", "SoundClassifier", "SoundingObjects"]
