"""Files of storage services (S3, ...): each is fetched, binauralized, and stored."""

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hearsight.errors import HearsightError, MediaError
from hearsight.inference.asked import Asked
from hearsight.inference.binauralizing import Request, plan
from hearsight.inference.output_names import DEFAULT_NAME, READ_SUFFIXES, check_outputs, default_output, listed
from hearsight.inference.report import Report
from hearsight.progress import Progress, no_progress

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "file")


def is_remote(text: str | os.PathLike[str]) -> bool:
    """Whether a name is a URI of a supported storage service."""
    return re.match(rf"({'|'.join(_SCHEMES)})://", os.fspath(text)) is not None


@dataclass(frozen=True)
class RemoteRequest:
    """A job for one file of a storage service.

    Attributes:
        input: its URI.
        output: URI or path of the output, with the wished suffix.
        asked: arguments of the job.
    """

    input: str
    output: str
    asked: Asked

    def run(self, progress: Progress = no_progress) -> Report:
        """Fetch the file, binauralize it, and store the result; see `binauralize`.

        Raises:
            MediaError, HearsightError: as `binauralize`; or the service cannot be read or written.
        """
        with tempfile.TemporaryDirectory(prefix="hearsight-") as folder:
            source, target = Path(folder) / "input", Path(folder) / "output"
            source.mkdir()
            target.mkdir()
            fetched = source / self.input.rpartition("/")[2]
            _fetch(self.input, fetched)
            try:
                done = Request(fetched, target / self.output.rpartition("/")[2], self.asked).run(progress)
            except HearsightError as error:
                raise type(error)(str(error).replace(str(fetched), self.input), error.code) from error
            stored = self.output.rpartition("/")[0] + "/" + Path(done.output).name
            _store(Path(done.output), stored)
        return replace(done, input=self.input, output=stored)


def plan_anywhere(
    inputs: Sequence[str],
    output: str | None,
    asked: Asked,
    *,
    report: str | os.PathLike[str] | None = None,
    name: str = DEFAULT_NAME,
) -> list[Request] | list[RemoteRequest]:
    """Plan jobs as `plan` does, also for URIs and lists of files.

    Args:
        inputs: files and folders, also by URI, and lists of them (`output_names.listed`).
        output: as in `plan`; a folder (a path or a URI) if an input is a URI.

    Raises:
        HearsightError: as `plan`; or a storage service does not answer or has no media there.
    """
    inputs = listed(inputs)
    if not any(is_remote(each) for each in (*inputs, output or "")):
        return plan(inputs, output, asked, report=report, name=name)
    if output is None:
        raise HearsightError("files of a storage service need a folder for the outputs: -o FOLDER or -o s3://...")
    check_outputs([], [], report, asked.files)
    files = [file for each in inputs for file in _files(each)]
    names = [
        default_output(file.rpartition("/")[2], name, asked.as_settings()["model"], number).name
        for number, file in enumerate(files, 1)
    ]
    twice = next((each for each, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise HearsightError(
            f"two inputs would both become {output.rstrip('/')}/{twice}; do them in jobs of their own", "occupied"
        )
    asked.make_model()  # raises for unsupported arguments, before any work
    return [RemoteRequest(file, f"{output.rstrip('/')}/{each}", asked) for file, each in zip(files, names, strict=True)]


def _files(place: str) -> list[str]:
    """The file itself, or the media files in a folder, sorted by name."""
    from pyarrow.fs import FileSelector

    with _service(place) as (files, path):
        if files.get_file_info(path).is_file:
            return [place]
        found = files.get_file_info(FileSelector(path, allow_not_found=True))
    names = sorted(each.base_name for each in found if each.is_file)
    names = [name for name in names if Path(name).suffix.lower() in READ_SUFFIXES and not name.startswith(".")]
    if not names:
        raise MediaError(f"{place}: holds no videos or sounds", "missing")
    return [f"{place.rstrip('/')}/{name}" for name in names]


def _fetch(place: str, target: Path) -> None:
    with _service(place) as (files, path), files.open_input_stream(path) as stream, open(target, "wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)


def _store(source: Path, place: str) -> None:
    """Store a file whole or not at all: object stores show only complete objects; elsewhere it is renamed."""
    with _service(place) as (files, path):
        as_object = files.type_name in ("s3", "gcs", "abfs")
        folder, _, name = path.rpartition("/")
        beside = path if as_object else f"{folder}/.{name}.hearsight-{os.getpid()}"
        if not as_object:
            files.create_dir(folder, recursive=True)
        with open(source, "rb") as file, files.open_output_stream(beside) as stream:
            shutil.copyfileobj(file, stream, 1 << 20)
        if not as_object:
            files.move(beside, path)


@contextmanager
def _service(place: str) -> "Iterator[tuple[FileSystem, str]]":
    """Context with the file system and the path for a URI, or for a local path.

    Raises:
        MediaError: it does not answer.
    """
    import pyarrow
    from pyarrow.fs import FileSystem

    try:
        files, path = FileSystem.from_uri(place if is_remote(place) else Path(os.path.abspath(place)).as_uri())
        yield files, path
    except (pyarrow.ArrowException, OSError) as error:
        raise MediaError(f"{place}: cannot be reached ({' '.join(str(error).split())})", "missing") from error
