"""`hearsight models`: what can be named."""

from typing import Annotated

import typer

from hearsight.cli.door import Quiet, door


@door
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    sizes: Annotated[bool, typer.Option(help="Build each network to count its parameters (takes seconds).")] = True,
    quiet: Quiet = False,
) -> None:
    """List the models that can be named: kind, whether ready to use, size, source.

    A model that is not ready needs trained weights: train it, import the authors', or name the folder or Hugging Face
    Hub id of a trained one.

    Example: hearsight models --json
    """
    from hearsight.inference.catalogue import catalogue

    entries = catalogue(count=sizes)
    if as_json:
        import json

        print(json.dumps(entries, indent=2))
    elif not quiet:
        _print_table(entries)


def _print_table(entries: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("model", "kind", "ready", "parameters", "what and whose"):
        table.add_column(name, justify="right" if name == "parameters" else "left", no_wrap=name == "model")
    for entry in entries:
        count = entry["parameters"]
        size = "" if count is None else f"{count / 1e6:.2f} M" if isinstance(count, int) and count else "none"
        ready = "yes" if entry["ready"] else "needs weights"
        table.add_row(
            str(entry["name"]), str(entry["kind"]), ready, size, f"{entry['summary']} [dim]{entry['source']}[/dim]"
        )
    Console().print(table)
