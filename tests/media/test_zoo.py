"""The table of files in the documentation is what becomes of them."""

from pathlib import Path

import pytest
from zoo import ANIMALS, outcome, row, table

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "zoo.md"
QUICK = {
    *("h264-aac.mp4", "prores-pcm.mov", "vp9-opus.webm", "mjpeg-pcm.avi", "wmv2-wma.wmv", "flv1-mp3.swf"),
    *("cover.m4a", "without-suffix", "inverted.wav", "cut.mkv", "encrypted.mp4", "text.mp4"),
}


def documented() -> list[str]:
    """The rows of the page's table, without its head."""
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][2:]


def test_the_page_lists_every_file_of_the_zoo() -> None:
    assert len(ANIMALS) >= 80 and len({animal.name for animal in ANIMALS}) == len(ANIMALS)
    expected = [row(animal, "", "").split(" | ")[:2] for animal in ANIMALS]
    assert [line.split(" | ")[:2] for line in documented()] == expected
    assert f"{len(ANIMALS)} files" in PAGE.read_text(encoding="utf-8")
    assert "FAULT" not in PAGE.read_text(encoding="utf-8") and table([]).count("\n") == 2


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=animal.name[:30], marks=() if animal.name in QUICK else pytest.mark.heavy)
        for number, animal in enumerate(ANIMALS)
    ],
)
def test_what_becomes_of_a_file_is_what_the_page_says(tmp_path: Path, number: int) -> None:
    assert row(ANIMALS[number], *outcome(ANIMALS[number], tmp_path)) == documented()[number]
