"""The errors that a user can cause and can mend.

Every message is one line that says what is wrong and what to do. The command line prints it and exits with 1;
anything else that escapes is a defect of hearsight.

The class says what an error is about, its `code` in which way that is wrong, for programs that react to it: messages
may be reworded, codes stay.
"""

from typing import Literal

Code = Literal[
    "invalid",  # a value that is not allowed, or settings that exclude each other
    "unknown",  # a name that is none of those there are
    "missing",  # a file, folder, part, key, network or library that is needed and is not there
    "unreadable",  # a file that is damaged, cut off, protected, or something else than it should be
    "no-picture",
    "no-sound",
    "too-little",  # data that is too short, too few, empty or silent
    "mismatch",  # what does not fit together: rates, shapes, another recipe, another network's weights
    "overlap",  # clips in two parts of a split, or measured as well as trained on
    "unsupported",  # the model, the format or the machine cannot do that
    "occupied",  # an output's place, or a port, that is taken
    "unwritable",  # no room, no permission
    "worker-lost",  # a process that was killed; what is done is kept
]


class HearsightError(Exception):
    """Something about the input, the machine or the request that the user can mend.

    Attributes:
        code: in which way it is wrong, one of `Code`.
    """

    def __init__(self, message: str, code: Code = "invalid") -> None:
        super().__init__(message)
        self.code = code


class MediaError(HearsightError):
    """A file or stream that cannot be read or written as asked."""


class ModelError(HearsightError):
    """A model that is unknown, or weights and configuration that do not fit."""


class DataError(HearsightError):
    """A dataset, list, recipe or report that is missing, malformed or inconsistent."""


class DependencyError(HearsightError):
    """A library, download or system package that is needed here and cannot be had."""
