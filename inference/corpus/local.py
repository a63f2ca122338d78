"""Collections in a folder: SQLite keeps them, FAISS searches their vectors.

collections/NAME/documents.sqlite   the truth: documents, passages with vectors, keywords
collections/NAME/index/             published indexes, which can be made again from it
"""

import fcntl
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from inference.corpus.base import (
    Added,
    Collection,
    CollectionInfo,
    Document,
    DocumentPage,
    Embedder,
    Filter,
    Hit,
    Ids,
    Mode,
    Progress,
    Query,
    SearchResult,
    check_collection_name,
    check_query,
)
from inference.corpus.database import folder_errors
from inference.corpus.faiss_index import Publisher, VectorIndex
from inference.corpus.fusion import fuse, fused_depth
from inference.corpus.store import Store
from inference.errors import Conflict, NotFound
from inference.similarity import Vectors, cosine

_FILE = "documents.sqlite"
_TRASH = ".deleted-"

# Documents embedded between two transactions of re-embedding.
_REEMBED_BATCH = 128
_DROP_BATCH = 2_000

# Passages asked for at first for each document that is wanted: a document has several.
_PASSAGES_A_DOCUMENT = 4


class LocalCorpus:
    """The collections below a folder, which several processes may use at once.

    Args:
        folder: made when the first collection is.
        embedder: makes the vectors.
        exact: search vectors exactly, however many there are.
    """

    def __init__(self, folder: Path, embedder: Embedder, *, exact: bool = False) -> None:
        self._folder = folder / "collections"
        self._embedder = embedder
        self._exact = exact
        self._opened: dict[str, LocalCollection] = {}
        self._lock = threading.Lock()

    def list_collections(self) -> list[CollectionInfo]:
        """All collections by name."""
        infos: list[CollectionInfo] = []
        for name in sorted(path.parent.name for path in self._folder.glob(f"[!.]*/{_FILE}")):
            # One may be deleted meanwhile.
            with suppress(NotFound):
                infos.append(self.open(name).info())
        return infos

    def create(self, name: str) -> tuple[Collection, bool]:
        """The collection of that name, and whether it is new."""
        folder = self._folder / check_collection_name(name)
        new = not (folder / _FILE).exists()
        if new:
            self._sweep()
            with folder_errors("collection"):
                folder.mkdir(parents=True, exist_ok=True)
            Store.create(folder / _FILE)
        return self.open(name), new

    def open(self, name: str) -> "LocalCollection":
        """A collection.

        Raises:
            NotFound: there is none.
        """
        folder = self._folder / check_collection_name(name)
        with self._lock:
            opened = self._opened.get(name)
            if opened is not None:
                if opened.is_current():
                    return opened
                # Deleted, and perhaps made again, maybe by another process.
                del self._opened[name]
                opened.close()
            if not (folder / _FILE).exists():
                raise NotFound(
                    "There is no such collection: make it first, or check its name.", item="name"
                )
            opened = LocalCollection(name, folder, self._embedder, exact=self._exact)
            self._opened[name] = opened
            return opened

    def delete(self, name: str) -> None:
        """Deletes a collection with everything in it.

        Raises:
            NotFound: there is none.
        """
        self.open(name)
        # Gone at once for everybody; what is being read from it can be read to its end.
        trash = self._folder / f"{_TRASH}{uuid.uuid4().hex}"
        with folder_errors("collection"):
            try:
                (self._folder / name).rename(trash)
            except FileNotFoundError:
                raise NotFound("There is no such collection any more.", item="name") from None
        with self._lock:
            opened = self._opened.pop(name, None)
        if opened is not None:
            opened.close()
        self._sweep()

    def close(self) -> None:
        """Ends what runs in the background."""
        with self._lock:
            opened = list(self._opened.values())
            self._opened.clear()
        for collection in opened:
            collection.close()

    def _sweep(self) -> None:
        """Removes what a killed process left of deleted collections."""
        for trash in self._folder.glob(f"{_TRASH}*"):
            shutil.rmtree(trash, ignore_errors=True)


