"""The pump between work that makes an answer and the client that takes it."""

import threading
import time
from collections.abc import Generator

import pytest

from webapp.stream import pump


class Work:
    """Makes numbers, and knows whether it was closed and by which thread."""

    def __init__(self, count: int = 10**9, pause_s: float = 0.0) -> None:
        self.count = count
        self.pause_s = pause_s
        self.made = 0
        self.closed = threading.Event()
        self.thread: threading.Thread | None = None

    def numbers(self) -> Generator[int]:
        self.thread = threading.current_thread()
        try:
            while self.made < self.count:
                time.sleep(self.pause_s)
                self.made += 1
                yield self.made
        finally:
            self.closed.set()


def test_items_come_in_order_and_end() -> None:
    work = Work(1000)
    assert list(pump(work.numbers(), lambda: 0)) == list(range(1, 1001))
    assert work.closed.is_set()
    assert work.thread is not threading.current_thread()


def test_silence_is_filled_with_heartbeats() -> None:
    work = Work(2, pause_s=0.3)
    items = list(pump(work.numbers(), lambda: -work.made, interval_s=0.1))
    assert [item for item in items if item > 0] == [1, 2]
    assert items[0] == 0
    assert -1 in items


def test_no_heartbeat_while_items_come() -> None:
    work = Work(20, pause_s=0.01)
    assert 0 not in list(pump(work.numbers(), lambda: 0, interval_s=5.0))


def test_work_is_never_far_ahead() -> None:
    work = Work()
    items = pump(work.numbers(), lambda: 0)
    assert next(iter(items)) == 1
    time.sleep(0.3)
    assert work.made < 6


def test_work_has_stopped_when_the_taker_has_left() -> None:
    work = Work()
    items = pump(work.numbers(), lambda: 0)
    next(iter(items))
    items.close()  # type: ignore[attr-defined]
    assert work.closed.is_set()
    made = work.made
    time.sleep(0.2)
    assert work.made == made


def test_a_taker_that_never_began_starts_no_work() -> None:
    work = Work()
    items = pump(work.numbers(), lambda: 0)
    items.close()  # type: ignore[attr-defined]
    assert work.thread is None


def test_an_error_of_the_work_reaches_the_taker() -> None:
    def broken() -> Generator[int]:
        yield 1
        raise ZeroDivisionError

    items = pump(broken(), lambda: 0)
    assert next(iter(items)) == 1
    with pytest.raises(ZeroDivisionError):
        next(iter(items))


def test_an_error_is_not_lost_behind_a_slow_taker() -> None:
    def broken() -> Generator[int]:
        yield from (1, 2, 3)
        raise ZeroDivisionError

    items = iter(pump(broken(), lambda: 0))
    for expected in (1, 2, 3):
        time.sleep(0.2)
        assert next(items) == expected
    with pytest.raises(ZeroDivisionError):
        next(items)
