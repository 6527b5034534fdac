"""HTML report of a benchmark: one file with tables, plots, players, spectrograms and interaural maps."""

from hearsight.evaluation.report.page import html_report

__all__ = ["html_report"]
