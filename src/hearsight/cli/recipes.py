"""`hearsight recipes`: list of the recipes for training."""

from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors


@one_line_errors
def recipes(
    paper: Annotated[
        str | None,
        typer.Option(
            metavar="PAPER",
            help="List only the recipes of one paper, given by the part of their names before the slash.",
        ),
    ] = None,
    keys: Annotated[
        bool, typer.Option("--keys", help="List the keys of a recipe instead, with their values and defaults.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """List the recipes for `hearsight train`: the rows of the papers' tables, with the published values.

    Rows with nothing to train, such as Mono-Mono, are listed too and marked.

    Example: hearsight recipes --paper sep-stereo
    """
    from hearsight.recipes import packaged_rows

    if keys:
        _print_keys(as_json, quiet)
        return
    rows = packaged_rows(paper)
    if as_json:
        import json

        print(
            json.dumps(
                [
                    {
                        "recipe": row.reference if row.train else None,
                        "paper": row.paper,
                        "table": row.table,
                        "row": row.label,
                        "dataset": row.dataset.label if row.dataset else None,
                        "published": row.published,
                        "note": row.note,
                    }
                    for row in rows
                ],
                indent=2,
            )
        )
    elif not quiet:
        place = None
        for row in rows:
            if place != (place := (row.paper, row.table)):
                print(f"\n{row.paper}, {row.table if not row.table[:1].isdigit() else f'table {row.table}'}")
            dataset = f"{row.dataset.label}: " if row.dataset else ""
            values = ", ".join(f"{name} {value:g}" for name, value in row.published.items())
            print(f"  {row.reference if row.train else '(nothing to train)'}")
            print(f"      {dataset}{row.label}{f'; published {values}' if values else ''}")


def _print_keys(as_json: bool, quiet: bool) -> None:
    import dataclasses
    import json
    import textwrap

    from hearsight.recipes.keys import recipe_keys

    if as_json:
        print(json.dumps([dataclasses.asdict(key) for key in recipe_keys()], indent=2))
    elif not quiet:
        for key in recipe_keys():
            default = "must be given" if key.default is None else f"default {key.default}"
            print(f"{key.name}  ({key.values}; {default})")
            print(textwrap.indent(textwrap.fill(key.meaning, 110), "    "))
