"""The documentation site builds without a broken link, and what it shows of the source is there."""

import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

PROJECT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.xdist_group("site")  # what its tests share is made once


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site without what takes long: its theme, mkdocstrings and the clips of the home page."""
    target = tmp_path_factory.mktemp("site")
    config = load_config(str(PROJECT / "mkdocs.yml"), theme={"name": "mkdocs"}, plugins=[], site_dir=str(target))
    build(config)  # strict: what is said of a link or a page ends it
    return target


def test_that_no_link_is_broken_and_every_page_is_in_the_navigation(site: Path) -> None:
    assert (site / "index.html").is_file()


def test_that_every_command_has_its_help_on_the_page(site: Path) -> None:
    from typer.main import get_command

    from hearsight.cli.main import app

    page = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    names = get_command(app).commands  # type: ignore[attr-defined]
    assert names
    assert [name for name in names if f"hearsight {name}</code>" not in page] == []


def test_that_every_model_has_a_card(site: Path) -> None:
    from hearsight.models.registry import CARDS, zoo_cards

    assert [
        card.name for card in (*CARDS, *zoo_cards()) if not (site / "model-cards" / f"{card.name}.html").is_file()
    ] == []


def test_that_links_from_outside_the_site_lead_to_files() -> None:
    missing = []
    for page in [*PROJECT.glob("*.md"), *(PROJECT / "src").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                missing.append(f"{page.relative_to(PROJECT)}: {target}")
    assert missing == []


def test_that_pages_named_in_code_exist() -> None:
    named = re.compile(r"docs/[\w./-]+\.(?:md|jpg|png)")
    missing = []
    for folder, pattern in (
        ("src", "*.py"),
        ("scripts", "*.py"),
        ("benchmarks", "*.py"),
        ("benchmarks", "*.yaml"),
        ("src", "*.yaml"),
        ("src", "*.md"),
    ):
        for file in (PROJECT / folder).rglob(pattern):
            for target in named.findall(file.read_text(encoding="utf-8")):
                if not (PROJECT / target).exists():
                    missing.append(f"{file.relative_to(PROJECT)}: {target}")
    assert missing == []


def test_that_the_four_papers_can_be_cited() -> None:
    (block,) = re.findall(r"```bibtex\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    entries = block.split("@inproceedings")[1:]
    authors = [re.search(r"author = \{(\w+),", entry)[1] for entry in entries]  # type: ignore[index]
    assert authors == ["Gao", "Zhou", "Xu", "Parida"]
    for entry in entries:
        assert set(re.findall(r"(\w+) = \{[^}]+\}", entry)) == {"title", "author", "booktitle", "year"}
        assert entry.count("{") == entry.count("}")
