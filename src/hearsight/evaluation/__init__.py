"""Protocols, comparisons of files, tables, reports."""

from hearsight.evaluation.benchmark_file import Benchmark, parse_benchmark, read_benchmark
from hearsight.evaluation.comparison import Comparison, compare, name_of_listed, read_ears
from hearsight.evaluation.prediction import model_input, predict_ears
from hearsight.evaluation.protocols import DEFAULT_PROTOCOL, PROTOCOLS, Protocol, protocol
from hearsight.evaluation.results import benchmark_and_report
from hearsight.evaluation.runs import benchmark_of_runs, is_run, runs_of_recipe

__all__ = [
    "DEFAULT_PROTOCOL",
    "PROTOCOLS",
    "Benchmark",
    "Comparison",
    "Protocol",
    "benchmark_and_report",
    "benchmark_of_runs",
    "compare",
    "is_run",
    "model_input",
    "name_of_listed",
    "parse_benchmark",
    "predict_ears",
    "protocol",
    "read_benchmark",
    "read_ears",
    "runs_of_recipe",
]
