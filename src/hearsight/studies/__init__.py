"""Listening studies: made from predictions, answered in a browser, analysed.

Names are imported on first use, so that serving a study does not import what making one needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearsight.studies.analysis import Analysis, analyse_study
    from hearsight.studies.definition import Study, preset_names, read_study
    from hearsight.studies.layout import read_made
    from hearsight.studies.make import MadeStudy, make_study
    from hearsight.studies.material import Material, find_material
    from hearsight.studies.order import plan
    from hearsight.studies.report import write_analysis
    from hearsight.studies.server import StudyServer
    from hearsight.studies.webmushra import export_webmushra

_MODULES = {
    "analysis": ("Analysis", "analyse_study"),
    "definition": ("Study", "preset_names", "read_study"),
    "layout": ("read_made",),
    "make": ("MadeStudy", "make_study"),
    "material": ("Material", "find_material"),
    "order": ("plan",),
    "report": ("write_analysis",),
    "server": ("StudyServer",),
    "webmushra": ("export_webmushra",),
}

__all__ = [
    "Analysis",
    "MadeStudy",
    "Material",
    "Study",
    "StudyServer",
    "analyse_study",
    "export_webmushra",
    "find_material",
    "make_study",
    "plan",
    "preset_names",
    "read_made",
    "read_study",
    "write_analysis",
]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"hearsight.studies.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
