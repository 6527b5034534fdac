"""Cache of computed values under a benchmark's `out` folder, valid until something that they depend on changes."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hearsight.evaluation.benchmark_file import Benchmark
from hearsight.files import write_json
from hearsight.models.registry import find_card
from hearsight.models.saving import role_and_source


def cache_folder(benchmark: Benchmark) -> Path:
    """Folder of all values computed by the benchmark's protocol."""
    return Path(benchmark.out) / "cache" / file_name(benchmark.rule.label)


def fingerprint(said: Any, files: Iterable[Path]) -> str:
    """Hash of JSON data and of the name, size and time of each file."""
    return hashlib.sha256(
        json.dumps([said, [_state(file) for file in files]], default=str, sort_keys=True).encode()
    ).hexdigest()


def keep_values(path: Path, depends_on: str, values: dict[str, float]) -> None:
    """Write values to `path` with the fingerprint of what they depend on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"fingerprint": depends_on, "values": values})


def kept_values(path: Path, depends_on: str) -> dict[str, float] | None:
    """Return the values in `path`; None if there are none, or if their fingerprint differs."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    values: dict[str, float] | None = content["values"] if content.get("fingerprint") == depends_on else None
    return values


def files_of_model(source: str | None) -> list[Path]:
    """Files of a model that is a folder, or of a named model whose weights are in the package, without its card.

    Other names have no files: they change with the code only, and code is not watched.
    """
    known = find_card(source) if source is not None else None
    folder = known.weights_folder if known is not None else Path(role_and_source(source)[1]) if source else None
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")


def file_name(name: str) -> str:
    """Convert a name to a valid file name on any system."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name.lower()).strip(".-") or "x"


def clip_path(name: str) -> Path:
    """Convert a clip's name, which may have slashes, to a relative path."""
    return Path(*(file_name(part) for part in name.split("/")))


def _state(path: Path) -> list[Any]:
    try:
        state = path.stat()
    except OSError:
        return [path.name, None]
    return [path.name, state.st_size, state.st_mtime_ns]
