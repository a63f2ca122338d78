"""From the logits of a reader to spans of its context: pure functions over arrays and offsets."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Item = TypeVar("Item")
Logits = npt.NDArray[np.float32]


class Window(NamedTuple):
    """A part of a tokenised context, from token ``start`` up to ``end``."""

    start: int
    end: int


class Span(NamedTuple):
    """Tokens ``start`` to ``end``, both included, and how sure the reader is of them."""

    start: int
    end: int
    score: float


def windows(tokens: int, size: int, stride: int) -> Iterator[Window]:
    """Windows of at most ``size`` tokens that cover ``tokens`` and overlap by ``stride``.

    Raises:
        ValueError: the stride leaves no way forward.

    >>> list(windows(10, size=6, stride=2))
    [Window(start=0, end=6), Window(start=4, end=10)]
    """
    if not 0 <= stride < size:
        raise ValueError(f"Windows of {size} tokens cannot overlap by {stride}.")
    start = 0
    while start + size < tokens:
        yield Window(start, start + size)
        start += size - stride
    yield Window(start, tokens)


def without_overlaps(spans: Iterable[Span], count: int) -> list[Span]:
    """The first ``count`` spans that share no token with one before them.

    >>> without_overlaps([Span(3, 4, 9.0), Span(4, 5, 8.0), Span(5, 5, 7.0)], 2)
    [Span(start=3, end=4, score=9.0), Span(start=5, end=5, score=7.0)]
    """
    return keep_apart(spans, count, lambda a, b: a.start <= b.end and b.start <= a.end)


def keep_apart(
    items: Iterable[Item], count: int, overlap: Callable[[Item, Item], bool]
) -> list[Item]:
    """The first ``count`` items that do not overlap with one before them."""
    kept: list[Item] = []
    for item in items:
        if len(kept) == count:
            break
        if not any(overlap(item, other) for other in kept):
            kept.append(item)
    return kept


def best_spans(starts: Logits, ends: Logits, *, longest: int, count: int) -> list[Span]:
    """The ``count`` spans with the highest sums of start and end logit, best first.

    Args:
        starts, ends: logits (n,) of the tokens that a span may hold.
        longest: most tokens a span has.
        count: how many at most.

    >>> best_spans(np.array([0.0, 5.0]), np.array([9.0, 1.0]), longest=2, count=1)
    [Span(start=0, end=0, score=9.0)]
    """
    sums = starts[:, None] + ends[None, :]
    allowed = np.triu(np.ones_like(sums, dtype=bool)) & ~np.triu(
        np.ones_like(sums, dtype=bool), longest
    )
    scores = np.where(allowed, sums, -np.inf)
    flat = scores.ravel()
    count = min(count, int(allowed.sum()))
    best = np.argpartition(-flat, count - 1)[:count]
    best = best[np.argsort(-flat[best], kind="stable")]
    firsts, lasts = np.divmod(best, len(starts))
    return [
        Span(int(first), int(last), float(flat[place]))
        for first, last, place in zip(firsts, lasts, best, strict=True)
    ]
