"""Networks saved in folders: `config.json` and `model.safetensors`, on disk and on the Hugging Face Hub alike.

Nothing is unpickled or executed: the configuration names a system of hearsight and the arguments of its constructor,
the weights are safetensors, and every tensor is checked by name and shape before it is used.
"""

import inspect
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from hearsight.errors import DependencyError, ModelError
from hearsight.files import folder_written_whole, write_json, write_tensors, written_whole
from hearsight.models.registry import card
from hearsight.models.zoo import zoo_model
from hearsight.nn.efficientnet_lite import LiteMap

FORMAT = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
PACKAGED = "imagenet"  # value of a setting in `not_saved`: the weights come with an installed package


def load_network(folder_or_hub_id: str | Path, revision: str | None = None) -> "SavedNetwork":
    """Load a network from a folder or the Hub, as the class that its configuration names, in evaluation mode.

    Args:
        folder_or_hub_id: a folder written by `save_pretrained`, "owner/name" on the Hugging Face Hub, or a network in
            the package (`small-mono2binaural`). "NAME@FOLDER" loads the tensors into another system that reads them:
            `unet-out@runs/sep-stereo/model`.
        revision: branch, tag or commit on the Hub.

    Raises:
        ModelError: no such folder, the named system does not read it, or its files are missing, malformed, of an
            unknown system or do not fit together.
        DependencyError: the Hub could not be reached or does not have it.
    """
    role, source = role_and_source(folder_or_hub_id)
    folder = _local_folder(source, revision)
    config = _read_config(folder)
    if role is None and ":" in config["system"]:  # a folder from elsewhere must not choose the code that runs
        raise ModelError(f"{folder}: of a class outside hearsight; name it too: {config['system']}@{source}")
    cls = card(role or config["system"]).load_network_class()
    if not (isinstance(cls, type) and issubclass(cls, SavedNetwork)):
        raise ModelError(f"{folder}: {config['system']!r} is not a network that is loaded from a folder", "unsupported")
    return cls.from_pretrained(folder) if role is not None else cls._from_folder(folder, config)


def role_and_source(model: str | Path) -> tuple[str | None, str]:
    """Split "NAME@FOLDER" into the system that takes the tensors and their folder; no name without "@"."""
    text = str(model)
    role, at, source = text.partition("@")
    return (role, source) if at and not Path(text).exists() and "/" not in role else (None, text)


