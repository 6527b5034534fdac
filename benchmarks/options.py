"""What each option is worth on simulated concerts: trains every row of `hearsight/options` with several seeds, then
measures all of them, and Mono2Binaural with sliding crops too, in one benchmark.

    python benchmarks/options.py [--seeds 3] [--out runs/options] [--rows film flip] [--key value ...]

Reads `prepared/simulated` (docs/how-to/train.md says how it is made) with its test part held out. Further keys go to
`hearsight train`. A row that is trained already is not trained again.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from hearsight.recipes import packaged_rows

NEEDS_PUBLISHED_WEIGHTS = ("dinov2",)


def benchmark(rows: list[str], seeds: int, out: Path) -> dict[str, Any]:
    """The benchmark of trained rows: each row a system of every seed, Mono-Mono the reference."""
    systems: list[dict[str, Any]] = [{"name": "Mono-Mono", "model": "mono-mono"}]
    for row in rows:
        for seed in range(seeds):
            model = str((out / row / str(seed) / "model").resolve())
            systems.append({"name": f"{row}, {seed}", "model": model})
            if row == "as-published":
                systems.append({"name": f"sliding crops, {seed}", "model": model, "options": {"crops": "sliding"}})
    folder = str(Path("prepared/simulated").resolve())
    return {
        "name": "Options on simulated concerts",
        "protocol": "plain",
        "datasets": [{"name": "simulated", "folder": folder, "splits": ["split1"], "part": "test"}],
        "systems": systems,
        "reference": "Mono-Mono",
        "out": str((out / "results").resolve()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [row.key for row in packaged_rows("hearsight") if row.table == "options"]
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/options"))
    default = [row for row in known if row not in NEEDS_PUBLISHED_WEIGHTS]
    parser.add_argument("--rows", nargs="+", choices=known, default=default)
    arguments, keys = parser.parse_known_args()
    hearsight = [sys.executable, "-c", "from hearsight.cli.main import main; main()"]
    for row in arguments.rows:
        for seed in range(arguments.seeds):
            folder = arguments.out / row / str(seed)
            if not (folder / "model" / "config.json").is_file():
                train = ["train", f"hearsight/options:{row}", "--profile", "small", "--seed", str(seed)]
                resume = ["--resume"] if folder.exists() else []
                subprocess.run([*hearsight, *train, "--out", str(folder), *resume, *keys], check=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "benchmark.yaml"
    file.write_text(yaml.safe_dump(benchmark(arguments.rows, arguments.seeds, arguments.out), sort_keys=False))
    subprocess.run([*hearsight, "benchmark", str(file)], check=True)


if __name__ == "__main__":
    main()
