"""Pseudo visual-stereo pairs: boxes of sources in mono videos, composing, rendering, folders of pairs."""

from hearsight.pseudo.boxes import WHOLE_FRAME, Box, BoxFile, read_boxes
from hearsight.pseudo.composing import Backgrounds
from hearsight.pseudo.detectors import SourceDetector
from hearsight.pseudo.figure import draw_pairs, save_figure
from hearsight.pseudo.folder import WrittenPairs, read_recipe, write_pairs
from hearsight.pseudo.mono_clips import MonoClip, read_clip_list
from hearsight.pseudo.pair_recipe import PairRecipe, PairSettings, SourceRecipe
from hearsight.pseudo.pairs import PseudoPair, PseudoPairs
from hearsight.pseudo.prepared_mono_clips import PreparedMonoClips, prepare_mono_clips

__all__ = [
    "WHOLE_FRAME",
    "Backgrounds",
    "Box",
    "BoxFile",
    "MonoClip",
    "PairRecipe",
    "PairSettings",
    "PreparedMonoClips",
    "PseudoPair",
    "PseudoPairs",
    "SourceDetector",
    "SourceRecipe",
    "WrittenPairs",
    "draw_pairs",
    "prepare_mono_clips",
    "read_boxes",
    "read_clip_list",
    "read_recipe",
    "save_figure",
    "write_pairs",
]
