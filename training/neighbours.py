"""Which sentences stand near which."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inference.similarity import Vectors

# Of each sentence's neighbours the nearest, and fewer the farther they are.
_RANKS = (1, 2, 4, 8, 16, 32, 64)
_BLOCK = 1_000


def neighbours(vectors: Vectors, places: Sequence[int]) -> npt.NDArray[np.intp]:
    """Groups of sentences that have something to do with each other.

    Args:
        vectors: unit vectors (n, d).
        places: of the sentences that lead a group.

    Returns:
        (len(places), 8) or narrower where there are fewer than 65 sentences: the place of each
        leader, then its 1st, 2nd, 4th ... 64th neighbour by cosine.
    """
    ranks = [rank for rank in _RANKS if rank < len(vectors)]
    most = ranks[-1] + 1
    groups = []
    for start in range(0, len(places), _BLOCK):
        leaders = np.asarray(places[start : start + _BLOCK])
        cosines = vectors[leaders] @ vectors.T
        cosines[np.arange(len(leaders)), leaders] = np.inf
        nearest = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        order = np.argsort(-np.take_along_axis(cosines, nearest, axis=1), axis=1, kind="stable")
        nearest = np.take_along_axis(nearest, order, axis=1)
        groups.append(nearest[:, [0, *ranks]])
    return np.concatenate(groups)
