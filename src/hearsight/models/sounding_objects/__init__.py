"""The default model: classifies the sound, locates objects in the picture, joins both by associative convolution."""

from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.models.sounding_objects.given_positions import GivenPositions
from hearsight.models.sounding_objects.model import SoundingObjects
from hearsight.vision.instrument_detector import InstrumentDetector
from hearsight.vision.instrument_tracker import InstrumentTracker

__all__ = ["GivenPositions", "InstrumentDetector", "InstrumentTracker", "SoundClassifier", "SoundingObjects"]
