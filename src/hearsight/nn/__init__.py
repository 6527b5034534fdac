"""First floor: the building blocks of the networks."""

from hearsight.nn.fusion import VisualCondition
from hearsight.nn.unet import ConditionalUNet, Decoded, draw_weights, upsample
from hearsight.nn.visual import VisualResNet

__all__ = ["ConditionalUNet", "Decoded", "VisualCondition", "VisualResNet", "draw_weights", "upsample"]
