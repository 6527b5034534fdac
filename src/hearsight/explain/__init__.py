"""Explanation of a model's output: maps and outlines over the picture, and scores for them."""

from hearsight.explain.activation import activation_map
from hearsight.explain.association import association_map
from hearsight.explain.attention import attention_maps
from hearsight.explain.drawing import overlay
from hearsight.explain.explaining import METHODS, Explanation, explain, map_maker
from hearsight.explain.moments import Moment, moments_of_clip
from hearsight.explain.occlusion import Occlusion
from hearsight.explain.score import MapScore, centre_prior, score_map

__all__ = [
    "METHODS",
    "Explanation",
    "MapScore",
    "Moment",
    "Occlusion",
    "activation_map",
    "association_map",
    "attention_maps",
    "centre_prior",
    "explain",
    "map_maker",
    "moments_of_clip",
    "overlay",
    "score_map",
]
