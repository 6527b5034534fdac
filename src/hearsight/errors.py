"""The errors that a user can cause and can mend.

Every message is one line that says what is wrong and what to do. The command line prints it and exits with 1;
anything else that escapes is a defect of hearsight.
"""


class HearsightError(Exception):
    """Something about the input, the machine or the request that the user can mend."""


class MediaError(HearsightError):
    """A file or stream that cannot be read or written as asked."""


class ModelError(HearsightError):
    """A model that is unknown, or weights and configuration that do not fit."""


class DataError(HearsightError):
    """A dataset, list, recipe or report that is missing, malformed or inconsistent."""


class DependencyError(HearsightError):
    """A library, download or system package that is needed here and cannot be had."""
