"""A collection's vectors as an index that follows what is written to them.

    base    the published index, mapped from its file, which all processes share
    delta   what was written since, in the memory of each process, searched exactly

Both without what was removed. A process publishes what it has as the next base, by a rename; the
others take it up as they take up everything else: when they next search.
"""

import fcntl
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from inference.corpus.base import Ids, Progress
from inference.corpus.generation_file import (
    Unreadable,
    build_index,
    extend_index,
    open_index,
    write_index,
)
from inference.corpus.segment import Segment, best, faiss
from inference.corpus.vector_source import Generation, Mark, VectorSource
from inference.errors import Conflict
from inference.similarity import Vectors

log = logging.getLogger(__name__)

# Passages up to which exact search takes a few milliseconds.
_EXACT_LIMIT = 50_000

# Passages read from the source at a time.
_PAGE = 10_000

# A new generation is due when the delta has more than a share of the base's passages, within
# bounds: below, publishing is not worth a file; above, the delta slows searches.
_DELTA_SHARE = 0.2
_LEAST_DELTA, _GREATEST_DELTA = 1_000, 20_000

# Share of the base's rows that may be removed before it is built anew without them.
_REMOVED_SHARE = 0.2

_NICENESS = 10


@dataclass(frozen=True)
class _Snapshot:
    """What is searched, as of one version of the source; never changed.

    Attributes:
        version: of the source.
        space: of the vectors; None where there are none.
        generation: what the base is of, or should be.
        damaged: whether its file could not be read, so that all is in the delta.
        mark: how far the source was read.
        buffer: holds the delta.
    """

    version: int
    space: int | None
    generation: Generation | None
    damaged: bool
    mark: Mark
    base: Segment
    delta: Segment
    buffer: "_Buffer"

    @property
    def segments(self) -> list[Segment]:
        return [self.base, self.delta]

    @property
    def passages(self) -> int:
        return sum(len(segment.living) for segment in self.segments)

    def without(self, ids: Ids) -> "_Snapshot":
        return replace(self, base=self.base.without(ids), delta=self.delta.without(ids))


