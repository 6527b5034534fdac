"""Input and output files of a job: folders as inputs, names of outputs, protection against replacing files."""

import os
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError, MediaError
from hearsight.files import same_path
from hearsight.media import CONTAINERS

DEFAULT_NAME = "{name}.binaural{suffix}"
_FIELDS = ("name", "suffix", "model", "number")
_LONGEST_NAME = 255  # bytes
# Suffixes of files from cameras and recorders, besides those that can be written.
READ_SUFFIXES = set(CONTAINERS) | {".insv", ".lrv", ".mod", ".tod", ".amv", ".rm", ".rmvb", ".swf", ".wtv", ".gxf"}


@dataclass(frozen=True)
class NamedOutputs:
    """Inputs of a job and the output of each.

    Attributes:
        inputs, outputs: lists of equal length.
        is_file: whether the single output was named as a file.
        in_folder: whether the outputs go to a named folder.
    """

    inputs: list[Path]
    outputs: list[Path]
    is_file: bool = False
    in_folder: bool = False


def name_outputs(
    inputs: Sequence[str | os.PathLike[str]], output: Path | None, template: str, model: str
) -> NamedOutputs:
    """List the inputs of a job and name their outputs.

    Args:
        inputs: files and folders. A folder stands for the videos and sounds directly in it (by their suffixes), without
            hidden files and those that the template could have made of others.
        output: a file for a single file, or a folder; a name without a suffix is a folder, so that `*.mp4` may also
            match a single video.
        template: template of the outputs' names, with the fields {name}, {suffix}, {model} and {number} (of the input
            in the job); without {suffix} the input's is added.
        model: name of the model.

    Raises:
        HearsightError: a template that cannot be used; a folder without videos; two inputs for one output; several
            inputs for one file.
    """
    check_template(template)
    for input in inputs:
        _refuse_what_is_no_name(os.fspath(input))
    ours = _recognizer(template)
    files = [path for input in inputs for path in _files(Path(input), ours)]
    holds_folder = any(os.path.isdir(input) for input in inputs)
    outputs = [default_output(file, template, model, number) for number, file in enumerate(files, 1)]
    if output is None:
        _refuse_doubles(outputs)
        return NamedOutputs(files, outputs)
    is_folder = os.path.isdir(output)
    if len(files) == 1 and not holds_folder and not is_folder and (output.suffix or os.path.exists(output)):
        return NamedOutputs(files, [output], is_file=True)
    if not is_folder and os.path.lexists(output):
        raise HearsightError(f"{output}: is a file; several inputs need a folder", "occupied")
    if not is_folder and output.suffix.lower() in CONTAINERS:
        raise HearsightError(f"{output}: is the name of a file; several inputs need a folder (a name without a suffix)")
    outputs = [output / path.name for path in outputs]
    _refuse_doubles(outputs)
    return NamedOutputs(files, outputs, in_folder=True)


def listed(inputs: Sequence[str]) -> list[str]:
    """Replace each text file (.txt) among the inputs by the files, folders or URIs that it lists, one per line.

    Paths in a list are relative to its folder; empty lines and those that begin with # are ignored.

    Raises:
        HearsightError: a list that cannot be read or is empty.
    """
    every = []
    for input in inputs:
        if not input.lower().endswith(".txt") or "://" in input:
            every.append(input)
            continue
        try:
            lines = [line.strip() for line in Path(input).read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, ValueError) as error:
            raise HearsightError(
                f"{input}: is no list of files, in UTF-8, a line each ({error})", "unreadable"
            ) from error
        named = [line for line in lines if line and not line.startswith("#")]
        if not named:
            raise HearsightError(f"{input}: lists no files", "missing")
        every += [line if "://" in line else os.path.join(os.path.dirname(input), line) for line in named]
    return every


def default_output(
    input: str | os.PathLike[str], template: str = DEFAULT_NAME, model: str = "", number: int = 1
) -> Path:
    """Default output of an input: beside it, `NAME.binaural.EXT`.

    A name that is too long for file systems is shortened.
    """
    input = Path(input)
    if "{suffix}" not in template:
        template += "{suffix}"
    stem = input.stem
    while True:
        name = template.format(name=stem, suffix=input.suffix, model=model.replace(os.sep, "-"), number=number)
        if len(os.fsencode(name)) <= _LONGEST_NAME or not stem:
            return input.with_name(name)
        stem = stem[:-1]


