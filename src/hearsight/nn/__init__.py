"""Building blocks of the networks."""

from hearsight.nn.associative import AssociativeConv
from hearsight.nn.cross_modal_attention import Attended, AttentiveDecoder, cosine_attention
from hearsight.nn.depth import DepthEstimator, depth_as_picture
from hearsight.nn.efficientnet_lite import EfficientNetLite0, LiteMap, lite_picture
from hearsight.nn.fusion import VisualCondition
from hearsight.nn.published_backbone import PublishedBackbone, VisualBackbone, visual_backbone
from hearsight.nn.pyramid import Associated, AssociativePyramid, OutermostAssociation
from hearsight.nn.rearrange import Extremes, Rearrangement, rearrange, split_sides
from hearsight.nn.unet import (
    ConditionalUNet,
    Conditioning,
    Decoded,
    Norm,
    downsample,
    draw_weights,
    normalization,
    upsample,
)
from hearsight.nn.vision_transformer import VisionTransformer
from hearsight.nn.visual import VisualResNet

__all__ = [
    "Associated",
    "AssociativeConv",
    "AssociativePyramid",
    "Attended",
    "AttentiveDecoder",
    "ConditionalUNet",
    "Conditioning",
    "Decoded",
    "DepthEstimator",
    "EfficientNetLite0",
    "Extremes",
    "LiteMap",
    "Norm",
    "OutermostAssociation",
    "PublishedBackbone",
    "Rearrangement",
    "VisionTransformer",
    "VisualBackbone",
    "VisualCondition",
    "VisualResNet",
    "cosine_attention",
    "depth_as_picture",
    "downsample",
    "draw_weights",
    "lite_picture",
    "normalization",
    "rearrange",
    "split_sides",
    "upsample",
    "visual_backbone",
]