class SavedNetwork(nn.Module):
    """A network that records its settings, and can be saved, loaded and shared.

    The arguments of its constructor are its `settings`; they must be JSON values, or dataclasses of JSON values that
    the constructor also takes as mappings. `Class(**network.settings)` is a network of the same shape.

    Attributes:
        system: name in the registry; by default "package.module:Class" for a user's own class.
        reads: other systems whose folders hold the same tensors (a baseline that uses another's trained weights).
        not_saved: settings with the source of the first weights; saved as None, since the folder has its own weights.
            Only weights of an installed package that were not trained further (`nn.LiteMap`) are left out of the
            folder; then their setting is saved.
        learns_from: training data: "segments" (of clips), or "mixtures".
        settings: arguments of the constructor.
    """

    system: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ()
    learns_from: ClassVar[str] = "segments"
    not_saved: ClassVar[frozenset[str]] = frozenset({"visual_weights"})
    settings: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls, "system") and not inspect.isabstract(cls) and not cls.__module__.startswith("hearsight."):
            cls.system = f"{cls.__module__}:{cls.__qualname__}"

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        network = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        bound = signature.bind_partial(network, *args, **kwargs)
        bound.apply_defaults()
        settings: dict[str, Any] = {}
        for name, value in list(bound.arguments.items())[1:]:
            if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                settings.update(value)
            elif signature.parameters[name].kind is not inspect.Parameter.VAR_POSITIONAL:
                settings[name] = value
        network.__dict__["settings"] = settings
        return network

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json`, `model.safetensors` and a short `README.md` (a model card) to `folder`.

        Other files in an existing folder are kept, and so is its README.md.

        Raises:
            HearsightError: the folder cannot be written.
        """
        folder = Path(folder)
        if folder.is_dir():
            self._write_files(folder)
        else:
            with folder_written_whole(folder) as temporary:
                self._write_files(temporary)

    @classmethod
    def from_pretrained(cls, folder_or_hub_id: str | Path, revision: str | None = None) -> Self:
        """Load a network of this class from a folder or a Hub id, in evaluation mode.

        Raises:
            ModelError: as `load_network`, and if the folder holds another system.
            DependencyError: as `load_network`.
        """
        folder = _local_folder(folder_or_hub_id, revision)
        config = _read_config(folder)
        if config["system"] != cls.system and config["system"] not in cls.reads:
            raise ModelError(f"{folder}: holds {config['system']!r}, not {cls.system!r}", "mismatch")
        return cls._from_folder(folder, config)

    def push_to_hub(self, repo_id: str, private: bool = False, token: str | None = None) -> str:
        """Upload the files of `save_pretrained` to the Hugging Face Hub; return the address of the commit.

        Raises:
            DependencyError: the Hub refused or could not be reached.
        """
        from huggingface_hub import HfApi

        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            try:
                hub = HfApi(token=token)
                hub.create_repo(repo_id, private=private, exist_ok=True)
                return str(hub.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=f"Add {self.system}"))
            except Exception as error:  # the client's failures share no base class across its versions
                raise DependencyError(
                    f"{repo_id!r}: not uploaded to the Hugging Face Hub: {_one_line(error)}", "unwritable"
                ) from error

    def _write_files(self, folder: Path) -> None:
        packaged = self.packaged()
        tensors = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.state_dict().items()
            if not name.startswith(packaged)
        }
        write_tensors(folder / WEIGHTS_FILE, tensors, {"format": "pt"})
        write_json(folder / CONFIG_FILE, self._config())
        if not (folder / "README.md").exists():
            with written_whole(folder / "README.md") as temporary:
                temporary.write_text(self._card(), encoding="utf-8")

    def packaged(self) -> tuple[str, ...]:
        """Prefixes of tensors whose values come with an installed package, according to the settings."""
        if all(self.settings.get(name) != PACKAGED for name in self.not_saved):
            return ()
        others = tuple(f"{n}." for n, part in self.named_modules() if n and isinstance(part, SavedNetwork))
        return tuple(
            f"{name}."
            for name, part in self.named_modules()
            if isinstance(part, LiteMap) and not name.startswith(others) and part.holds_published()
        )

    def _config(self) -> dict[str, Any]:
        packaged = self.packaged()
        settings = {
            name: None if name in self.not_saved and not (packaged and value == PACKAGED) else _json(value)
            for name, value in self.settings.items()
        }
        return {"library": "hearsight", "format": FORMAT, "system": self.system, "settings": settings}

    def _card(self) -> str:
        known = card(self.system)
        millions = sum(parameter.numel() for parameter in self.parameters()) / 1e6
        return (
            f"---\nlibrary_name: hearsight\ntags:\n- {self.system}\n- spatial-audio\n---\n\n# {self.system}\n\n"
            f"{known.summary} {known.source}. {millions:.2f} million parameters.\n\n"
            "```python\nimport hearsight\n\nmodel = hearsight.load('FOLDER_OR_HUB_ID')\n```\n"
        )

    @classmethod
    def _from_folder(cls, folder: Path, config: Mapping[str, Any]) -> Self:
        settings = {
            name: None if name in cls.not_saved and value != PACKAGED else value
            for name, value in config["settings"].items()
        }
        try:
            network = cls(**settings)
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"{folder / CONFIG_FILE}: settings that {cls.system!r} refuses: {error}", "mismatch"
            ) from error
        network._load_file(folder / WEIGHTS_FILE)
        return network.eval()

    def _load_file(self, file: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not file.is_file():
            raise ModelError(f"{file}: no such file; the folder must hold {CONFIG_FILE} and {WEIGHTS_FILE}", "missing")
        try:
            tensors = load_file(file)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(f"{file}: not a safetensors file ({_one_line(error)})", "unreadable") from error
        if packaged := self.packaged():
            own = self.state_dict()
            tensors = {name: part for name, part in own.items() if name.startswith(packaged)} | tensors
        load_checked(self, tensors, str(file))


def load_checked(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy `tensors` into `network`; names and shapes must agree exactly.

    Raises:
        ModelError: they do not; the message names `source`, the first wrong tensor and, for a mismatch of shapes,
            both.
    """
    own = network.state_dict()
    wrong = [
        f"tensor {name!r} has shape {list(tensors[name].shape)}, the network's has {list(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    wrong += [f"tensor {name!r} {list(own[name].shape)} is missing" for name in own if name not in tensors]
    wrong += [f"tensor {name!r} {list(tensors[name].shape)} is unknown" for name in tensors if name not in own]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ModelError(f"{source}: {wrong[0]}{more}", "mismatch")
    with torch.no_grad():
        network.load_state_dict(dict(tensors))


def _local_folder(folder_or_hub_id: str | Path, revision: str | None) -> Path:
    """The folder itself, a folder in the package, or the Hub's files in the local cache."""
    known = zoo_model(str(folder_or_hub_id))
    if known is not None:
        known.check()
        return known.folder
    if Path(folder_or_hub_id).is_dir():
        return Path(folder_or_hub_id)
    name = str(folder_or_hub_id)
    if Path(folder_or_hub_id).exists():
        raise ModelError(
            f"{name}: is a file; name the folder that holds {CONFIG_FILE} and {WEIGHTS_FILE}", "unreadable"
        )
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name):
        raise ModelError(f"{name}: no such folder", "missing")
    from huggingface_hub import snapshot_download

    try:
        files = snapshot_download(name, revision=revision, allow_patterns=[CONFIG_FILE, WEIGHTS_FILE])
    except Exception as error:  # the client's failures share no base class across its versions
        raise DependencyError(
            f"{name}: no such folder, and not to be had from the Hugging Face Hub: {_one_line(error)}", "missing"
        ) from error
    return Path(files)


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise ModelError(f"{folder}: holds no {CONFIG_FILE}, so no saved network", "missing")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: not readable as JSON ({_one_line(error)})", "unreadable") from error
    if not isinstance(config, dict) or config.get("library") != "hearsight":
        raise ModelError(f"{file}: not written by hearsight", "unreadable")
    if not isinstance(config.get("format"), int) or config["format"] > FORMAT:
        raise ModelError(
            f"{file}: format {config.get('format')}, this hearsight reads up to {FORMAT}; install a newer one",
            "mismatch",
        )
    if not isinstance(config.get("system"), str) or not isinstance(config.get("settings"), dict):
        raise ModelError(f"{file}: must name a system and its settings", "unreadable")
    return config


def _json(value: Any) -> Any:
    """Convert a setting to JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _json(part) for name, part in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(name): _json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_json(part) for part in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a setting of a saved network must be a JSON value, got {type(value).__name__}")


def _one_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
