"""The way from the command to the model: as short as the architecture page draws it."""

import re
import sys
from pathlib import Path
from types import FrameType

import numpy as np
import soundfile
from typer.testing import CliRunner

import hearsight
from hearsight.cli.main import app

PACKAGE = Path(hearsight.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "architecture.md"


def _calls_above_the_model(video: Path, output: Path) -> list[tuple[str, str]]:
    """(module, function) of hearsight's own calls that are open when a model is given its first window."""
    found: list[tuple[str, str]] = []

    def record(frame: FrameType, event: str, _: object) -> None:
        if event != "call" or found or not frame.f_code.co_qualname.endswith("Session.process"):
            return
        at: FrameType | None = frame
        calls = []
        while at is not None:
            path = Path(at.f_code.co_filename)
            if path.is_relative_to(PACKAGE):
                calls.append((path.relative_to(PACKAGE).as_posix(), at.f_code.co_qualname.rpartition("<locals>.")[2]))
            at = at.f_back
        found.extend(reversed(calls[1:]))

    sys.setprofile(record)
    try:
        done = CliRunner().invoke(
            app, ["binauralize", str(video), "-o", str(output), "--model", "mono-mono", "--quiet"]
        )
    finally:
        sys.setprofile(None)
    assert done.exit_code == 0, done.output
    return found


def test_six_calls_lead_from_the_command_to_the_model_as_the_page_draws_them(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.05, 16_000), 16_000)
    calls = _calls_above_the_model(tmp_path / "a.wav", tmp_path / "b.wav")
    drawing = PAGE.read_text(encoding="utf-8").split("```")[1]
    drawn = re.findall(r"^((?:cli|inference)/\S+\.py) +(\S+)", drawing, re.MULTILINE)
    assert calls == drawn
    assert len(calls) <= 6 and len({module for module, _ in calls}) <= 5
