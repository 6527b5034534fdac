"""hearsight: give any video two ears.

    import hearsight

    report = hearsight.binauralize("concert.mp4", "concert.binaural.mp4")
    model = hearsight.load("sounding-objects")
    ears = model(mono, frames, sample_rate=44_100, frame_rate=30)
    stems = hearsight.separate("duet.mp4", "stems")

Importing this package is fast; the names below are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hearsight.errors import DataError, DependencyError, HearsightError, MediaError, ModelError

if TYPE_CHECKING:
    from hearsight.inference import (
        Model,
        Report,
        Stems,
        binauralize,
        list_models,
        load,
        open_stems,
        render_stems,
        separate,
    )

    __version__: str

__all__ = [
    "DataError",
    "DependencyError",
    "HearsightError",
    "MediaError",
    "Model",
    "ModelError",
    "Report",
    "Stems",
    "__version__",
    "binauralize",
    "list_models",
    "load",
    "open_stems",
    "render_stems",
    "separate",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hearsight")
    if name in __all__:
        return getattr(import_module("hearsight.inference"), name)
    raise AttributeError(f"module 'hearsight' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
