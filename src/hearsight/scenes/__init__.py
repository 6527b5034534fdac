"""Second floor: pseudo visual-stereo pairs and simulated concerts."""

from hearsight.scenes.boxes import WHOLE_FRAME, Box, BoxFile, read_boxes
from hearsight.scenes.composing import Backgrounds
from hearsight.scenes.detectors import SourceDetector
from hearsight.scenes.mono_clips import MonoClip, read_clip_list
from hearsight.scenes.prepared_mono_clips import PreparedMonoClips, prepare_mono_clips
from hearsight.scenes.pseudo import PseudoPair, PseudoPairs
from hearsight.scenes.pseudo_drawing import draw_pairs, save_figure
from hearsight.scenes.pseudo_folder import WrittenPairs, read_recipe, write_pairs
from hearsight.scenes.pseudo_recipe import PairRecipe, PairSettings, SourceRecipe

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