def check_template(template: str) -> None:
    """Check a template for output names.

    Raises:
        HearsightError: unknown fields, a path, or a name that would be the input's own.
    """
    fields = ", ".join(f"{{{field}}}" for field in _FIELDS)
    try:
        named = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
        made = template.format(**dict.fromkeys(_FIELDS, "x"))
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise HearsightError(f"{template!r}: cannot be filled in; use {fields}") from error
    if not named or any(field not in _FIELDS for field in named):
        raise HearsightError(f"{template!r}: has no field, or an unknown one; use {fields}")
    if "/" in made or os.sep in made or made.startswith("."):
        raise HearsightError(f"{template!r}: is a file name, not a path, and not hidden; name the folder by -o")
    if template in ("{name}", "{name}{suffix}"):
        raise HearsightError(f"{template!r}: is the input's own name; add something to it", "occupied")


def check_outputs(
    inputs: Sequence[str | os.PathLike[str]],
    outputs: Sequence[str | os.PathLike[str]],
    report: str | os.PathLike[str] | None = None,
    other_inputs: Sequence[str | os.PathLike[str]] = (),
) -> None:
    """Check, before any work, that no file to be written would replace one that is read, or another output.

    Args:
        inputs: the videos.
        outputs: the output of each input.
        report: the report of all of them.
        other_inputs: other files that are read: tracks, HRTF.

    Raises:
        HearsightError: one would; or the folder of the report does not exist.
    """
    read = {path_key(path) for path in (*inputs, *other_inputs)}
    for input, output in zip(inputs, outputs, strict=True):
        if same_path(input, output):
            raise HearsightError(f"{output}: is the input itself; name another output", "occupied")
        if path_key(output) in read:
            raise HearsightError(
                f"{output}: is an input, and would be replaced by the output of {input}; leave one out", "occupied"
            )
    if report is None:
        return
    if path_key(report) in read:
        raise HearsightError(f"{report}: is an input; name another file for the report", "occupied")
    if path_key(report) in {path_key(output) for output in outputs}:
        raise HearsightError(f"{report}: is the output; name another file for the report", "occupied")
    if os.path.isdir(report):
        raise HearsightError(f"{report}: is a folder; name a file for the report", "occupied")
    folder = Path(report).parent
    if not os.path.isdir(folder) and not any(same_path(folder, Path(output).parent) for output in outputs):
        raise HearsightError(f"{report}: the folder {folder} does not exist", "missing")


def path_key(path: str | os.PathLike[str]) -> Any:
    """Key that is equal for two paths to one file, also through links, and for a file that does not exist yet.

    Devices and FIFOs are not files that could be replaced; each equals only itself.
    """
    try:
        status = os.stat(path)
        return status.st_dev, status.st_ino
    except (OSError, ValueError):
        return os.path.realpath(path)


def _files(input: Path, ours: Any) -> list[Path]:
    """The file itself, or the media files in a folder, sorted by name."""
    if not os.path.isdir(input):
        return [input]
    try:
        entries = sorted(input.iterdir())
    except OSError as error:
        raise HearsightError(f"{input}: cannot be read ({error.strerror})", "unreadable") from error
    found = [
        path
        for path in entries
        if path.suffix.lower() in READ_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    names = {path.stem for path in found}
    found = [path for path in found if not ours(path, names)]
    if not found:
        raise HearsightError(
            f"{input}: this folder holds no videos or sounds; name files, or a folder that has some", "missing"
        )
    return found


def _recognizer(template: str) -> Any:
    """Return a test whether a file is the output for another one in the same folder, by its name alone."""
    before, found, after = template.partition("{name}")
    ending = after.partition("{")[0]

    def is_ours(path: Path, stems: set[str]) -> bool:
        if not found or "{" in before or not (before or ending):
            return False
        stem = path.stem
        if not (stem.startswith(before) and stem.endswith(ending)):
            return False
        return stem[len(before) : len(stem) - len(ending)] in stems or ending == ".binaural"

    return is_ours


def _refuse_what_is_no_name(text: str) -> None:
    if text in ("", "-") or "://" in text:
        if not text:
            raise HearsightError("an empty name; name a video, a sound or a folder")
        if text == "-":
            raise MediaError("-: standard input cannot be read, since a file is read more than once; save it first")
        raise MediaError(f"{text}: is an address; download it first and name the file")


def _refuse_doubles(outputs: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in outputs:
        if path in seen:
            raise HearsightError(f"two inputs would both become {path}; run them one by one with -o FILE", "occupied")
        seen.add(path)
