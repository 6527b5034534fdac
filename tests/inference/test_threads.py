"""Threads ahead and behind: same items, same order, errors where they belong, and nothing left running."""

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from hearsight.inference.threads import read_ahead, write_behind


def running() -> set[str]:
    return {thread.name for thread in threading.enumerate()} & {"read-ahead", "write-behind"}


@pytest.mark.parametrize("most", [1, 3, 100])
def test_items_come_in_their_order_and_the_end_stays_the_end(most: int) -> None:
    with read_ahead(iter(range(20)), most) as items:
        assert list(items) == list(range(20))
        assert next(items, None) is None
    assert not running()


def test_no_more_is_made_ahead_than_asked() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    with read_ahead(items(), 4) as taken:
        assert next(taken) == 0
        time.sleep(0.2)
        assert 2 <= len(made) <= 1 + 4 + 1


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), read_ahead(items(), 5) as taken:
        assert next(taken) == 1
        next(taken)
    assert not running()


@pytest.mark.parametrize("wanted", [0, 2])
def test_leaving_early_closes_the_generator_in_its_thread(wanted: int) -> None:
    closed_by: list[str] = []

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed_by.append(threading.current_thread().name)

    with read_ahead(items(), 2) as taken:
        for _ in range(wanted):
            next(taken)
        time.sleep(0.05)
    assert closed_by == ["read-ahead"]
    assert not running()


def test_everything_is_written_when_the_context_ends() -> None:
    written: list[int] = []

    def write(item: int) -> None:
        time.sleep(0.005)
        written.append(item)

    with write_behind(write, 3) as take:
        for item in range(20):
            take(item)
    assert written == list(range(20))
    assert not running()


def test_a_failed_write_is_reported_once_and_stops_the_rest() -> None:
    tried: list[int] = []

    def write(item: int) -> None:
        tried.append(item)
        if item == 2:
            raise OSError("full")

    with pytest.raises(OSError, match="full"), write_behind(write, 2) as take:
        for item in range(100):
            take(item)
            time.sleep(0.002)
    assert tried == [0, 1, 2]
    with pytest.raises(OSError, match="full"), write_behind(write, 2) as take:
        take(2)  # raised when the context ends, at the latest
    assert not running()


@pytest.mark.parametrize("moment_s", [0.05, 0.25])
def test_a_signal_while_it_waits_for_the_last_item_ends_no_write_midway(moment_s: float) -> None:
    """`Thread.join` forgets a thread when a signal interrupts it; what it writes to would be closed too early."""
    begun: list[int] = []
    ended: list[int] = []

    def write(item: int) -> None:
        begun.append(item)
        time.sleep(0.2)
        ended.append(item)

    def interrupt(number: int, frame: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(InterruptedError), write_behind(write, 5) as take:
            for item in range(3):
                take(item)
            signal.setitimer(signal.ITIMER_REAL, moment_s)
        assert begun == ended and len(ended) < 3 and begun
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_error_of_the_one_who_gives_drops_what_waits() -> None:
    written: list[int] = []

    def write(item: int) -> None:
        time.sleep(0.05)
        written.append(item)

    with pytest.raises(KeyError), write_behind(write, 10) as take:
        for item in range(10):
            take(item)
        raise KeyError
    assert len(written) < 10
    assert not running()
