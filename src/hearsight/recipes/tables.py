"""Tables of recipes: one YAML file per table of a paper, one recipe per row, with the published values.

A packaged file is called `PAPER/TABLE`, a user's file by its path; `:ROW` chooses a row:

```yaml
paper: Sep-Stereo
table: "1"
protocol: released-sep-stereo       # protocol of the paper's measurements
columns: [stft, env]                # metrics of the published values
base: ../base/sep-stereo.yaml       # another file, whose keys these are merged into
data: {stereo: {}}                  # keys of a recipe, for all rows: which parts of the data are used
datasets:
  fair-play:
    label: FAIR-Play
    published: fair-play/sep-stereo # name of the published values in a benchmark file
    splits: [split1, split2]        # splits of the published means; the first is trained on
    data:                           # places of the parts; unused parts are left out
      stereo: {folder: prepared/fair-play, split: "splits/{split}"}
      test: {folder: prepared/fair-play, split: "splits/{split}"}
rows:
  apnet:
    label: APNet
    published: {fair-play: [0.889, 0.136]}
    model: {system: apnet}          # differences from the keys above
```

`train: false` marks a row with nothing to train. `stages: [ROW, ROW]` lists rows that are trained one after the other,
each from the model of the previous one. For `hearsight reproduce`, a row may measure another row's models in a
different way (`models_of: ROW` with `flipped: true` or `options: {crops: sliding}`) or name a trained model that it
takes (`needs: {model.settings.binauralizer: PAPER/TABLE:ROW}`), and a table may state its claims (`claims: [{says:
pictures help, better: ROW, worse: ROW}]`).
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hearsight.errors import DataError
from hearsight.schema import typed

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # equivalent, and ten times as fast where it is available
HOME = Path(__file__).parent
SHARED = ("base", "profiles")
"""Folders of `HOME` whose files are not recipes by themselves."""
_PRINTED = re.compile(r"(supplement-)?(table|figure)-\w+")  # other files are parts of tables, or belong to no paper
SOURCES = ("stereo", "solo", "pseudo", "mixtures", "python")
"""Keys of a recipe's data that name items to train on."""


@dataclass(frozen=True)
class Claim:
    """Claim of a table: one of its rows is better than another.

    Attributes:
        says: the claim in words.
        better, worse: keys of the rows.
        metric: column of the table that decides; None for the first.
    """

    says: str
    better: str
    worse: str
    metric: str | None = None


@dataclass(frozen=True)
class DatasetColumns:
    """Dataset of a table.

    Attributes:
        label: name as printed.
        published: name of the published values in a benchmark file; None where none are printed.
        note: note on the published values.
        splits: splits that the published values are averaged over.
        data: places of the clips of each part of a recipe's data.
    """

    label: str
    published: str | None = None
    note: str = ""
    splits: list[str] = field(default_factory=lambda: ["split1"])
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One row of a table, on one dataset.

    Attributes:
        reference: name of the row for `hearsight train`: `PAPER/TABLE:ROW`, or `PAPER/TABLE:DATASET/ROW`.
        key: key of the row in the file.
        paper, table, label: place and name of the row in print.
        dataset: dataset of the row; None where a table has none.
        published: metric to value.
        note: differences from the paper, if any.
        train: whether the row is trained.
        content: content of the recipe, before it is checked.
        models_of: key of the row whose models are measured; None for the row's own.
        flipped: whether the models get mirrored pictures.
        options: options for loading the models (`crops`, `overlap`).
        needs: keys of the recipe, and the rows whose trained models they name.
    """

    reference: str
    key: str
    paper: str
    table: str
    label: str
    dataset: DatasetColumns | None
    published: dict[str, float]
    note: str
    train: bool
    content: dict[str, Any]
    models_of: str | None = None
    flipped: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Packaged table.

    Attributes:
        reference: `PAPER/TABLE`, the names of the folder and the file.
        paper, table: names as printed.
        protocol, columns: protocol of measuring, and metrics.
        claims: claims of the table.
        rows: rows on each dataset.
    """

    reference: str
    paper: str
    table: str
    protocol: str | None
    columns: list[str]
    claims: list[Claim]
    rows: list[Row]


@dataclass(frozen=True)
class _Table:
    paper: str
    table: str
    rows: dict[str, Any]
    protocol: str | None = None
    columns: list[str] = field(default_factory=list)
    datasets: dict[str, DatasetColumns] = field(default_factory=dict)
    stages: list[str] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)


@dataclass(frozen=True)
class _Row:
    label: str
    published: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""
    train: bool = True
    models_of: str | None = None
    flipped: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)


