"""Tests name an error by its class and code, and what it is about by names and numbers in its message, not by wording.

with pytest.raises(DataError, match="000009", check=coded("missing")):
"""

from dataclasses import dataclass

from hearsight.errors import Code


@dataclass(frozen=True)
class coded:  # noqa: N801  # reads as a function, and shows its code where pytest says that a check failed
    """Whether a `HearsightError` has a code."""

    code: Code

    def __call__(self, error: BaseException) -> bool:
        return getattr(error, "code", None) == self.code
