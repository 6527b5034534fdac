"""Work that a thread of its own does ahead of or behind the one that models run in: decoding and encoding."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

_PATIENCE_S = 0.1


@contextmanager
def read_ahead(items: Iterable[T], most: int) -> Iterator[Iterator[T]]:
    """Context whose value gives the same items in the same order, while a thread makes the next ones.

    What `items` raises is raised where the item would have come. When the context ends, the thread has ended, and a
    generator is closed in it, however many items were taken. `items` is used by the thread alone.

    Args:
        items: worth a thread if it spends its time outside Python, as decoders do.
        most: how many finished items may wait; one more is being made.
    """
    worker = _Reader(items, most)
    try:
        yield worker.taken()
    finally:
        worker.stop()


@contextmanager
def write_behind(write: Callable[[T], object], most: int) -> Iterator[Callable[[T], None]]:
    """Context whose value takes items at once, while a thread hands them to `write` one after the other.

    When the context ends without an exception, all items were written. What `write` raises is raised by the next call,
    or when the context ends; after it nothing more is written. With an exception, items that wait are dropped.

    Args:
        write: called by the thread alone.
        most: how many items may wait; a call for one more waits for room.
    """
    worker = _Writer(write, most)
    try:
        yield worker.take
        worker.finish()
    finally:
        worker.stop()


class _Thread(threading.Thread):
    """A thread that runs from now on and says itself when its work has ended.

    `join` that a signal interrupts (Ctrl-C, SIGTERM) takes the thread for dead from then on (Python 3.11; bpo-45274):
    files would be closed that it still works on, and the process would crash.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self.ended = work, threading.Event()
        self.start()

    def wait(self) -> None:
        """Return when the thread has ended; one that is interrupted here is waited for again by the next call."""
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
                self._waiting.put(item)  # whoever asks again gets the same answer
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
            with suppress(queue.Full):  # once more if need be: a signal within `put` may have woken nobody
                self._waiting.put_nowait(_End(None))
            self._thread.ended.wait(_PATIENCE_S)
        self._thread.join()

    def _complain(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        while True:  # on an error too, so that nobody waits for room in vain
            item = self._waiting.get()
            if isinstance(item, _End):
                return
            if self._error is None and not self._stopped.is_set():
                try:
                    self._write(item)
                except BaseException as error:
                    self._error = error
                    self._stopped.set()
