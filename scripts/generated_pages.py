"""Generate the documentation pages that are made from the source: commands, Python, recipes, model cards.

This is a hook of MkDocs (`mkdocs.yml`). Each function below makes one page as Markdown, and can be called without
MkDocs.
"""

import ast
import inspect
import re
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
import typer.cli
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from typer.main import get_command

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"
PACKAGES = (
    "acoustics",
    "signal",
    "media",
    "metrics",
    "nn",
    "vision",
    "datasets",
    "pseudo",
    "simulation",
    "models.interface",
    "models.sessions",
    "models.saving",
    "models.registry",
    "inference",
    "training",
    "evaluation",
    "studies",
    "explain",
    "errors",
)
"""Packages and modules whose public names get a page each."""


def commands() -> str:
    """Make the page with the help of every command, with Typer's own generator of documentation."""
    from hearsight.cli.main import app

    command = get_command(app)
    text = typer.cli.get_docs_for_click(obj=command, ctx=typer.Context(command), name="hearsight")
    return text.replace("# `hearsight`", "# Commands", 1)


def package_page(name: str) -> str:
    """Make the page with the public names of one package, by mkdocstrings."""
    return f"# `hearsight.{name}`\n\n::: hearsight.{name}\n"


def python_index() -> str:
    """Make the list of packages, with the first sentence of each docstring, and the names at the root."""
    rows = [f"| [`hearsight.{name}`]({name}.md) | {_first_sentence(name)} |" for name in PACKAGES]
    return "\n".join(
        [
            "# Python",
            "",
            "::: hearsight",
            "",
            "## Packages",
            "",
            "| package | what it holds |",
            "| --- | --- |",
            *rows,
            "",
        ]
    )


