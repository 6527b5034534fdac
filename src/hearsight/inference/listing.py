"""What `hearsight models` lists."""

from typing import Any

from torch import nn

from hearsight.models.registry import CARDS, Card, own_cards, zoo_cards
from hearsight.models.zoo import zoo_model


def list_models(count: bool = True) -> list[dict[str, Any]]:
    """One entry per model: `name`, `task`, `ready`, `parameters` (None if not counted, or if
    a package that the network needs is not installed), `source`, `summary`; of a small trained network that comes with
    the package `card`, too: what it was trained on and measured at.

    Args:
        count: build each network on the meta device (no memory, no weights) and count its parameters.
    """
    return [
        {
            "name": card.name,
            "task": card.task,
            "ready": card.ready,
            "parameters": _counted(card) if count else None,
            "source": card.source,
            "summary": card.summary,
            **({} if (known := zoo_model(card.name)) is None else {"card": known.content}),
        }
        for card in (*CARDS, *zoo_cards(), *own_cards())
    ]


def _counted(card: Card) -> int | None:
    """Parameters; None for a class of another package that cannot be made, so that one unfinished hides no other."""
    if (known := zoo_model(card.name)) is not None:
        return int(known.content["parameters"])
    if card in CARDS:
        return _parameters(card.load_network_class())
    try:
        return _parameters(card.load_network_class())
    except Exception:  # whatever the other package's code raises
        return None


def _parameters(cls: type) -> int | None:
    """Parameters of a network made with its default settings; 0 for a model that is no network; None if unknown."""
    if not issubclass(cls, nn.Module):
        return 0
    import torch

    try:
        try:
            with torch.device("meta"):
                network = cls()
        except (NotImplementedError, RuntimeError, TypeError):  # a constructor that computes with its tensors
            network = cls()
    except ModuleNotFoundError:
        return None
    return sum(parameter.numel() for parameter in network.parameters())