class VectorIndex:
    """The vectors of a source, searched by cosine. Any thread may call it.

    Args:
        source: what holds the vectors.
        folder: of the published indexes, made when there is one; its parent must be there.
        exact: search exactly, however many there are.
        exact_limit: passages up to which it does so anyway.
        least_delta: passages that must be new before an index is published.
    """

    def __init__(
        self,
        source: VectorSource,
        folder: Path,
        *,
        exact: bool = False,
        exact_limit: int = _EXACT_LIMIT,
        least_delta: int = _LEAST_DELTA,
    ) -> None:
        self._source = source
        self._folder = folder
        self._exact = exact
        self._exact_limit = exact_limit
        self._least_delta = least_delta
        self._lock = threading.Lock()
        self._snapshot: _Snapshot | None = None

    @property
    def kind(self) -> Literal["exact", "hnsw"]:
        """How searches find what they find."""
        has_graph = self._current().base.graph is not None
        return "hnsw" if has_graph and not self._exact else "exact"

    def search(self, query: Vectors, count: int, among: Ids | None = None) -> tuple[Ids, Vectors]:
        """The passages nearest to a query.

        Args:
            query: unit vector (dim,).
            count: most passages.
            among: numbers of the passages to choose from, in any order; None for all.

        Returns:
            Numbers of passages and cosines, best first, ties by number; ``count`` of them if there
            are so many.

        Raises:
            Conflict: the vectors have another dimension than the query.
        """
        snapshot = self._current()
        if snapshot.space is None or count < 1:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        query = np.ascontiguousarray(query, dtype=np.float32)
        if query.shape != snapshot.delta.vectors.shape[1:]:
            # Another process has put vectors of another model in the place of these just now.
            raise Conflict(
                "The collection's vectors are of another model now: load that one, or embed the "
                "collection anew with ssang collections reembed."
            )
        if among is not None and (np.diff(among) <= 0).any():
            among = np.unique(among)
        found = [
            segment.search(query, count, among, exact=self._exact) for segment in snapshot.segments
        ]
        ids, scores = zip(*found, strict=True)
        return best(np.concatenate(ids), np.concatenate(scores), count)

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors (n, dim) of passages; zeros for what is not there."""
        snapshot = self._current()
        found = np.zeros((len(ids), snapshot.delta.vectors.shape[1]), dtype=np.float32)
        for segment in snapshot.segments:
            rows, known = segment.rows_of(ids)
            found[known] = segment.vectors[rows]
        return found

    # Following the source

    def _current(self) -> _Snapshot:
        """What the source holds now."""
        version = self._source.version()
        snapshot = self._snapshot
        if snapshot is not None and snapshot.version == version:
            return snapshot
        with self._lock:
            # Another thread may have taken it in while this one waited.
            version = self._source.version()
            if self._snapshot is None or self._snapshot.version != version:
                self._snapshot = self._take_in(version)
            return self._snapshot

    def _take_in(self, version: int) -> _Snapshot:
        """Reads what was written since the last snapshot.

        What is published meanwhile forgets removals that were not read yet, so then all of it
        counts for nothing.
        """
        while True:
            serving, generation = self._source.serving_space(), self._source.generation()
            snapshot = self._catch_up(self._start(serving, generation))
            if (self._source.serving_space(), self._source.generation()) == (serving, generation):
                return replace(snapshot, version=version)

    def _start(self, serving: tuple[int, int] | None, generation: Generation | None) -> _Snapshot:
        """The last snapshot; one of the generation alone if that or the space is another."""
        space, dimension = serving or (None, 0)
        last = self._snapshot
        if last is not None and (last.space, last.generation) == (space, generation):
            return last
        buffer = _Buffer(dimension)
        nothing = buffer.segment()
        empty = _Snapshot(0, space, generation, False, Mark(), nothing, nothing, buffer)
        if generation is None or generation.space != space:
            return empty
        try:
            base = open_index(self._file(generation), dimension)
        except Unreadable as error:
            log.warning(
                "the index %s is searched without: %s. Its vectors are read from the collection "
                "until the next index is published.",
                self._file(generation).name,
                error,
            )
            return replace(empty, damaged=True)
        return replace(empty, base=base, mark=generation.mark)

    def _catch_up(self, snapshot: _Snapshot) -> _Snapshot:
        if snapshot.space is None:
            return snapshot
        removed: list[Ids] = []
        more = True
        while more:
            changes = self._source.changes(snapshot.space, snapshot.mark, _PAGE)
            # A removal may be read before the passage.
            removed.append(changes.removed)
            more = changes.more
            delta = snapshot.buffer.extend(snapshot.delta, changes.ids, changes.vectors)
            snapshot = replace(snapshot, delta=delta, mark=changes.mark)
        return snapshot.without(np.concatenate(removed))

    # Publishing

    def due(self) -> bool:
        """Whether enough was written for a new generation."""
        snapshot = self._current()
        base, waiting = snapshot.base, len(snapshot.delta.living)
        bound = max(self._least_delta, min(int(_DELTA_SHARE * len(base)), _GREATEST_DELTA))
        return waiting > bound or snapshot.damaged or self._is_worn(base)

    def publish(self, progress: Progress | None = None, *, threads: int = 1) -> bool:
        """Publishes what the source holds as the next generation, if nobody else is at it.

        Args:
            progress: called with the passages that were added, and all of them. What it raises
                gives up.
            threads: that build a graph; more than there are idle cores make it slower.

        Returns:
            Whether it did.

        Raises:
            OSError, RuntimeError: the folder cannot be written.
        """
        self._folder.mkdir(exist_ok=True)
        with _only_one(self._folder / "publisher.lock") as only:
            if not only:
                return False
            snapshot = self._current()
            if snapshot.space is None:
                return False
            self._sweep(snapshot.generation)
            faiss().omp_set_num_threads(threads)
            index = self._build(snapshot, progress or _say_nothing)
            last = snapshot.generation.number if snapshot.generation else 0
            # Not the last one plus 1: a collection that was restored or made again must not meet
            # the files that it had.
            number = max(last + 1, time.time_ns() // 1_000_000)
            generation = Generation(number, snapshot.space, snapshot.mark)
            write_index(index, self._file(generation))
            self._source.publish(generation)
            self._sweep(generation)
            return True

    def _build(self, snapshot: _Snapshot, progress: Progress) -> object:
        base, delta = snapshot.segments
        graph = snapshot.passages > self._exact_limit and not self._exact
        if graph and base.graph is not None and snapshot.generation and not self._is_worn(base):
            file = self._file(snapshot.generation)
            # What is mapped can be read even if somebody took the file away.
            with suppress(Unreadable):
                return extend_index(file, base, delta, progress=progress)
        return build_index([base, delta], graph=graph, progress=progress)

    def _is_worn(self, base: Segment) -> bool:
        return base.removed > max(self._least_delta, int(_REMOVED_SHARE * len(base)))

    def _file(self, generation: Generation) -> Path:
        return self._folder / f"{generation.number}.faiss"

    def _sweep(self, current: Generation | None) -> None:
        """Removes all files but the current one's; who has mapped one keeps what is in it."""
        for path in [*self._folder.glob("*.faiss"), *self._folder.glob("*.tmp")]:
            if current is None or path != self._file(current):
                path.unlink(missing_ok=True)


