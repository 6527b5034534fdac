"""Outputs that are whole or not there: write beside the target, then rename."""

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearsight.errors import HearsightError

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def written_whole(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Context that yields a temporary path beside `target` and renames it to `target` on success.

    The temporary file keeps the target's suffix (so that a writer can tell the format) and stands in the target's
    folder (so that the rename is atomic). On any exception it is removed and `target` is left as it was. A process
    that is killed leaves at most a hidden `.NAME.*` file, never a half-written target.

    Raises:
        HearsightError: the folder is missing or not writable, or the disk is full.
    """
    target = Path(target)
    if target.is_dir():
        raise HearsightError(f"{target}: is a folder; name a file")
    with _clear_os_errors(target):
        descriptor, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            _as_if_newly_created(temporary)
            with open(temporary, "rb") as file:  # a crash of the machine must not leave an empty target either
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException as error:
            full = isinstance(error, RuntimeError) and _no_room(temporary)
            temporary.unlink(missing_ok=True)
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise


@contextmanager
def folder_written_whole(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Like `written_whole`, for a folder: yields a temporary folder that becomes `target`.

    An existing `target` is replaced only after the new one is complete.

    Raises:
        HearsightError: `target` is a file, its parent is missing or not writable, or the disk is full.
    """
    target = Path(target)
    if target.is_file():
        raise HearsightError(f"{target}: is a file; name a folder")
    with _clear_os_errors(target):
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            yield temporary
            _as_if_newly_created(temporary)
            if target.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
                os.replace(target, old / target.name)
                os.replace(temporary, target)
                shutil.rmtree(old)
            else:
                os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Make a folder and those above it, if they are not there.

    Raises:
        HearsightError: a file stands in the way, or there is no permission.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise HearsightError(f"{folder}: a file stands in the way of this folder") from error
    except PermissionError as error:
        raise HearsightError(f"{folder}: no permission to make this folder") from error


def write_json(target: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all. NaN and infinity are refused (they are not JSON)."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    with written_whole(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_tensors(target: str | os.PathLike[str], tensors: Mapping[str, "Tensor"], metadata: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with written_whole(target) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=metadata)
        except SafetensorError as error:
            told = re.search(r"\(os error (\d+)\)", str(error))  # it keeps the system's error in words only
            if told is None:
                raise
            raise OSError(int(told[1]), os.strerror(int(told[1]))) from error


def remove_leftovers(folder: Path) -> None:
    """Delete what killed processes left half written in a folder of outputs: its hidden files and folders.

    Not for a folder that another process writes in, or that holds hidden files of others. A missing one is no error.
    """
    for entry in folder.glob(".*"):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def same_path(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file, also through links, and also where the file is still to be written."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def _no_room(file: Path) -> bool:
    """Whether the disk is full at `file`, which a library failed to write without telling why; spoils the file."""
    try:
        with open(file, "ab") as more:
            more.write(bytes(65_536))
            more.flush()
            os.fsync(more.fileno())
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


def _as_if_newly_created(path: Path) -> None:
    """Give a temporary path (mode 0600 or 0700) the mode that a plain `open` or `mkdir` would have given."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


@contextmanager
def _clear_os_errors(target: Path) -> Iterator[None]:
    """Turn the operating system's errors about `target` into one clear line each."""
    try:
        yield
    except FileNotFoundError as error:
        if not target.parent.is_dir():
            raise HearsightError(f"{target}: the folder {target.parent} does not exist") from error
        raise
    except PermissionError as error:
        raise HearsightError(f"{target}: no permission to write in {target.parent}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HearsightError(f"{target}: the disk is full; nothing was written") from error
        if error.errno == errno.EROFS:
            raise HearsightError(f"{target}: {target.parent} is on a read-only file system; write elsewhere") from error
        raise
