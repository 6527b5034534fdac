"""The model `positions`: sources at positions in the picture, rendered binaurally. Nothing is learned.

Positions are given, or found by motion in step with the sound; several sources share the sound by how its parts go with
their motion. It works without training or download, and is the baseline that needs none.
"""

from hearsight.models.positions.model import Positions

__all__ = ["Positions"]
