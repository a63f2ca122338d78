"""Vectors in memory, for an index to follow."""

import itertools
import threading

import numpy as np

from inference.corpus.base import Ids
from inference.corpus.vector_source import Changes, Generation, Mark
from inference.similarity import Vectors


class MemorySource:
    """A :class:`inference.corpus.vector_source.VectorSource` of one process.

    As a store does, it forgets a passage that is removed, and removals that are published.
    """

    def __init__(self, dimension: int) -> None:
        self.space = 1
        self.dimension = dimension
        self.rows: dict[int, Vectors] = {}
        self._removals: list[tuple[int, int]] = []
        self._generations: dict[int, Generation] = {}
        self._numbers = itertools.count(1)
        self._last = Mark()
        self._version = 0
        self._lock = threading.RLock()

    def add(self, vectors: Vectors) -> Ids:
        with self._lock:
            ids = [next(self._numbers) for _ in vectors]
            self.rows.update(zip(ids, vectors, strict=True))
            self._last = Mark(max([self._last.passage, *ids]), self._last.removal)
            self._version += 1
            return np.array(ids, dtype=np.int64)

    def remove(self, ids: Ids) -> None:
        with self._lock:
            for id_ in ids.tolist():
                del self.rows[id_]
                self._last = Mark(self._last.passage, self._last.removal + 1)
                self._removals.append((self._last.removal, id_))
            self._version += 1

    def move(self, dimension: int) -> None:
        """Another model: its vectors are those that come from now on."""
        with self._lock:
            self.space += 1
            self.dimension = dimension
            self.rows.clear()
            self._version += 1

    def version(self) -> int:
        return self._version

    def serving_space(self) -> tuple[int, int] | None:
        return (self.space, self.dimension) if self._last.passage else None

    def changes(self, space: int, since: Mark, limit: int | None = None) -> Changes:
        with self._lock:
            new = [id_ for id_ in self.rows if id_ > since.passage and space == self.space]
            page = new[:limit]
            more = len(page) < len(new)
            return Changes(
                ids=np.array(page, dtype=np.int64),
                vectors=np.array([self.rows[id_] for id_ in page], dtype=np.float32).reshape(
                    len(page), -1
                )
                if page
                else np.empty((0, self.dimension), dtype=np.float32),
                removed=np.array(
                    [id_ for number, id_ in self._removals if number > since.removal],
                    dtype=np.int64,
                ),
                mark=Mark(page[-1] if more else self._last.passage, self._last.removal),
                more=more,
            )

    def generation(self) -> Generation | None:
        return self._generations.get(self.space)

    def publish(self, generation: Generation) -> None:
        with self._lock:
            self._generations[generation.space] = generation
            forgotten = generation.mark.removal
            self._removals = [row for row in self._removals if row[0] > forgotten]
            self._version += 1
