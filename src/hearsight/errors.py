"""Errors that a user can cause and fix.

Every message is one line with the problem and its remedy. The command line prints it and exits with 1; any other
exception is a defect of hearsight.

The class names the subject of an error, its `code` the problem, for programs that react to it: messages may be
reworded, codes stay.
"""

from typing import Literal

Code = Literal[
    "invalid",  # a value that is not allowed, or settings that exclude each other
    "unknown",  # a name that does not exist
    "missing",  # a file, folder, part, key, network or library that is needed and does not exist
    "unreadable",  # a file that is damaged, truncated, protected, or of another format
    "no-picture",
    "no-sound",
    "too-little",  # data that is too short, too few, empty or silent
    "mismatch",  # data that does not fit together: rates, shapes, another recipe, another network's weights
    "overlap",  # clips in two parts of a split, or measured as well as trained on
    "unsupported",  # not possible with the model, the format or the machine
    "occupied",  # an output's path, or a port, that is already in use
    "unwritable",  # no space, no permission
    "worker-lost",  # a process that was killed; finished results are kept
]


class HearsightError(Exception):
    """A problem with the input, the machine or the request that the user can fix.

    Attributes:
        code: problem, one of `Code`.
    """

    def __init__(self, message: str, code: Code = "invalid") -> None:
        super().__init__(message)
        self.code = code


class MediaError(HearsightError):
    """A file or stream that cannot be read or written as requested."""


class ModelError(HearsightError):
    """An unknown model, or weights and configuration that do not fit."""


class DataError(HearsightError):
    """A missing, malformed or inconsistent dataset, list, recipe or report."""


class DependencyError(HearsightError):
    """A library, download or system package that is needed here and not available."""
