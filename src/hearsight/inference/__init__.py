"""Inference on files: windows, batches, constant memory."""

from hearsight.inference.asked import DEFAULT_MODEL, Asked, choose_model
from hearsight.inference.binauralizing import Request, binauralize, plan
from hearsight.inference.engine import ears_of, run_on_file
from hearsight.inference.listing import list_models
from hearsight.inference.loading import Model, load
from hearsight.inference.loudness import loudness_weights
from hearsight.inference.network_model import NeuralModel
from hearsight.inference.options import Options
from hearsight.inference.output_names import check_outputs, default_output
from hearsight.inference.report import Report
from hearsight.inference.separating import separate, separate_mix
from hearsight.inference.stem_rendering import render_stems
from hearsight.inference.stems import Stem, Stems, open_stems
from hearsight.inference.windowing import walk

__all__ = [
    "DEFAULT_MODEL",
    "Asked",
    "Model",
    "NeuralModel",
    "Options",
    "Report",
    "Request",
    "Stem",
    "Stems",
    "binauralize",
    "check_outputs",
    "choose_model",
    "default_output",
    "ears_of",
    "list_models",
    "load",
    "loudness_weights",
    "open_stems",
    "plan",
    "render_stems",
    "run_on_file",
    "separate",
    "separate_mix",
    "walk",
]
