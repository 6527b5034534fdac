"""Threads for decoding in advance and for encoding afterwards, beside the one in which models run."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

_PATIENCE_S = 0.1


@contextmanager
def read_ahead(items: Iterable[T], most: int) -> Iterator[Iterator[T]]:
    """Context with an iterator over the same items in the same order, while a thread makes the next ones.

    An exception of `items` is raised where its item would have come. When the context ends, the thread has ended, and a
    generator is closed in it, however many items were taken. Only the thread uses `items`.

    Args:
        items: items worth a thread if making them spends its time outside Python, as decoders do.
        most: largest number of finished items that wait; one more is being made.
    """
    worker = _Reader(items, most)
    try:
        yield worker.taken()
    finally:
        worker.stop()


@contextmanager
def write_behind(write: Callable[[T], object], most: int) -> Iterator[Callable[[T], None]]:
    """Context with a function that accepts items at once, while a thread passes them to `write` one after the other.

    When the context ends without an exception, all items were written. An exception of `write` is raised by the next
    call, or when the context ends; nothing more is written after it. With an exception, waiting items are dropped.

    Args:
        write: called only by the thread.
        most: largest number of items that wait; a further call blocks until there is room.
    """
    worker = _Writer(write, most)
    try:
        yield worker.take
        worker.finish()
    finally:
        worker.stop()


class _Thread(threading.Thread):
    """A thread that starts at once and signals its own end.

    If a signal (Ctrl-C, SIGTERM) interrupts `join`, Python 3.11 takes the thread for dead from then on (bpo-45274):
    files would be closed while it still uses them, and the process would crash.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self.ended = work, threading.Event()
        self.start()

    def wait(self) -> None:
        """Wait for the thread to end; after an interruption, the next call waits again."""
        self.ended.wait()
        self.join()

    def run(self) -> None:
        try:
            self._work()
        finally:
            self.ended.set()


class _Reader(Generic[T]):
    def __init__(self, items: Iterable[T], most: int) -> None:
        self._items = items
        self._waiting: queue.Queue[T | _End] = queue.Queue(max(1, most))
        self._stopped = threading.Event()
        self._thread = _Thread(self._work, "read-ahead")

    def taken(self) -> Iterator[T]:
        while not self._stopped.is_set():
            item = self._waiting.get()
            if isinstance(item, _End):
                self._waiting.put(item)  # for further calls
                if item.error is not None:
                    raise item.error
                return
            yield item

    def stop(self) -> None:
        self._stopped.set()
        while not self._thread.ended.is_set():
            try:
                self._waiting.get_nowait()  # it may be waiting for room
            except queue.Empty:
                self._thread.ended.wait(_PATIENCE_S)
        self._thread.join()

    def _work(self) -> None:
        end = _End(None)
        try:
            for item in self._items:
                self._waiting.put(item)
                if self._stopped.is_set():
                    break
        except BaseException as error:
            end = _End(error)
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
        del self._items
        if not self._stopped.is_set():
            self._waiting.put(end)


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Writer(Generic[T]):
    def __init__(self, write: Callable[[T], object], most: int) -> None:
        self._write = write
        self._waiting: queue.Queue[T | _End] = queue.Queue(max(1, most))
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = _Thread(self._work, "write-behind")

    def take(self, item: T) -> None:
        self._waiting.put(item)
        self._complain()

    def finish(self) -> None:
        self._waiting.put(_End(None))
        self._thread.wait()
        self._complain()

    def stop(self) -> None:
        self._stopped.set()
        while not self._thread.ended.is_set():
            with suppress(queue.Full):  # repeated, since a signal within `put` may have woken nobody
                self._waiting.put_nowait(_End(None))
            self._thread.ended.wait(_PATIENCE_S)
        self._thread.join()

    def _complain(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        while True:  # on an error too, so that no caller blocks for ever
            item = self._waiting.get()
            if isinstance(item, _End):
                return
            if self._error is None and not self._stopped.is_set():
                try:
                    self._write(item)
                except BaseException as error:
                    self._error = error
                    self._stopped.set()
