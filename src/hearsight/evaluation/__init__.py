"""Third floor: protocols, comparisons of files, tables, reports."""

from hearsight.evaluation.comparison import Comparison, compare, read_ears
from hearsight.evaluation.protocols import DEFAULT_PROTOCOL, PROTOCOLS, Protocol, protocol

__all__ = ["DEFAULT_PROTOCOL", "PROTOCOLS", "Comparison", "Protocol", "compare", "protocol", "read_ears"]
