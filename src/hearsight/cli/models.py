"""`hearsight models`: list of the available models."""

import sys
from typing import Annotated, Any

import typer

from hearsight.cli.errors import Quiet, one_line_errors


@one_line_errors
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    sizes: Annotated[bool, typer.Option(help="Build each network to count its parameters (takes seconds).")] = True,
    quiet: Quiet = False,
) -> None:
    """List the available models: type, whether ready to use, size, source.

    A model that is not ready needs trained weights: train it, import the authors' weights, or name the folder or
    Hugging Face Hub id of a trained model.

    Example: hearsight models --json
    """
    from hearsight.inference.listing import list_models

    entries = list_models(count=sizes)
    if as_json:
        import json

        print(json.dumps(entries, indent=2))
    elif not quiet:
        for entry in entries:
            print(f"{entry['name']}  ({_facts(entry)})\n    {entry['summary']}\n    {entry['source']}")
        unknown = sum(entry["parameters"] is None for entry in entries) if sizes else 0
        if unknown:
            print(
                f"note: {unknown} of these run only with the extra 'research': pip install 'hearsight[research]'",
                file=sys.stderr,
            )


def _facts(entry: dict[str, Any]) -> str:
    count = entry["parameters"]
    size = "" if count is None else "no parameters, " if count == 0 else f"{count / 1e6:.2f} million parameters, "
    return f"{entry['task']}, {size}{'ready' if entry['ready'] else 'needs weights'}"
