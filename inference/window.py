"""Work on many items in windows: first results soon, then about one a second."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from inference.errors import Overloaded

_MIN_ITEMS = 32
_WINDOW_S = 1.0

# Work that was admitted waits this long while others fill the queue.
_PATIENCE_S = 60.0

T = TypeVar("T")
R = TypeVar("R")


def in_windows(
    items: Iterable[T],
    work: Callable[[list[T]], R],
    *,
    characters: Callable[[T], int],
    max_items: int,
    max_characters: int,
) -> Iterator[R]:
    """What ``work`` makes of each window of items, of which no more are held than one window.

    Windows are small at first, so that the first result comes soon, then as large as gives one
    about every second.

    Args:
        items: taken as they are needed.
        work: called with each window; called again after a while where it was Overloaded.
        characters: how long an item is.
        max_items: most items in a window.
        max_characters: a window is full once it has so many, though it may have few items.

    Raises:
        Overloaded: after a minute still.
    """
    items = iter(items)
    size = _MIN_ITEMS
    while window := _take(items, size, characters, max_characters):
        began = time.monotonic()
        result = _do(work, window)
        seconds = time.monotonic() - began
        yield result
        if seconds < _WINDOW_S / 2:
            size = min(2 * size, max_items)
        elif seconds > 2 * _WINDOW_S:
            size = max(size // 2, _MIN_ITEMS)


def _take(
    items: Iterator[T], size: int, characters: Callable[[T], int], max_characters: int
) -> list[T]:
    window: list[T] = []
    total = 0
    for item in items:
        window.append(item)
        total += characters(item)
        if len(window) == size or total >= max_characters:
            break
    return window


def _do(work: Callable[[list[T]], R], window: list[T]) -> R:
    """The result, once there is room: the whole was admitted, so it waits rather than fail."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return work(window)
        except Overloaded as error:
            if time.monotonic() + error.retry_after_s > give_up:
                raise
            time.sleep(min(error.retry_after_s, 1))
