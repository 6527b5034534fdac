"""`python -m hearsight.mixtures FOLDER [--notes FOLDER]` writes FOLDER/sound and FOLDER/rooms."""

import argparse
import sys
from pathlib import Path

from hearsight.errors import HearsightError


def main(arguments: list[str] | None = None) -> int:
    """Make both banks; 1 with one line on stderr where something is missing."""
    parser = argparse.ArgumentParser(prog="python -m hearsight.mixtures", description=__doc__)
    parser.add_argument("folder", type=Path, help="where sound/ and rooms/ are written; made if it is not there")
    parser.add_argument("--notes", type=Path, help="folder of recorded notes, INSTRUMENT/*.mp3 (see the docs)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--phrases", type=int, default=160, help="of 10 s per kind, for training (default: 160)")
    parser.add_argument("--rooms", type=int, default=160, help="with 5 sources each (default: 160)")
    parser.add_argument("--workers", type=int, help="processes (default: one per core)")
    chosen = parser.parse_args(arguments)

    from hearsight.mixtures.rooms import make_room_bank
    from hearsight.mixtures.sound_bank import make_sound_bank

    def tell(done: float, total: float | None) -> None:
        if sys.stderr.isatty():
            print(f"\r{done:.0f} of {total:.0f}", end="" if total is None or done < total else "\n", file=sys.stderr)

    try:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        report = make_sound_bank(
            chosen.folder / "sound", chosen.notes, chosen.seed, phrases=chosen.phrases,
            validation_phrases=max(1, chosen.phrases // 8), workers=chosen.workers, progress=tell,
        )  # fmt: skip
        bank = make_room_bank(
            chosen.folder / "rooms", chosen.seed, rooms=chosen.rooms, workers=chosen.workers, progress=tell
        )
    except (HearsightError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    count = sum(sum(kinds.values()) for kinds in report.phrases.values())
    print(f"{count} phrases in {report.folder}, {len(bank.sources)} room responses in {bank.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
