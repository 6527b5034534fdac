"""Small trained networks in the package: one folder each in `data`, as `hearsight reproduce --zoo` writes it.

Beside `config.json` and `model.safetensors` a folder holds `card.json`: the network's training data, its scores, and
the SHA-256 of both files. None of them is a paper's checkpoint.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hearsight.errors import ModelError

HOME = Path(__file__).parent / "data"
CARD_FILE = "card.json"
NO_CHECKPOINT = "It is not the paper's checkpoint, and its scores cannot be compared with published ones."


@dataclass(frozen=True)
class ZooModel:
    """A trained network with a name.

    Attributes:
        name: name that users type.
        folder: folder with its files.
        content: content of its `card.json`.
    """

    name: str
    folder: Path
    content: dict[str, Any]

    @property
    def system(self) -> str:
        """Name of its system in the registry."""
        return str(self.content["system"])

    @property
    def summary(self) -> str:
        """Training data, and score by the first metric of its table."""
        said = self.content
        metric, score = next(iter(said["scores"].items()))
        beside = f" where {said['beside']} has {score['beside']:.3g}" if "beside" in score else ""
        clips = ", ".join(f"{part['clips']} {part['dataset']} clips ({part['folder']})" for part in said["trained_on"])
        return f"Trained on {clips}: {metric.upper()} {score['this_seed']:.3g}{beside}."

    @property
    def source(self) -> str:
        """Table, row and seed that it comes from."""
        said = self.content
        return f"hearsight reproduce {said['reference']}, row {said['row']}, seed {said['seed']}. {NO_CHECKPOINT}"

    def check(self) -> None:
        """Compare the files with the checksums of the card.

        Raises:
            ModelError: a file is missing or does not match.
        """
        for name, expected in self.content["sha256"].items():
            file = self.folder / name
            if not file.is_file():
                raise ModelError(f"{self.name}: {file} is missing; install hearsight again", "missing")
            if hashlib.sha256(file.read_bytes()).hexdigest() != expected:
                raise ModelError(
                    f"{self.name}: {file} is not the file that belongs to it; install hearsight again", "mismatch"
                )


@cache
def zoo_models() -> tuple[ZooModel, ...]:
    """The networks in the package, sorted by name.

    Raises:
        ModelError: a card is damaged.
    """
    found = []
    for file in sorted(HOME.glob(f"*/{CARD_FILE}")):
        try:
            model = ZooModel(file.parent.name, file.parent, json.loads(file.read_text(encoding="utf-8")))
            _ = model.system, model.summary, model.source, dict(model.content["sha256"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{file}: is damaged ({error}); install hearsight again", "unreadable") from error
        found.append(model)
    return tuple(found)


def zoo_model(name: str) -> ZooModel | None:
    """The network of that name, or None."""
    return next((model for model in zoo_models() if model.name == name), None)
