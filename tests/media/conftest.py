"""Small clips with flashes and clicks for tests: `make_clip(name, Clip(...))` writes into the test's own folder."""

from collections.abc import Callable
from pathlib import Path

import media_clips
import pytest


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Make a clip in the test's folder: `make_clip("in.mp4", sound_start_s=0.1, ...)`, with the fields of `Clip`."""

    def make(name: str, **fields) -> Path:
        return media_clips.make_clip(tmp_path / name, media_clips.Clip(**fields))

    return make
