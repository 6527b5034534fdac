"""Data for `hearsight models`."""

from typing import Any

from torch import nn

from hearsight.models.registry import CARDS, Card, own_cards, zoo_cards
from hearsight.models.zoo import zoo_model


def list_models(count: bool = True) -> list[dict[str, Any]]:
    """One entry per model: `name`, `task`, `ready`, `parameters` (None if not counted, or if a package that the network
    needs is not installed), `source`, `summary`; for a small trained network in the package also `card`, with its
    training data and scores.

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
    """Count parameters; None if a class of another package cannot be made, so that the others are still listed."""
    if (known := zoo_model(card.name)) is not None:
        return int(known.content["parameters"])
    if card in CARDS:
        return _parameters(card.load_network_class())
    try:
        return _parameters(card.load_network_class())
    except Exception:  # any error in the other package's code
        return None


def _parameters(cls: type) -> int | None:
    """Count parameters of a network with default settings; 0 for a model that is no network; None if unknown."""
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