def packaged_rows(paper: str | None = None) -> list[Row]:
    """All packaged rows, or those of one paper, by the name of its folder.

    Raises:
        DataError: there is no such paper; the message lists the known ones.
    """
    return [row for file in _files(paper) for row in _rows(file, read_yaml(file))]


def printed_tables(name: str) -> list[Table]:
    """The printed table `PAPER/TABLE` (`2.5d-visual-sound/1`, `sep-stereo/figure-5b`), or all tables of a paper.

    Raises:
        DataError: there is no such paper or table; the message lists the known ones.
    """
    paper, _, wanted = name.partition("/")
    files = {file.stem: file for file in _files(paper) if _PRINTED.fullmatch(file.stem)}
    if wanted:
        found = next((stem for stem in (wanted, f"table-{wanted}") if stem in files), None)
        if found is None:
            raise DataError(f"{paper} has no table {wanted!r} here; known: {', '.join(files)}", "unknown")
        files = {found: files[found]}
    return [_printed(file, f"{paper}/{stem}") for stem, file in files.items()]


def _printed(file: Path, reference: str) -> Table:
    content = read_yaml(file)
    rows = list(_rows(file, content))
    claims: list[Claim] = _checked(file, list[Claim], content.get("claims") or [], "claims")
    keys = {row.key for row in rows}
    for claim in claims:
        if unknown := {claim.better, claim.worse} - keys:
            raise DataError(f"{file}: claims: no row {unknown.pop()!r}; known: {', '.join(sorted(keys))}", "unknown")
    for row in rows:
        if row.models_of is not None and row.models_of not in keys:
            raise DataError(f"{file}: {row.key}: models_of: no row {row.models_of!r} in this table", "unknown")
    first = rows[0]
    return Table(
        reference, first.paper, first.table, content.get("protocol"), content.get("columns") or [], claims, rows
    )


def _files(paper: str | None) -> list[Path]:
    papers = sorted(folder.name for folder in HOME.iterdir() if folder.is_dir() and any(folder.glob("*.yaml")))
    papers = [name for name in papers if name not in SHARED]
    if paper is not None and paper not in papers:
        raise DataError(f"no recipes of {paper!r}; known: {', '.join(papers)}", "unknown")
    return [file for name in papers if paper in (None, name) for file in sorted((HOME / name).glob("*.yaml"))]


def stages(reference: str | Path) -> list[str]:
    """References of the rows in a table's `stages`, or the reference itself if there are none."""
    path, row = locate(reference)
    content = read_yaml(path)
    names = content.get("stages") if row is None else None
    if not names:
        return [str(reference)]
    rows = {row.key: row.reference for row in _rows(path, content)}
    return [rows[str(name)] for name in names]


