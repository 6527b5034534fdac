"""Associative-Conv: APNet with a single associative convolution, at the outermost inner stage of the decoder.

Paper: Zhou et al., "Sep-Stereo", ECCV 2020, section 4.3, variant 1. Everything else is as in `apnet`; the two heads
read the 98 maps of that one convolution. 34.3 million parameters, 11.2 million of them in the ResNet.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from hearsight.models.apnet import APNet, Fusion
from hearsight.models.interface import SegmentFormat


class AssociativeConvNetwork(APNet):
    """APNet's backbone and losses with one associative convolution; arguments and extras are those of `APNet`."""

    system: ClassVar[str] = "associative-conv"

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        fusion: Fusion = "outermost",
        **settings: Any,
    ) -> None:
        super().__init__(segment, fusion, **settings)
