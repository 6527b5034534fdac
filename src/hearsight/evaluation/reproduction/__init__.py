"""Reproduction of the papers' tables from the beginning: data, training, measurement, report."""

from hearsight.evaluation.reproduction.data import DataSources
from hearsight.evaluation.reproduction.plan import TablePlan, plan
from hearsight.evaluation.reproduction.run import Reproduced, open_runs, reproduce, training_seconds
from hearsight.evaluation.reproduction.zoo import write_zoo

__all__ = ["DataSources", "Reproduced", "TablePlan", "open_runs", "plan", "reproduce", "training_seconds", "write_zoo"]
