"""Files of published indexes: a FAISS index under the numbers of its passages.

A file is a ``faiss.IndexIDMap`` over an ``IndexFlatIP`` or an ``IndexHNSWFlat``, with rising
numbers. A passage that was removed, but still leads through the graph, has the complement of its
number (``~n``).
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from inference.corpus.base import Ids, Progress
from inference.corpus.segment import Segment, faiss
from inference.similarity import Vectors

# Chosen by benchmarks/vector_search.py with EF_SEARCH.
NEIGHBOURS = 16
EF_CONSTRUCTION = 200

# Rows added between two reports of progress.
_STEP = 2_000


class Unreadable(Exception):
    """A file is missing, or is not what it should be."""


def open_index(path: Path, dimension: int) -> Segment:
    """The passages of a file. Processes that open the same one share its memory.

    Raises:
        Unreadable: there is no such file, or it is damaged.
    """
    library = faiss()
    try:
        index = library.read_index(str(path), library.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise Unreadable(f"FAISS cannot read it ({_last_line(error)})") from error
    if not isinstance(index, library.IndexIDMap):
        raise Unreadable("it holds no passages' numbers")
    inner = library.downcast_index(index.index)
    graph = inner if isinstance(inner, library.IndexHNSWFlat) else None
    flat = library.downcast_index(graph.storage) if graph is not None else inner
    marked = library.vector_to_array(index.id_map)
    ids = np.where(marked < 0, ~marked, marked)
    if (
        not isinstance(flat, library.IndexFlat)
        or (flat.d, flat.ntotal, inner.ntotal) != (dimension, len(ids), len(ids))
        or inner.metric_type != library.METRIC_INNER_PRODUCT
        or (np.diff(ids) <= 0).any()
    ):
        raise Unreadable("it is of another kind")
    _read_ahead(path)
    vectors = library.rev_swig_ptr(flat.get_xb(), len(ids) * dimension).reshape(-1, dimension)
    return Segment(ids, vectors, marked >= 0, graph, owner=index)


def build_index(segments: list[Segment], *, graph: bool, progress: Progress) -> Any:
    """A new ``faiss.IndexIDMap`` of what is alive in segments, of which the ids rise on.

    Args:
        graph: whether it is an HNSW graph.
        progress: called with the rows that are done, and all of them. It may raise to give up.
    """
    library = faiss()
    dimension = segments[0].vectors.shape[1]
    if graph:
        inner = library.IndexHNSWFlat(dimension, NEIGHBOURS, library.METRIC_INNER_PRODUCT)
        inner.hnsw.efConstruction = EF_CONSTRUCTION
    else:
        inner = library.IndexFlatIP(dimension)
    index = library.IndexIDMap(inner)
    _add(index, segments, progress)
    return index


def extend_index(path: Path, base: Segment, added: Segment, *, progress: Progress) -> Any:
    """The index of a file with more passages, and without those removed from ``base`` since.

    Args:
        base: what the file holds.
        added: passages behind it.
        progress: as in :func:`build_index`.

    Raises:
        Unreadable: there is no such file, or it is damaged.
    """
    library = faiss()
    try:
        index = library.read_index(str(path))
    except RuntimeError as error:
        raise Unreadable(f"FAISS cannot read it ({_last_line(error)})") from error
    library.copy_array_to_vector(np.where(base.alive, base.ids, ~base.ids), index.id_map)
    library.downcast_index(index.index).hnsw.efConstruction = EF_CONSTRUCTION
    _add(index, [added], progress)
    return index


def write_index(index: Any, path: Path) -> None:
    """Writes an index so that its file is either whole or not there.

    Raises:
        RuntimeError: FAISS could not write it.
    """
    library = faiss()
    aside = path.with_suffix(".tmp")
    try:
        library.write_index(index, str(aside))
        _sync(aside)
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)
    _sync(path.parent)


def _add(index: Any, segments: list[Segment], progress: Progress) -> None:
    total = sum(len(segment.living) for segment in segments)
    done = 0
    progress(done, total)
    for segment in segments:
        for start in range(0, len(segment.living), _STEP):
            ids, vectors = _rows(segment, start)
            index.add_with_ids(vectors, ids)
            done += len(ids)
            progress(done, total)


def _rows(segment: Segment, start: int) -> tuple[Ids, Vectors]:
    rows = segment.living[start : start + _STEP]
    return segment.ids[rows], segment.vectors[rows]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_ahead(path: Path) -> None:
    """Lets the kernel fetch a file, which searches would read page by page from all over it."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _last_line(error: RuntimeError) -> str:
    """What FAISS says went wrong, behind the place in its source."""
    return str(error).splitlines()[-1]
