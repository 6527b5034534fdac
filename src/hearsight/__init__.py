"""hearsight: give any video two ears.

    import hearsight

    hearsight.binauralize("concert.mp4", "concert.binaural.mp4")
    model = hearsight.load("sounding-objects")

Importing this package loads nothing heavy; the names below are loaded on first use.
"""

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearsight.inference import binauralize, load

__version__ = _version("hearsight")
__all__ = ["__version__", "binauralize", "load"]

_HOMES = {"binauralize": "hearsight.inference", "load": "hearsight.inference"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hearsight' has no attribute {name!r}")
