"""Indexes under the same vectors, each in a process of its own: one builds, another searches.

``python -m benchmarks.contender NAME build|search FOLDER``, in the environment of the contender.
The folder holds ``data.npy`` (n, dim), ``queries.npy`` (m, dim) and ``parameters.json``. It prints
what it measured, as JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

K = 10

_WARM_UP = 100
_STEP = 1_000
_DIM_KEY = "dimension"

# A query (dim,) to the rows of its nearest vectors, best first.
Search = Callable[[Any], Any]


@dataclass(frozen=True)
class Parameters:
    """Of the graph, as FAISS and hnswlib call them: M, efConstruction, efSearch; and threads."""

    neighbours: int
    ef_construction: int
    ef_search: int
    threads: int


def main(name: str, action: str, folder: Path) -> dict[str, Any]:
    """Builds, or searches in what was built."""
    parameters = Parameters(**json.loads((folder / "parameters.json").read_text()))
    build, open_ = CONTENDERS[name]
    if action == "build":
        began = time.perf_counter()
        cpu = time.process_time()
        told = build(np.load(folder / "data.npy", mmap_mode="r"), folder, parameters) or {}
        return {
            "build_s": time.perf_counter() - began,
            "build_cpu_s": time.process_time() - cpu,
            **told,
        }
    before = _memory_mib()
    began = time.perf_counter()
    search = open_(folder, parameters)
    opened_s = time.perf_counter() - began
    found = _measure(search, np.load(folder / "queries.npy"))
    after = _memory_mib()
    memory = {f"{kind}_mib": after[kind] - before[kind] for kind in after}
    return {"open_s": opened_s, **memory, **found}


def _measure(search: Search, queries: Any) -> dict[str, Any]:
    """Milliseconds of each query alone, by the clock and of the thread's CPU time, and its rows."""
    for query in queries[:_WARM_UP]:
        search(query)
    times_ms, cpu_ms, rows = [], [], []
    for query in queries:
        began, cpu = time.perf_counter(), time.thread_time()
        found = search(query)
        cpu_ms.append(1000 * (time.thread_time() - cpu))
        times_ms.append(1000 * (time.perf_counter() - began))
        rows.append([int(row) for row in found])
    return {"times_ms": times_ms, "cpu_ms": cpu_ms, "rows": rows}


def _memory_mib() -> dict[str, float]:
    """What is resident: the process's own memory, and pages of files, which processes share."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        name: int(status[field].split()[0]) / 1024
        for name, field in (("own", "RssAnon"), ("mapped", "RssFile"))
    }


# Ours: row n is the passage n + 1 of the document n.


def _build_ours(data: Any, folder: Path, parameters: Parameters) -> dict[str, float]:
    from inference.corpus.base import Document, EmbeddedPassage
    from inference.corpus.faiss_index import VectorIndex
    from inference.corpus.store import Store

    place = folder / "collections" / "bench"
    place.mkdir(parents=True)
    store = Store.create(place / "documents.sqlite")
    began = time.perf_counter()
    for start in range(0, len(data), _STEP):
        store.put(
            [
                (
                    Document(str(row), f"{row}번 글"),
                    [EmbeddedPassage("text", 0, 1, data[row])],
                )
                for row in range(start, min(start + _STEP, len(data)))
            ],
            _identity(data.shape[1]),
        )
    store_s = time.perf_counter() - began
    index = VectorIndex(store, place / "index")
    index.publish(threads=parameters.threads)
    store.close()
    return {"store_s": store_s}


def _open_ours(folder: Path, parameters: Parameters) -> Search:
    from inference.corpus.faiss_index import VectorIndex
    from inference.corpus.store import Store

    place = folder / "collections" / "bench"
    index = VectorIndex(Store(place / "documents.sqlite"), place / "index")
    return lambda query: index.search(query, K)[0] - 1


def _open_collection(folder: Path, parameters: Parameters) -> Search:
    """The whole search of a collection, but for embedding the query."""
    from inference.corpus.base import Query
    from inference.corpus.local import LocalCorpus

    embedder = _GivenVectors()
    collection = LocalCorpus(folder, embedder).open("bench")

    def search(query: Any) -> list[int]:
        embedder.vector = query
        found = collection.search(Query("질문", top_k=K, mode="vector"))
        return [int(hit.document.id) for hit in found.hits]

    return search


class _GivenVectors:
    """An embedder of nothing: the query's vector is at hand."""

    vector: Any

    @property
    def identity(self) -> Any:
        return _identity(len(self.vector))

    def embed_documents(self, documents: Any) -> Any:
        raise NotImplementedError

    def embed_query(self, query: str) -> Any:
        return self.vector


def _identity(dimension: int) -> Any:
    from inference.corpus.base import Identity

    return Identity("ko-mini", "", dimension, "fp32")


# FAISS alone


def _build_faiss(data: Any, folder: Path, parameters: Parameters) -> None:
    import faiss

    faiss.omp_set_num_threads(parameters.threads)
    index = faiss.IndexHNSWFlat(data.shape[1], parameters.neighbours, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = parameters.ef_construction
    index.add(np.ascontiguousarray(data))
    faiss.write_index(index, str(folder / "plain.faiss"))


def _open_faiss(folder: Path, parameters: Parameters) -> Search:
    import faiss

    index: Any = faiss.read_index(str(folder / "plain.faiss"))
    index.hnsw.efSearch = parameters.ef_search
    return lambda query: index.search(query[None], K)[1][0]


def _open_faiss_exact(folder: Path, parameters: Parameters) -> Search:
    import faiss

    data = np.load(folder / "data.npy")
    index = faiss.IndexFlatIP(data.shape[1])
    index.add(data)
    del data
    return lambda query: index.search(query[None], K)[1][0]


# hnswlib


def _build_hnswlib(data: Any, folder: Path, parameters: Parameters) -> None:
    import hnswlib  # type: ignore[import-untyped]

    index = hnswlib.Index(space="ip", dim=data.shape[1])
    index.init_index(
        max_elements=len(data), M=parameters.neighbours, ef_construction=parameters.ef_construction
    )
    index.add_items(data, num_threads=parameters.threads)
    index.save_index(str(folder / "index.hnswlib"))
    (folder / "hnswlib.json").write_text(json.dumps({_DIM_KEY: data.shape[1]}))


def _open_hnswlib(folder: Path, parameters: Parameters) -> Search:
    import hnswlib

    dimension = json.loads((folder / "hnswlib.json").read_text())[_DIM_KEY]
    index = hnswlib.Index(space="ip", dim=dimension)
    index.load_index(str(folder / "index.hnswlib"))
    index.set_ef(parameters.ef_search)
    return lambda query: index.knn_query(query, k=K, num_threads=1)[0][0]


def _nothing(data: Any, folder: Path, parameters: Parameters) -> None:
    """Another contender has built what this one searches, or it needs nothing."""


CONTENDERS: dict[str, tuple[Callable[[Any, Path, Parameters], Any], Callable[..., Search]]] = {
    "ours": (_build_ours, _open_ours),
    "collection": (_nothing, _open_collection),
    "faiss": (_build_faiss, _open_faiss),
    "exact": (_nothing, _open_faiss_exact),
    "hnswlib": (_build_hnswlib, _open_hnswlib),
}

if __name__ == "__main__":
    measured = main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    sys.stdout.write(json.dumps(measured))
    sys.stdout.flush()
    # Threads of a service that is searched in may still run.
    os._exit(0)
