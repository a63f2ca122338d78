"""Passages searched together: exactly, or through a graph of near neighbours.

Exact search computes the cosine with every vector. The graph is FAISS's HNSW (Malkov and Yashunin,
"Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small World
graphs", 2016). Everything runs in the thread that asks, so that many threads may.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.corpus.base import Ids
from inference.similarity import Vectors

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

# Least candidates that a search in the graph keeps. At 100,000 passages 64 give a recall@10 of
# 0.978, 192 of 0.997 (benchmarks/vector_search.py): the rest is left for larger graphs.
EF_SEARCH = 192

# What a candidate in the graph costs, in rows of an exact search: its neighbours are looked at,
# which lie all over memory.
_ROWS_A_CANDIDATE = 16

_NO_ROWS = np.empty(0, dtype=np.int64)


def faiss() -> Any:
    """The library, loaded late: its threads do not survive a fork. Its types know half of it."""
    import faiss

    return faiss


@dataclass(frozen=True)
class Segment:
    """Passages with their vectors; never changed, so that a search sees it as it was.

    Attributes:
        ids: rising numbers of passages (n,).
        vectors: unit vectors (n, dim), in memory or mapped from a file.
        alive: which of them were not removed (n,).
        graph: a ``faiss.IndexHNSWFlat`` of all rows; None where every search is exact.
        owner: what the memory of the vectors belongs to.
    """

    ids: Ids
    vectors: Vectors
    alive: Mask
    graph: Any = None
    owner: Any = None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def living(self) -> Rows:
        """Rows that were not removed, rising."""
        return np.flatnonzero(self.alive)

    @property
    def removed(self) -> int:
        """How many rows were removed."""
        return len(self) - len(self.living)

    def rows_of(self, ids: Ids) -> tuple[Rows, Rows]:
        """The rows of those ids that it has, and where they stand in ``ids``."""
        if not len(self):
            return _NO_ROWS, _NO_ROWS
        rows = np.minimum(np.searchsorted(self.ids, ids), len(self) - 1)
        known = np.flatnonzero(self.ids[rows] == ids)
        return rows[known], known

    def without(self, ids: Ids) -> "Segment":
        """The same, with passages removed that it may hold."""
        rows, _ = self.rows_of(ids)
        if not len(rows):
            return self
        alive = self.alive.copy()
        alive[rows] = False
        return replace(self, alive=alive)

    def search(
        self, query: Vectors, count: int, among: Ids | None = None, *, exact: bool = False
    ) -> tuple[Ids, Vectors]:
        """Ids and cosines of the ``count`` nearest, best first, ties by id; all if it has fewer.

        Args:
            query: unit vector (dim,).
            among: search only these, rising.
            exact: leave the graph aside.
        """
        members = self.living
        if among is not None:
            rows, _ = self.rows_of(among)
            members = rows[self.alive[rows]]
        found = None
        if self.graph is not None and not exact:
            found = self._search_graph(query, count, members)
        if found is None:
            found = members, self._cosines(query, members)
        return best(self.ids[found[0]], found[1], count)

    def _search_graph(
        self, query: Vectors, count: int, members: Rows
    ) -> tuple[Rows, Vectors] | None:
        """Nearest rows by the graph; None where an exact search costs less.

        The graph leads through all rows, whoever is wanted. So as many candidates are kept as
        should hold enough members; if they do not, because the members lie elsewhere than the
        query, twice as many are.
        """
        enough = min(max(count, EF_SEARCH), len(members))
        candidates = enough * len(self) // max(1, len(members))
        while candidates * _ROWS_A_CANDIDATE < len(members):
            parameters = faiss().SearchParametersHNSW(
                efSearch=candidates, sel=self._selector(members)
            )
            scores, found = self.graph.search(query[None], enough, params=parameters)
            rows = found[0][found[0] >= 0]
            if len(rows) == enough:
                return rows, scores[0]
            candidates *= 2
        return None

    def _selector(self, members: Rows) -> Any:
        if members is self.living:
            return self._living_selector
        return _bitmap_selector(len(self), members)

    @cached_property
    def _living_selector(self) -> Any:
        return _bitmap_selector(len(self), self.living) if self.removed else None

    def _cosines(self, query: Vectors, rows: Rows) -> Vectors:
        """Cosine of the query with each of some rows.

        FAISS's own loops: they neither gather the rows first nor share their work among threads,
        as a matrix product of numpy does.
        """
        scores = np.empty(len(rows), dtype=np.float32)
        library = faiss()
        x, y, found = map(library.swig_ptr, (query, self.vectors, scores))
        if len(rows) == len(self):
            library.fvec_inner_products_ny(found, x, y, len(query), len(rows))
        else:
            wanted = library.swig_ptr(rows)
            library.fvec_inner_products_by_idx(found, x, y, wanted, len(query), 1, len(rows))
        return scores


def best(ids: Ids, scores: Vectors, count: int) -> tuple[Ids, Vectors]:
    """The ``count`` highest scores, cut to [-1, 1], with their ids, best first, ties by id.

    >>> ids, scores = best(np.array([7, 3, 5]), np.array([0.5, 1.5, 0.5], dtype=np.float32), 2)
    >>> ids.tolist(), scores.tolist()
    ([3, 5], [1.0, 0.5])
    """
    scores = scores.clip(-1.0, 1.0)
    if count < len(scores):
        least = np.partition(scores, -count)[-count]
        kept = scores >= least
        ids, scores = ids[kept], scores[kept]
    order = np.lexsort((ids, -scores))[:count]
    return ids[order], scores[order]


def _bitmap_selector(size: int, rows: Rows) -> Any:
    wanted = np.zeros(size, dtype=np.bool_)
    wanted[rows] = True
    return faiss().IDSelectorBitmap(np.packbits(wanted, bitorder="little"))
