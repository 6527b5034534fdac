"""Every model that has a name."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from hearsight.errors import ModelError


@dataclass(frozen=True)
class Card:
    """What `hearsight models` tells of a model.

    Attributes:
        name: what users type.
        home: "module:Class" that holds it; imported only when it is asked for.
        kind: "binaural" (mono and frames in, two ears out) or "separation" (a mix and frames in, stems out).
        source: the paper and section, or where the idea comes from.
        summary: one line.
        ready: whether it works from a plain install (no trained weights needed, or shipped in the package).
    """

    name: str
    home: str
    kind: Literal["binaural", "separation"]
    source: str
    summary: str
    ready: bool = False

    def load_class(self) -> Any:
        """The class at `home`."""
        module, _, name = self.home.partition(":")
        return getattr(import_module(module), name)


CARDS: tuple[Card, ...] = (
    Card(
        "mono2binaural",
        "hearsight.models.mono2binaural:Mono2Binaural",
        "binaural",
        "Gao and Grauman, 2.5D Visual Sound, CVPR 2019, section 3.3",
        "The difference of the ears as a complex mask on the mix, guided by a frame.",
    ),
)


def card(name: str) -> Card:
    """The card called `name`.

    Raises:
        ModelError: there is none; the message lists those there are.
    """
    for known in CARDS:
        if known.name == name:
            return known
    raise ModelError(f"unknown model {name!r}; known: {', '.join(known.name for known in CARDS)}")