class Publisher:
    """Publishes an index when that is due, in a thread of its own that ends when it has no use.

    Args:
        index: to watch.
        pause_s: seconds between two looks.
        idle_s: seconds after the last :meth:`start` in which there may be something to do.
    """

    def __init__(self, index: VectorIndex, *, pause_s: float = 1.0, idle_s: float = 60.0) -> None:
        self._index = index
        self._pause_s = pause_s
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._used = 0.0
        self._closing = threading.Event()

    def start(self) -> None:
        """Watches the index from now on; cheap if that is so already."""
        with self._lock:
            self._used = time.monotonic()
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._watch, name="publisher", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Gives up what is being published, and returns when the thread has ended."""
        self._closing.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _watch(self) -> None:
        _yield_to_searches()
        pause_s = self._pause_s
        while not self._closing.wait(pause_s):
            began = time.monotonic()
            try:
                if self._index.due():
                    self._index.publish(self._go_on)
            except _GivenUp:
                return
            except Exception:
                log.exception("no index was published; searches go on without")
            # Searches have the machine for themselves at least half of the time.
            pause_s = max(self._pause_s, time.monotonic() - began)
            if self._is_idle():
                return

    def _is_idle(self) -> bool:
        """Whether the thread may end; the next start then makes another."""
        with self._lock:
            if time.monotonic() - self._used < self._idle_s:
                return False
            self._thread = None
            return True

    def _go_on(self, done: int, total: int) -> None:
        if self._closing.is_set():
            raise _GivenUp


class _GivenUp(Exception):
    """The publisher was closed."""


def _yield_to_searches() -> None:
    """Lets this thread work when all others are idle."""
    if sys.platform == "linux":
        # Here, a thread has a priority of its own.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class _Buffer:
    """Memory that a delta grows in. Segments over it stay as they are: it is only written behind.

    Args:
        dimension: numbers in a vector.
    """

    def __init__(self, dimension: int) -> None:
        self._ids = np.empty(0, dtype=np.int64)
        self._vectors = np.empty((0, dimension), dtype=np.float32)

    def segment(self) -> Segment:
        """Nothing yet."""
        return Segment(self._ids[:0], self._vectors[:0], np.empty(0, dtype=np.bool_))

    def extend(self, segment: Segment, ids: Ids, vectors: Vectors) -> Segment:
        """The last segment with more passages; its memory is doubled when there is too little."""
        if not len(ids):
            return segment
        size = len(segment) + len(ids)
        if size > len(self._ids):
            room = 2 * size
            self._ids = _grown(self._ids, len(segment), room)
            self._vectors = _grown(self._vectors, len(segment), room)
        self._ids[len(segment) : size] = ids
        self._vectors[len(segment) : size] = vectors
        alive = np.concatenate([segment.alive, np.ones(len(ids), dtype=np.bool_)])
        return Segment(self._ids[:size], self._vectors[:size], alive)


def _grown(rows: np.ndarray, used: int, room: int) -> np.ndarray:
    grown = np.empty((room, *rows.shape[1:]), dtype=rows.dtype)
    grown[:used] = rows[:used]
    return grown


def _say_nothing(done: int, total: int) -> None:
    """For whoever does not ask for progress."""


@contextmanager
def _only_one(lock: Path) -> Iterator[bool]:
    """Whether this is the only holder of a lock, which the kernel takes off a process that dies."""
    with lock.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
