"""The model `positions`: sources at positions in the picture, rendered binaurally. Nothing is learned.

Positions are given, or found by motion that is synchronous with the sound. The sound is split among several sources by
the correlation of its components with their motion. The model is the baseline that needs no training or download.
"""

from hearsight.models.positions.model import Positions

__all__ = ["Positions"]
