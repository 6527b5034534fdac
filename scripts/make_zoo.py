"""Make the networks that come with the package from the trained networks of `hearsight reproduce`.

    python scripts/make_zoo.py REPRODUCED [-o src/hearsight/models/zoo/data] [--seed 0]

Does the same as `hearsight reproduce ... --zoo FOLDER`, without measuring again. Prints each network's size.
"""

import argparse
from pathlib import Path

from hearsight.evaluation.reproduction import write_zoo

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "hearsight" / "models" / "zoo" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reproduced", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=PACKAGE)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    for folder in write_zoo(chosen.reproduced, chosen.out, chosen.seed):
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{folder.name}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