class LocalCollection:
    """A collection of a :class:`LocalCorpus`.

    Args:
        name, folder: where it lies.
        embedder: makes the vectors.
        exact: search vectors exactly, however many there are.
    """

    def __init__(self, name: str, folder: Path, embedder: Embedder, *, exact: bool) -> None:
        self._name = name
        self._folder = folder
        self._embedder = embedder
        self._store = Store(folder / _FILE)
        self._inode = (folder / _FILE).stat().st_ino
        self._index = VectorIndex(self._store, folder / "index", exact=exact)
        self._publisher = Publisher(self._index)

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def is_current(self) -> bool:
        """Whether its folder still holds what was opened."""
        try:
            return (self._folder / _FILE).stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def info(self) -> CollectionInfo:
        """What it holds."""
        counts = self._store.counts()
        serving = self._store.serving()
        return CollectionInfo(
            name=self._name,
            documents=counts.documents,
            passages=counts.passages,
            identity=serving.identity if serving else None,
            index=self._index.kind,
            created=self._store.created,
            reembedded=counts.reembedded,
        )

    def add(self, documents: Sequence[Document]) -> Added:
        """Puts documents in; see :meth:`inference.corpus.base.Collection.add`."""
        wanted = {document.id: document for document in documents}
        identity = self._embedder.identity
        # Before the vectors are made in vain; the store looks again.
        self._store.check_identity(identity)
        there = self._store.unchanged(list(wanted.values()))
        new = [document for document in wanted.values() if document.id not in there]
        rows = list(zip(new, self._embedder.embed_documents(new), strict=True))
        added = self._store.put(rows, identity)
        self._publisher.start()
        return Added(added.added, added.replaced, [*there, *added.unchanged])

    def get(self, document_id: str) -> Document:
        """A document.

        Raises:
            NotFound: there is none.
        """
        return self._store.get(document_id)

    def list_documents(
        self, *, offset: int = 0, limit: int = 50, where: Filter | None = None
    ) -> DocumentPage:
        """Some of the documents, in the order in which they came."""
        return self._store.list_documents(offset=offset, limit=limit, where=where)

    def iterate(self) -> Iterator[Document]:
        """All documents as they stand now, whatever is written meanwhile."""
        return self._store.iterate()

    def remove(self, ids: Sequence[str]) -> int:
        """Takes documents out, and says how many were there."""
        return self._store.remove(ids)

    def search(self, query: Query) -> SearchResult:
        """The documents nearest to a query; see :meth:`inference.corpus.base.Collection.search`."""
        mode = check_query(query)
        began = time.perf_counter()
        vector = None
        if mode != "keyword":
            self._store.check_identity(self._embedder.identity)
            vector = self._embedder.embed_query(query.text)
        embedded = time.perf_counter()
        self._publisher.start()
        hits = self._find(query, mode, vector)
        ended = time.perf_counter()
        timing = {"embed": 1000 * (embedded - began), "search": 1000 * (ended - embedded)}
        return SearchResult(hits, mode, timing)

    def backup(self, path: Path) -> None:
        """Writes a copy of the database as it stands now, whatever is written meanwhile."""
        self._store.backup(path)

    def publish(self) -> None:
        """Makes an index of what has been written, if there is enough of it, and waits for it."""
        if self._index.due():
            self._index.publish()

    def reembed(self, progress: Progress | None = None) -> None:
        """Gives every document vectors of the loaded model, and then searches those.

        The old vectors are searched until all are made. A run that was stopped goes on where it
        was when this is called again with the same model.

        Args:
            progress: called with the documents that are done, and all of them.

        Raises:
            Conflict: another process is at it.
        """
        identity = self._embedder.identity
        with self._leased():
            serving = self._store.serving()
            if serving is None or serving.identity == identity:
                self._store.stop_building()
            else:
                self._store.begin_building(identity)
                self._build(progress)
            while self._store.drop_unserved(_DROP_BATCH):
                pass
        self.publish()

    def close(self) -> None:
        """Ends what runs in the background."""
        self._publisher.close()
        self._store.close()

    # Searching

    def _find(self, query: Query, mode: Mode, vector: Vectors | None) -> list[Hit]:
        need = query.offset + query.top_k
        depth = fused_depth(need) if mode == "hybrid" else need
        near: dict[int, _Match] = {}
        worded: dict[int, _Match] = {}
        if vector is not None:
            among = self._store.match(query.filter) if query.filter else None
            near = self._best_passages(lambda count: self._nearest(vector, count, among), depth)
        if mode != "vector":
            worded = self._best_passages(lambda count: self._worded(query, count), depth)
        matches = {**worded, **near}
        similarities = self._similarities(vector, near, worded)
        if mode == "hybrid":
            ranking = fuse([list(near), list(worded)])
        else:
            ranking = [(document, match.score) for document, match in matches.items()]
        if query.min_score is not None:
            ranking = [row for row in ranking if similarities[row[0]] >= query.min_score]
        page = ranking[query.offset : need]
        places = self._store.places([matches[document].passage for document, _ in page])
        return [
            Hit(*places[matches[document].passage], score, similarities.get(document))
            for document, score in page
            # Without those that were replaced or removed since they were found.
            if matches[document].passage in places
        ]

    def _nearest(self, vector: Vectors, count: int, among: Ids | None) -> list[tuple[int, float]]:
        ids, scores = self._index.search(vector, count, among)
        return list(zip(ids.tolist(), scores.tolist(), strict=True))

    def _worded(self, query: Query, count: int) -> list[tuple[int, float]]:
        return self._store.keyword_search(query.text, count, query.filter)

    def _best_passages(
        self, ask: Callable[[int], list[tuple[int, float]]], depth: int
    ) -> dict[int, "_Match"]:
        """The first ``depth`` documents of a ranking of passages, each with its best one.

        Args:
            ask: gives so many passages with their scores, best first.
            depth: documents that are wanted.
        """
        count = depth * _PASSAGES_A_DOCUMENT
        while True:
            ranking = ask(count)
            owners = self._store.owners([passage for passage, _ in ranking])
            found: dict[int, _Match] = {}
            for passage, score in ranking:
                if passage in owners:
                    found.setdefault(owners[passage], _Match(passage, score))
            if len(found) >= depth or len(ranking) < count:
                return dict(islice(found.items(), depth))
            count *= 4

    def _similarities(
        self, vector: Vectors | None, near: dict[int, "_Match"], worded: dict[int, "_Match"]
    ) -> dict[int, float]:
        """The cosine of each document's match, where there is a vector to compare with."""
        if vector is None:
            return {}
        found = {document: match.score for document, match in near.items()}
        others = [document for document in worded if document not in near]
        if others:
            passages = np.array([worded[document].passage for document in others], dtype=np.int64)
            scores = cosine(vector[None], self._index.vectors(passages))
            found.update(zip(others, scores.tolist(), strict=True))
        return found

    # Re-embedding

    def _build(self, progress: Progress | None) -> None:
        while not self._store.serve_building():
            while documents := self._store.missing(_REEMBED_BATCH):
                rows = zip(documents, self._embedder.embed_documents(documents), strict=True)
                self._store.add_built(list(rows))
                if progress is not None:
                    counts = self._store.counts()
                    progress(counts.rebuilt or 0, counts.documents)

    @contextmanager
    def _leased(self) -> Iterator[None]:
        """Holds the lock of whoever re-embeds, which the kernel takes off a process that dies."""
        with (self._folder / "reembed.lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    "The collection is being embedded anew already: wait for that to end."
                ) from None
            yield


@dataclass(frozen=True)
class _Match:
    """The passage of a document that matched best, and its score."""

    passage: int
    score: float
