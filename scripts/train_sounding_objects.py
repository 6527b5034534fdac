"""An ear for the default model from nothing: two rounds of training, the second on from the first.

docs/experiments/default-model-training.md says how the banks are made, how long it takes, and what the package's
weights got from it. A run that was interrupted goes on where it was. Any key of the recipes can be given as an
option, for both rounds: `--schedule.precision bf16-mixed`.

    python scripts/train_sounding_objects.py [--banks banks] [--out runs/hearsight] [--device auto]
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from hearsight.errors import HearsightError
from hearsight.training import override_pairs, read_recipe, train

RECIPES = Path(__file__).parents[1] / "recipes" / "hearsight"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--banks", type=Path, default=Path("banks"), help="holds sound/ and rooms/")
    parser.add_argument("--out", type=Path, default=Path("runs/hearsight"), help="of both rounds")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    args, others = parser.parse_known_args()
    banks = {"data.mixtures.sounds": str(args.banks / "sound"), "data.mixtures.rooms": str(args.banks / "rooms")}
    overrides = {**banks, **override_pairs(others)}
    first = trained("sounding-objects", args.out, args.device, overrides)
    second = trained("sounding-objects-timbres", args.out, args.device, {**overrides, "model.initialize": str(first)})
    print(f"{second}: made; listen with: hearsight binauralize VIDEO --model {second}")


def trained(name: str, out: Path, device: str, overrides: Mapping[str, str]) -> Path:
    """The folder of a recipe's trained model; one that is there already is taken."""
    model = out / name / "model"
    if not model.exists():
        print(f"{out / name}: training", flush=True)
        train(read_recipe(RECIPES / f"{name}.yaml", overrides), out / name, resume=True, accelerator=device)
    return model


if __name__ == "__main__":
    try:
        main()
    except HearsightError as error:
        sys.exit(f"train_sounding_objects: {error}")
