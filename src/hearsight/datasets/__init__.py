"""One file per dataset; every item has the same type."""

from hearsight.datasets.item import Item, collate

__all__ = ["Item", "collate"]
