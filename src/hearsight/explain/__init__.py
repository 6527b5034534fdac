"""Where a model attends, drawn over the picture."""

from hearsight.explain.activation import activation_map, overlay

__all__ = ["activation_map", "overlay"]
