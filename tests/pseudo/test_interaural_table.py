"""The table of interaural differences in the docs is what its command prints, and agrees with the acoustics."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed() -> str:
    spec = importlib.util.spec_from_file_location("interaural_table", ROOT / "scripts" / "interaural_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.table()


def test_the_page_holds_what_the_command_prints():
    table = printed()
    page = (ROOT / "docs" / "how-to" / "pseudo-pairs.md").read_text(encoding="utf-8")
    assert table in page
    rows = {line.split("|")[1].strip(): [cell.split(" µs")[0].strip() for cell in line.split("|")[2:-1]]
            for line in table.splitlines()[2:]}  # fmt: skip
    # A sphere of KEMAR's size gives Woodworth's (a / c)(theta + sin theta): 0.26 ms at 30 degrees, 0.66 ms at 90.
    assert abs(int(rows["30°"][0]) - 260) < 40 and abs(int(rows["90°"][0]) - 660) < 60
    assert int(rows["20°"][1]) < 0.6 * int(rows["20°"][0])  # the frontal speakers squeeze small angles
