"""Third floor: a file through a model, in windows, batches and constant memory."""

from hearsight.inference.binauralizing import (
    DEFAULT_MODEL,
    binauralize,
    check_outputs,
    choose_model,
    default_output,
)
from hearsight.inference.engine import ears_of, run_on_file
from hearsight.inference.loading import LoadedModel, load
from hearsight.inference.loudness import loudness_weights
from hearsight.inference.network_model import NeuralModel
from hearsight.inference.report import Report
from hearsight.inference.windowing import walk

__all__ = [
    "DEFAULT_MODEL",
    "LoadedModel",
    "NeuralModel",
    "Report",
    "binauralize",
    "check_outputs",
    "choose_model",
    "default_output",
    "ears_of",
    "load",
    "loudness_weights",
    "run_on_file",
    "walk",
]
