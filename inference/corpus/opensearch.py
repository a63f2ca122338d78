"""Collections in an OpenSearch cluster, for more documents than one machine should hold."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from inference.corpus.base import (
    Added,
    Collection,
    CollectionInfo,
    Document,
    DocumentPage,
    Embedder,
    Filter,
    Hit,
    Mode,
    Progress,
    Query,
    SearchResult,
    check_collection_name,
    check_identity,
    check_query,
)
from inference.corpus.filters import parse_filter
from inference.corpus.fusion import fuse, fused_depth
from inference.corpus.opensearch_index import (
    MAX_K,
    STORED,
    Json,
    cosine_of,
    count_passages,
    document_of,
    filter_query,
    ids_query,
    keyword_query,
    passage_of,
    vector_query,
)
from inference.corpus.opensearch_store import Index, OpenSearchStore
from inference.errors import Conflict, InvalidInput, NotFound
from inference.similarity import Vectors

Read = TypeVar("Read")


class OpenSearchCorpus:
    """The collections of a cluster, which several processes may use at once.

    Args:
        address: see :func:`inference.corpus.opensearch_client.parse_address`; nothing is sent yet.
        embedder: makes the vectors.

    Raises:
        InvalidInput: the address cannot be used, or opensearch-py is not installed.
    """

    def __init__(self, address: str, embedder: Embedder) -> None:
        try:
            from inference.corpus.opensearch_client import Cluster, parse_address
        except ModuleNotFoundError as error:
            raise InvalidInput(
                "Collections in OpenSearch need opensearch-py: pip install 'ssang[opensearch]'.",
                item="corpus",
            ) from error
        self._address = parse_address(address)
        self._cluster = Cluster(self._address)
        self._embedder = embedder

    def list_collections(self) -> list[CollectionInfo]:
        """All collections by name."""
        pattern = f"{self._address.prefix}.*"
        indices = self._cluster.call(lambda client: client.indices.get(index=pattern))
        found = []
        for name in sorted({index.split(".")[1] for index in indices}):
            # It may be deleted at this moment.
            with suppress(NotFound):
                found.append(self.open(name).info())
        return found

    def create(self, name: str) -> tuple[Collection, bool]:
        """The collection of that name, and whether it is new.

        Raises:
            ModelUnavailable: the model, whose vectors the index is made for, is still loading.
        """
        store = self._store(name)
        new = store.create(self._embedder.identity)
        return OpenSearchCollection(name, store, self._embedder), new

    def open(self, name: str) -> "OpenSearchCollection":
        """A collection.

        Raises:
            NotFound: there is none.
        """
        store = self._store(name)
        store.serving()
        return OpenSearchCollection(name, store, self._embedder)

    def delete(self, name: str) -> None:
        """Deletes a collection with everything in it.

        Raises:
            NotFound: there is none.
        """
        store = self._store(name)
        store.serving()
        store.delete()

    def close(self) -> None:
        """Closes the connections."""
        self._cluster.close()

    def _store(self, name: str) -> OpenSearchStore:
        alias = f"{self._address.prefix}.{check_collection_name(name)}"
        return OpenSearchStore(self._cluster, alias, self._address.engine)


class OpenSearchCollection:
    """A collection of an :class:`OpenSearchCorpus`.

    Args:
        name: of the collection.
        store: what it keeps in the cluster.
        embedder: makes the vectors.
    """

    def __init__(self, name: str, store: OpenSearchStore, embedder: Embedder) -> None:
        self._name = name
        self._store = store
        self._embedder = embedder

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def info(self) -> CollectionInfo:
        """What it holds."""
        return self._read(self._info)

    def add(self, documents: Sequence[Document]) -> Added:
        """Puts documents in; see :meth:`inference.corpus.base.Collection.add`.

        Each is written whole or not at all. Where an error says that some were not, the others are
        stored, and adding all again adds what is missing.
        """
        wanted = {document.id: document for document in documents}
        serving = self._writable()
        known = self._store.known(serving, list(wanted))
        new = [
            document
            for document in wanted.values()
            if not _is_same(known.get(document.id), document.content_hash)
        ]
        self._put(serving.write, new, known)
        changed = {document.id for document in new}
        return Added(
            added=[document.id for document in new if document.id not in known],
            replaced=[document.id for document in new if document.id in known],
            unchanged=[document_id for document_id in wanted if document_id not in changed],
        )

    def get(self, document_id: str) -> Document:
        """A document.

        Raises:
            NotFound: there is none.
        """

        def read(serving: Index) -> Document:
            found = self._store.fetch(serving, [document_id], STORED)
            if document_id not in found:
                raise NotFound("There is no such document in the collection.", item="id")
            return document_of(found[document_id])

        return self._read(read)

    def list_documents(
        self, *, offset: int = 0, limit: int = 50, where: Filter | None = None
    ) -> DocumentPage:
        """Some of the documents, in the order in which they came."""
        among = filter_query(parse_filter(where))
        found = self._read(lambda serving: self._store.page(serving, among, offset, limit))
        documents = [document_of(hit["_source"]) for hit in found["hits"]["hits"]]
        return DocumentPage(documents, found["hits"]["total"]["value"])

    def iterate(self) -> Iterator[Document]:
        """All documents as they stand now, whatever is written meanwhile."""
        return map(document_of, self._store.scan(self._store.serving(), STORED))

    def remove(self, ids: Sequence[str]) -> int:
        """Takes documents out, and says how many were there."""
        return self._store.remove(self._store.serving().write, list(dict.fromkeys(ids)))

    def search(self, query: Query) -> SearchResult:
        """The documents nearest to a query; see :meth:`inference.corpus.base.Collection.search`.

        By their vectors, the nearest 10,000 can be paged through and no more.
        """
        mode = check_query(query)
        among = filter_query(parse_filter(query.filter))
        began = time.perf_counter()
        vector = None if mode == "keyword" else self._embedder.embed_query(query.text)
        embedded = time.perf_counter()
        hits = self._read(lambda serving: self._find(serving, query, mode, vector, among))
        ended = time.perf_counter()
        timing = {"embed": 1000 * (embedded - began), "search": 1000 * (ended - embedded)}
        return SearchResult(hits, mode, timing)

    def reembed(self, progress: Progress | None = None) -> None:
        """Gives every document vectors of the loaded model, and then searches those.

        The old index is searched until the new one is whole. Before they change places they are
        compared once more, and for that time documents cannot be written. A run that was stopped
        goes on where it was when this is called again with the same model.

        Args:
            progress: called with the documents that are done, and all of them.

        Raises:
            Conflict: another process was faster.
        """
        serving, identity = self._store.serving(), self._embedder.identity
        if serving.identity == identity:
            return
        try:
            target = self._store.begin_building(serving, identity)
            self._copy(serving, target, progress)
            self._store.block(serving)
            try:
                self._copy(serving, target)
                self._store.change_over(serving, target)
            except BaseException:
                self._store.unblock(serving)
                raise
        except NotFound as error:
            raise Conflict(
                "The collection was deleted, or another process embedded it anew, meanwhile."
            ) from error

    def _info(self, serving: Index) -> CollectionInfo:
        counted = self._store.search(
            serving, {"size": 0, "track_total_hits": True, "aggs": count_passages()}
        )
        documents = counted["hits"]["total"]["value"]
        building = self._store.building()
        share = None
        if building is not None:
            share = min(1.0, self._store.count(building) / max(1, documents))
        return CollectionInfo(
            name=self._name,
            documents=documents,
            passages=counted["aggregations"]["passages"]["doc_count"],
            identity=serving.identity if documents else None,
            index="hnsw",
            created=serving.created,
            reembedded=share,
        )

    def _read(self, read: Callable[[Index], Read]) -> Read:
        """Reads from the index that is searched, once more if another has taken its place."""
        serving = self._store.serving()
        try:
            return read(serving)
        except NotFound:
            now = self._store.serving()
            if now.name == serving.name:
                raise
            return read(now)

    def _writable(self) -> Index:
        """The index that is searched, if its vectors are of the loaded model.

        Raises:
            Conflict: they are of another.
        """
        serving, loaded = self._store.serving(), self._embedder.identity
        if not serving.identity.matches(loaded) and not self._store.count(serving):
            # It was made with another model, and has no vectors yet.
            self.reembed()
            serving = self._store.serving()
        check_identity(serving.identity, loaded)
        return serving

    # Searching

    def _find(
        self, serving: Index, query: Query, mode: Mode, vector: Vectors | None, among: Json | None
    ) -> list[Hit]:
        if vector is None:
            return self._search_words(serving, query, among)
        check_identity(serving.identity, self._embedder.identity)
        if mode == "vector":
            return self._search_vector(serving, query, vector, among)
        return self._search_both(serving, query, vector, among)

    def _search_vector(
        self, serving: Index, query: Query, vector: Vectors, among: Json | None
    ) -> list[Hit]:
        near = vector_query(vector, among, query.offset + query.top_k)
        hits = []
        for hit in self._page(serving, query, near):
            cosine = cosine_of(hit["_score"], serving.space)
            if query.min_score is None or cosine >= query.min_score:
                hits.append(Hit(document_of(hit["_source"]), passage_of(hit), cosine, cosine))
        return hits

    def _search_words(self, serving: Index, query: Query, among: Json | None) -> list[Hit]:
        wanted = keyword_query(query.text, among)
        if wanted is None:
            return []
        return [
            Hit(document_of(hit["_source"]), passage_of(hit), hit["_score"], None)
            for hit in self._page(serving, query, wanted)
        ]

    def _search_both(
        self, serving: Index, query: Query, vector: Vectors, among: Json | None
    ) -> list[Hit]:
        need = query.offset + query.top_k
        depth = fused_depth(need)
        near = self._store.matches(serving, vector_query(vector, among, depth), depth)
        wanted = keyword_query(query.text, among)
        worded = {} if wanted is None else self._store.matches(serving, wanted, depth)
        matches = dict(near)
        if others := [document for document in worded if document not in near]:
            # Where fewer passages pass a filter than k, they are compared exactly.
            again = vector_query(vector, ids_query(others), MAX_K)
            matches |= self._store.matches(serving, again, len(others))
        ranking = [
            (matches[document], cosine_of(matches[document].score, serving.space), score)
            for document, score in fuse([list(near), list(worded)])
            # Without those that were removed between the searches.
            if document in matches
        ]
        least = -1.1 if query.min_score is None else query.min_score
        page = [row for row in ranking if row[1] >= least][query.offset : need]
        stored = self._store.fetch(serving, [match.document for match, _, _ in page], STORED)
        return [
            Hit(document_of(stored[match.document]), match.place, score, cosine)
            for match, cosine, score in page
            if match.document in stored
        ]

    def _page(self, serving: Index, query: Query, wanted: Json) -> list[Json]:
        body = {"query": wanted, "from": query.offset, "size": query.top_k, "_source": STORED}
        hits: list[Json] = self._store.search(serving, body)["hits"]["hits"]
        return hits

    # Writing

    def _put(self, alias: str, documents: Sequence[Document], known: dict[str, Json]) -> None:
        embedded = self._embedder.embed_documents(documents)
        self._store.put(alias, list(zip(documents, embedded, strict=True)), known)

    def _copy(self, source: Index, target: Index, progress: Progress | None = None) -> None:
        """Makes the target hold what the source holds, writing only what differs."""
        total, done = self._store.count(source), 0
        for rows in self._store.batches(source):
            there = self._store.known(target, list(rows))
            differ = [
                document_id
                for document_id, row in rows.items()
                if not _is_same(there.get(document_id), row["hash"])
            ]
            stored = self._store.fetch(source, differ, STORED)
            self._put(target.build, [document_of(row) for row in stored.values()], rows)
            done += len(rows)
            if progress is not None:
                progress(min(done, total), total)
        for rows in self._store.batches(target):
            there = self._store.known(source, list(rows))
            self._store.remove(target.build, [gone for gone in rows if gone not in there])


def _is_same(row: Json | None, content_hash: str) -> bool:
    """Whether a stored row is of this content."""
    return row is not None and row["hash"] == content_hash
