"""The example notebook runs from its first cell to its last, and the ears follow the ball."""

from pathlib import Path

import numpy as np
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "first_video.ipynb"


@pytest.mark.heavy
def test_the_notebook_runs_and_its_numbers_follow_the_ball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", [])]
    NotebookClient(notebook, timeout=250, resources={"metadata": {"path": tmp_path}}).execute()

    printed = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and " dB" in output.text
    ]
    heard = np.array([[float(word) for word in line.split()[0:3:2]] for line in printed[0].splitlines()])
    heard = heard[np.isfinite(heard[:, 1])]
    ball = 45 * np.cos(2 * np.pi * heard[:, 0] / 20)  # from the left to the right and back in 20 s
    assert np.corrcoef(heard[:, 1], ball)[0, 1] > 0.9
