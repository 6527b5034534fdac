"""Outputs that are either complete or absent: written beside the target, then renamed."""

import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearsight.errors import HearsightError

if TYPE_CHECKING:
    from torch import Tensor


_LONGEST_NAME = 255  # bytes, on all common file systems
_MARK = ".hearsight-"
_STALE_S = 60.0
_cleaned: set[Path] = set()


@contextmanager
def written_whole(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Context that yields a temporary path beside `target` and renames it to `target` on success.

    The temporary file has the target's suffix (so that a writer can see the format) and is in the target's folder (so
    that the rename is atomic). On any exception it is removed and `target` is not changed. A process that is killed
    leaves at most a hidden `.NAME.*` file, never a half-written target; the first output that a later process writes
    into the folder removes it.

    If the target is a link, the file that it points to is written. One that is no regular file (a device, a FIFO) is
    not replaced: the file is completed elsewhere and copied into it.

    Raises:
        HearsightError: the folder is missing or not writable, the target is write-protected, or the disk is full.
    """
    target = Path(target)
    if target.is_dir():
        raise HearsightError(f"{target}: is a folder; name a file", "occupied")
    is_special = os.path.exists(target) and not target.is_file()
    place = Path(os.path.realpath(target)) if target.is_symlink() and not is_special else target
    with _clear_os_errors(target):
        if place.exists() and not is_special and (not place.stat().st_mode & 0o222 or not os.access(place, os.W_OK)):
            raise HearsightError(f"{target}: is write-protected; name another file, or make it writable", "unwritable")
        if not is_special:
            _remove_stale(place.parent)
        folder = Path(tempfile.gettempdir()) if is_special else place.parent
        descriptor, temporary = _temporary_beside(place, folder)
        try:
            yield temporary
            if is_special:
                with open(temporary, "rb") as whole, open(target, "wb") as special:
                    shutil.copyfileobj(whole, special)
                temporary.unlink()
                return
            _as_if_newly_created(temporary)
            with open(temporary, "rb") as file:  # so that a crash of the machine leaves no empty target
                os.fsync(file.fileno())
            os.replace(temporary, place)
        except BaseException as error:
            full = isinstance(error, RuntimeError) and _no_room(temporary)
            temporary.unlink(missing_ok=True)
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise
        finally:
            if descriptor is not None:
                os.close(descriptor)


def _temporary_beside(target: Path, folder: Path) -> tuple[int | None, Path]:
    """Make a hidden file and, where the system has locks, a descriptor that holds its lock while it is in use."""
    room = _LONGEST_NAME - len(os.fsencode(f".{_MARK}{target.suffix}")) - 8  # added by `mkstemp`
    stem = os.fsencode(target.stem)[: max(0, room)].decode("utf-8", "ignore")
    descriptor, name = tempfile.mkstemp(prefix=f".{stem}{_MARK}", suffix=target.suffix, dir=folder)
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except (ImportError, OSError):  # Windows; network file systems without locks
        os.close(descriptor)
        return None, Path(name)
    return descriptor, Path(name)


def _remove_stale(folder: Path) -> None:
    """Remove half-written output of killed processes from a folder: hearsight's hidden files and folders that no
    process has locked.

    Once per folder and process. Files younger than a minute are kept: their process may be about to lock them.
    """
    if folder in _cleaned:
        return
    _cleaned.add(folder)
    try:
        import fcntl

        stale = [entry for entry in os.scandir(folder) if entry.name.startswith(".") and _MARK in entry.name]
    except (ImportError, OSError):
        return
    for entry in stale:
        try:
            if entry.is_symlink() or time.time() - entry.stat().st_mtime < _STALE_S:
                continue
            held = os.open(entry.path, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)
            finally:
                os.close(held)
        except OSError:
            continue


@contextmanager
def folder_for_scratch(beside: Path) -> Iterator[Path]:
    """Context that yields a hidden folder beside a file, which is removed when the context ends.

    If the process is killed, the next output into the parent folder removes it.

    Raises:
        HearsightError: the folder is missing or not writable, or the disk is full.
    """
    with _clear_os_errors(beside):
        folder, lock = _hidden_folder(beside)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def _hidden_folder(target: Path) -> tuple[Path, int | None]:
    """Make a hidden folder beside a path and, where the system has locks, a descriptor that holds its lock."""
    _remove_stale(target.parent)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}{_MARK}"[: _LONGEST_NAME - 8], dir=target.parent))
    try:
        import fcntl

        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except (ImportError, OSError):  # Windows; network file systems without locks
        return folder, None
    return folder, lock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Context that locks a folder against other processes, where the system has locks.

    Raises:
        HearsightError: another process has locked it.
    """
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # Windows
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HearsightError(f"{folder}: another process is working in it; wait for its end", "occupied") from None
        except OSError:  # network file systems without locks
            pass
        yield
    finally:
        os.close(descriptor)


@contextmanager
def folder_written_whole(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Like `written_whole`, for a folder: yields a temporary folder that becomes `target`.

    An existing `target` is replaced only after the new one is complete.

    Raises:
        HearsightError: `target` is a file, its parent is missing or not writable, or the disk is full.
    """
    target = Path(target)
    if target.is_file():
        raise HearsightError(f"{target}: is a file; name a folder", "occupied")
    with _clear_os_errors(target):
        temporary, lock = _hidden_folder(target)
        try:
            yield temporary
            _as_if_newly_created(temporary)
            if target.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{target.name}{_MARK}old-", dir=target.parent))
                try:
                    os.replace(target, old / target.name)
                    os.replace(temporary, target)
                except BaseException:
                    if not target.exists():  # interrupted between the two
                        os.replace(old / target.name, target)
                    raise
                finally:
                    shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        finally:
            if lock is not None:
                os.close(lock)


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Make a folder and its parents, unless they exist.

    Raises:
        HearsightError: a file has that name, or there is no permission.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise HearsightError(f"{folder}: a file stands in the way of this folder", "occupied") from error
    except PermissionError as error:
        raise HearsightError(f"{folder}: no permission to make this folder", "unwritable") from error


def write_json(target: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all. NaN and infinity are refused (they are not JSON).

    Names that are not UTF-8 are stored as JSON's escapes of single surrogates, which Python restores.
    """
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    with written_whole(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_tensors(target: str | os.PathLike[str], tensors: Mapping[str, "Tensor"], metadata: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with written_whole(target) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=metadata)
        except SafetensorError as error:
            code = re.search(r"\(os error (\d+)\)", str(error))  # the message has the only copy of the system's error
            if code is None:
                raise
            raise OSError(int(code[1]), os.strerror(int(code[1]))) from error


def remove_leftovers(folder: Path) -> None:
    """Delete half-written output of killed processes from a folder of outputs: its hidden files and folders.

    Not for a folder into which another process writes, or with other hidden files. A missing folder is no error.
    """
    for entry in folder.glob(".*"):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def same_path(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to the same file, also through links, and for a file that does not exist yet."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def _no_room(file: Path) -> bool:
    """Whether the disk is full at `file`, after a library failed to write it without a reason; spoils the file."""
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
    """Turn the operating system's errors about `target` into one-line errors."""
    try:
        yield
    except FileNotFoundError as error:
        if not target.parent.is_dir():
            raise HearsightError(f"{target}: the folder {target.parent} does not exist", "missing") from error
        raise
    except PermissionError as error:
        raise HearsightError(f"{target}: no permission to write in {target.parent}", "unwritable") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HearsightError(f"{target}: the disk is full; nothing was written", "unwritable") from error
        if error.errno == errno.EROFS:
            raise HearsightError(
                f"{target}: {target.parent} is on a read-only file system; write elsewhere", "unwritable"
            ) from error
        raise