def recipe_list() -> str:
    """Make the list of recipes, each with the row of the table that it trains."""
    from hearsight.recipes import packaged_rows
    from hearsight.recipes.keys import recipe_keys

    lines = ["# List of recipes", "", "What each recipe trains ([how a recipe is written](recipes.md)).", ""]
    head = ["| recipe | row | dataset | published |", "| --- | --- | --- | --- |"]
    place = None
    for row in packaged_rows():
        if place != (place := f"{row.paper}: {row.table}"):
            lines += ["", f"## {place}", "", *head]
        name = f"`{row.reference}`" if row.train else "nothing to train"
        dataset = row.dataset.label if row.dataset else "–"
        published = ", ".join(f"{metric} {value:g}" for metric, value in row.published.items()) or "–"
        lines.append(f"| {name} | {row.label} | {dataset} | {published} |")
    lines += ["", "## Keys", "", "| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    for key in recipe_keys():
        cells = (f"`{key.name}`", key.values, key.default or "must be given", key.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def model_index() -> str:
    """Make the list of models."""
    from hearsight.models.registry import CARDS, zoo_cards

    cards = (*CARDS, *zoo_cards())
    rows = [f"| [`{card.name}`]({card.name}.md) | {card.task} | {card.summary} |" for card in cards]
    return "\n".join(
        [
            "# Model cards",
            "",
            "Every model that has a name, as `hearsight models` lists them.",
            "",
            "| name | gives | what it is |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def model_cards() -> dict[str, str]:
    """Make a page for each model.

    The page of a model in the registry has its entry there and its card: the docstring of its file, or a README in the
    data folder beside it. The page of a trained network that comes with the package is the card beside the network.
    """
    from hearsight.models.registry import CARDS
    from hearsight.models.zoo import zoo_models

    pages = {}
    for card in CARDS:
        readme = PROJECT / "src" / Path(*card.home.partition(":")[0].split(".")) / "data" / "README.md"
        if readme.exists():
            body = readme.read_text(encoding="utf-8").split("---", 2)[-1].split("\n# ", 1)[-1].split("\n", 1)[1]
        else:
            module = import_module(card.home.partition(":")[0])
            body = inspect.getdoc(module) or ""
        ready = "Works as installed." if card.ready else "Needs trained weights."
        text = f"# `{card.name}`\n\n{card.summary} {ready}\n\n**From:** {card.source}\n\n{body.strip()}\n"
        if "_" not in card.home.rpartition(":")[2]:
            text += f"\nCode: `{card.home}`.\n"
        pages[card.name] = text
    for model in zoo_models():
        pages[model.name] = (model.folder / "README.md").read_text(encoding="utf-8").split("---", 2)[-1].lstrip()
    return pages


PLACE = re.compile(r"<code>([\w./-]+\.(?:py|yaml))(?::{1,2}([\w.-]+))?</code>")
"""Pattern of a file, and possibly a function, class or row in it, as named on the page of equations."""


def source_of(place: str) -> Path:
    """Find the file that the page of equations means: below the package, or a test."""
    return PROJECT / place if place.startswith("tests/") else PROJECT / "src" / "hearsight" / place


def line_of(path: Path, name: str) -> int:
    """Find the line of a function, a class, a method (Class.method), or a row of a recipe; 1 if the file has none."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        rows = (number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith(f"{name}:"))
        return next(rows, 1)
    body: list[ast.stmt] = ast.parse(text).body
    line = 1
    for part in name.split("."):
        found = next((node for node in body if getattr(node, "name", None) == part), None)
        if not isinstance(found, ast.ClassDef | ast.FunctionDef):
            return line
        line, body = found.lineno, found.body
    return line


def source_page(place: str) -> str:
    """Make a page with a source file and its line numbers."""
    path = source_of(place)
    language = path.suffix.removeprefix(".").replace("py", "python")
    code = path.read_text(encoding="utf-8")
    return (
        f'---\nsearch: {{exclude: true}}\n---\n\n# `{place}`\n\n`````` {{.{language} linenums="1"}}\n{code}\n``````\n'
    )


def linked_to_source(html: str) -> str:
    """Link each place that a page's HTML names to the line in the page of that file."""

    def link(found: re.Match[str]) -> str:
        place, name = found[1], found[2]
        line = line_of(source_of(place), name) if name else 1
        return f'<a href="../source/{place}.html#__codelineno-0-{line}">{found[0]}</a>'

    return PLACE.sub(link, html)


# Hooks of MkDocs -----------------------------------------------------------------------------------------------------


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the parts of the navigation that name a folder with all pages in it."""
    config.nav = [_filled(entry) for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are generated here; in a full build (with mkdocstrings) also the source files and the clips.

    The source files are those that the page of equations names, the clips those of the home page.
    """
    for path, text in generated().items():
        if files.get_file_from_path(path) is None:
            files.append(File.generated(config, path, content=text))
    if "mkdocstrings" in config.plugins:
        sys.path.append(str(PROJECT / "scripts"))  # MkDocs takes it out again when it has loaded the hooks
        import before_and_after

        equations = (DOCS / "reference" / "equations.md").read_text(encoding="utf-8")
        for place in {found[0] for found in PLACE.findall(re.sub("`([^`]+)`", r"<code>\1</code>", equations))}:
            files.append(
                File.generated(
                    config, f"source/{place}.md", content=source_page(place), inclusion=InclusionLevel.NOT_IN_NAV
                )
            )
        with tempfile.TemporaryDirectory() as made:
            before_and_after.make(Path(made))
            for path in Path(made).glob("*.mp4"):
                files.append(File.generated(config, f"images/{path.name}", content=path.read_bytes()))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link the places on the page of equations to the source."""
    is_linked = page.file.src_uri == "reference/equations.md" and "mkdocstrings" in config.plugins
    return linked_to_source(html) if is_linked else html


@cache
def generated() -> dict[str, str]:
    """Generate all pages made from the source, by their path in the site."""
    pages = {
        "reference/commands.md": commands(),
        "reference/python/index.md": python_index(),
        "reference/recipe-list.md": recipe_list(),
        "model-cards/index.md": model_index(),
    }
    pages |= {f"reference/python/{name}.md": package_page(name) for name in PACKAGES}
    pages |= {f"model-cards/{name}.md": text for name, text in model_cards().items()}
    return pages


def _filled(entry: Any) -> Any:
    """Fill an entry of the navigation: a folder becomes its pages, those written by hand and those generated here."""
    if not isinstance(entry, dict):
        return entry
    ((title, value),) = entry.items()
    if isinstance(value, list):
        return {title: [_filled(child) for child in value]}
    if not value.endswith("/"):
        return entry
    names = {path.relative_to(DOCS).as_posix() for path in (DOCS / value).glob("*.md")}
    names |= {name for name in generated() if name.startswith(value)}
    return {title: sorted(names, key=lambda name: (not name.endswith("index.md"), name))}


def _first_sentence(name: str) -> str:
    path = PROJECT / "src" / "hearsight" / Path(*name.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").split("\n\n")[0].replace("\n", " ")
