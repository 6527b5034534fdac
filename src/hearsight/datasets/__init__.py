"""Datasets, one file each; all give the same type of item."""

from hearsight.datasets.item import Item, collate

__all__ = ["Item", "collate"]
