"""Rankings of one question put together."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

# Of Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual
# Rank Learning Methods", SIGIR 2009.
_K = 60

# It must not move with the page that is asked for, or documents would appear on two pages.
_LEAST_DEPTH = 200


def fused_depth(wanted: int) -> int:
    """Documents of each ranking that are fused where the first ``wanted`` are asked for."""
    return max(wanted, _LEAST_DEPTH)


def fuse(rankings: Sequence[Sequence[Key]], k: int = _K) -> list[tuple[Key, float]]:
    """Reciprocal rank fusion: the sum of 1 / (k + rank) over the rankings, ranks from 1.

    Args:
        rankings: each best first, without repetitions.
        k: how little the first ranks count more than the later ones.

    Returns:
        Every key with its score, best first; of equals the one that was met first.

    >>> [(key, round(score, 4)) for key, score in fuse([["a", "b"], ["b", "c"]])]
    [('b', 0.0325), ('a', 0.0164), ('c', 0.0161)]
    """
    scores: dict[Key, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (k + rank)
    return sorted(scores.items(), key=lambda item: -item[1])
