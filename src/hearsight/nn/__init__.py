"""First floor: the building blocks of the networks."""

from hearsight.nn.associative import AssociativeConv
from hearsight.nn.fusion import VisualCondition
from hearsight.nn.pyramid import Associated, AssociativePyramid, OutermostAssociation
from hearsight.nn.rearrange import Extremes, Rearrangement, rearrange, split_sides
from hearsight.nn.unet import ConditionalUNet, Decoded, draw_weights, upsample
from hearsight.nn.visual import VisualResNet

__all__ = [
    "Associated",
    "AssociativeConv",
    "AssociativePyramid",
    "ConditionalUNet",
    "Decoded",
    "Extremes",
    "OutermostAssociation",
    "Rearrangement",
    "VisualCondition",
    "VisualResNet",
    "draw_weights",
    "rearrange",
    "split_sides",
    "upsample",
]