def recipe_content(reference: str | Path, beside: Path | None = None, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Content of a recipe with its bases merged, before it is checked.

    Args:
        reference: a YAML file, or a packaged table, and the row if it has several.
        beside: folder that a relative path starts from.
        seen: references that led here.

    Raises:
        DataError: there is no such recipe, it is not YAML, it is its own base, or the row is missing or not trained.
    """
    path, row = locate(reference, beside)
    here = f"{path}:{row or ''}"
    if here in seen:
        raise DataError(f"{path}: is its own base, by way of {' and '.join(other.rstrip(':') for other in seen)}")
    content = read_yaml(path)
    if "rows" in content:
        chosen = table_row(path, row, str(reference), (*seen, here))
        if not chosen.train:
            raise DataError(f"{reference}: there is nothing to train ({chosen.note})", "too-little")
        return chosen.content
    if row is not None:
        raise DataError(f"{path}: is a recipe, not a table; leave out :{row}")
    return _with_base(content, path.parent, (*seen, here))


def locate(reference: str | Path, beside: Path | None = None) -> tuple[Path, str | None]:
    """File of a reference, and its row if it names one.

    Raises:
        DataError: there is no such file.
    """
    text = str(reference)
    for name, row in ((text, None), (text.rpartition(":")[0], text.rpartition(":")[2])):
        path = (beside or Path()) / name
        if name and path.is_file():
            return path.resolve(), row
        plain = name.removeprefix("recipes/").removesuffix(".yaml")
        packaged = HOME / f"{plain}.yaml"
        if plain and packaged.is_file():
            return packaged, row
        # Names in the previous version work for one more release.
        if beside is None and row is None and (now := read_yaml(HOME / "former.yaml").get(plain)) is not None:
            warnings.warn(f"{name}: is {now} now", FutureWarning, stacklevel=4)
            return locate(now)
    raise DataError(
        f"{(beside or Path()) / text}: no such file and no such recipe; `hearsight recipes` lists those there are",
        "missing",
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file.

    Raises:
        DataError: the file is missing, unreadable, or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such recipe", "missing") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not readable as YAML ({' '.join(str(error).split())})", "unreadable") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: a recipe is a mapping, such as of model, data and schedule")
    return content


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into `base`: mappings are merged, all other values are replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def used_parts(data: Mapping[str, Any], used: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of `data` that belong to a part in `used`, or to all parts."""
    return {key: value for key, value in data.items() if key not in SOURCES or used.get(key) is not None}


def _with_base(content: Mapping[str, Any], folder: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    content = dict(content)
    base = content.pop("base", None)
    return content if base is None else merged(recipe_content(str(base), folder, seen), content)


def _rows(path: Path, content: Mapping[str, Any], seen: tuple[str, ...] = (), only: str | None = None) -> Iterator[Row]:
    """Rows of a table; with `only`, just the rows that this name may mean."""
    of_table = {name: content[name] for name in _Table.__dataclass_fields__ if name in content}
    table: _Table = _checked(path, _Table, of_table, "")
    shared = {name: value for name, value in content.items() if name not in of_table}
    name = str(path.relative_to(HOME).with_suffix("")) if path.is_relative_to(HOME) else str(path)
    for key, value in table.rows.items():
        if only is not None and key != only.rpartition("/")[2]:
            continue
        if not isinstance(value, Mapping):
            raise DataError(f"{path}: rows.{key}: must be a mapping, not {value!r}")
        of_row = {name: value[name] for name in _Row.__dataclass_fields__ if name in value}
        row: _Row = _checked(path, _Row, of_row, f"rows.{key}")
        own = {name: inner for name, inner in value.items() if name not in of_row}
        recipe = _with_base({**shared, **({"base": own.pop("base")} if "base" in own else {})}, path.parent, seen)
        recipe = merged(recipe, own)
        unknown = set(row.published) - set(table.datasets)
        if unknown:
            raise DataError(
                f"{path}: rows.{key}: published on {unknown.pop()!r}, which is no dataset of the table", "unknown"
            )
        for dataset in row.published or table.datasets or [None]:
            columns = None if dataset is None else table.datasets[dataset]
            yield Row(
                reference=f"{name}:{key}" if len(table.datasets) < 2 else f"{name}:{dataset}/{key}",
                key=key,
                paper=table.paper,
                table=table.table,
                label=row.label,
                dataset=columns,
                published=_values(path, key, table.columns, row.published.get(dataset or "")),
                note="; ".join(note for note in (row.note, "" if columns is None else columns.note) if note),
                train=row.train,
                content=recipe if columns is None else _on_dataset(recipe, table, row, columns),
                models_of=row.models_of,
                flipped=row.flipped,
                options=row.options,
                needs=row.needs,
            )


def _on_dataset(recipe: Mapping[str, Any], table: _Table, row: _Row, columns: DatasetColumns) -> dict[str, Any]:
    used = recipe.get("data") or {}
    test = {"test": {"protocol": table.protocol}} if table.protocol is not None else {}
    data = merged(merged(used_parts(columns.data, used), test), used)
    return {"split": columns.splits[0], **recipe, "data": data}


def _values(path: Path, key: str, columns: list[str], values: list[float] | None) -> dict[str, float]:
    if values is None:
        return {}
    if len(values) != len(columns):
        raise DataError(f"{path}: rows.{key}: has {len(values)} published values for {len(columns)} columns")
    return dict(zip(columns, values, strict=True))


def table_row(path: Path, name: str | None, reference: str, seen: tuple[str, ...] = ()) -> Row:
    """The row called `name` in the table of a file; with None, the only row that can be trained.

    Args:
        reference: reference as the user wrote it.
        seen: references that led here.

    Raises:
        DataError: there is no such row, or more than one.
    """
    content = read_yaml(path)
    if name is None:
        found = [row for row in _rows(path, content, seen) if row.train]
        why = "name one of its rows"
    else:
        found = [row for row in _rows(path, content, seen, only=name) if name in (row.key, _name(row))]
        why = f"has {'several rows' if found else 'no row'} {name!r}; known"
    if len(found) == 1:
        return found[0]
    known = ", ".join(map(_name, found or _rows(path, content, seen)))
    raise DataError(f"{reference}: {why}: {known}", "unknown")


def table_row_of(reference: str) -> Row:
    """The row that `PAPER/TABLE:ROW` names.

    Raises:
        DataError: there is no such row.
    """
    path, name = locate(reference)
    return table_row(path, name, reference)


def _name(row: Row) -> str:
    return row.reference.rpartition(":")[2]


def _checked(path: Path, cls: Any, content: Any, place: str) -> Any:
    try:
        return typed(cls, content, place)
    except DataError as error:
        raise DataError(f"{path}: {error}", error.code) from error
