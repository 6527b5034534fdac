"""Layout of a study's folder: files for listeners, key of sounds to systems, answers."""

import json
from pathlib import Path
from typing import Any

from hearsight.errors import DataError

PUBLIC, STUDY_FILE, ANSWERS_FILE = "public", "study.json", "answers.jsonl"


def read_made(folder: Path) -> dict[str, Any]:
    """Read the content of a study's `study.json`.

    Raises:
        DataError: the folder is not a study.
    """
    try:
        content: dict[str, Any] = json.loads((folder / STUDY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder}: is no study ({STUDY_FILE} is missing or no JSON); `study make` writes one", "missing"
        ) from error
    if not isinstance(content, dict) or content.get("format") != 1:
        raise DataError(f"{folder / STUDY_FILE}: is of another version of hearsight", "mismatch")
    return content
