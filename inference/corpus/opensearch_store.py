"""The indices of one collection in OpenSearch, and the records in them.

    ssang.faq           alias of the index that is searched
    ssang.faq.0         an index: the documents, with vectors of one model
    ssang.faq.0.write   alias through which it is written while it is searched
    ssang.faq.1.build   alias through which the next one is written while it is made

That writes name an alias which goes away in the same moment as the index's role keeps a slow writer
from bringing old documents, or a deleted index, back.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from inference.corpus.base import Document, EmbeddedPassage, Identity, PassagePlace
from inference.corpus.opensearch_index import (
    IN_ORDER,
    STORED,
    WINDOW,
    Json,
    Space,
    index_body,
    passage_of,
    record_of,
)
from inference.errors import Conflict, NotFound, SsangError

if TYPE_CHECKING:
    from inference.corpus.opensearch_client import Cluster

_BATCH = 128


@dataclass(frozen=True)
class Index:
    """An index of a collection: its name and what its mapping says of its vectors."""

    name: str
    identity: Identity
    space: Space
    created: float

    @property
    def number(self) -> int:
        """Rises when the collection is embedded anew."""
        return int(self.name.rpartition(".")[2])

    @property
    def write(self) -> str:
        """The alias to write through while it is searched."""
        return f"{self.name}.write"

    @property
    def build(self) -> str:
        """The alias to write through while it is made."""
        return f"{self.name}.build"


@dataclass(frozen=True)
class Match:
    """A document that a search found, by its id, with its score and its best passage."""

    document: str
    score: float
    place: PassagePlace


class OpenSearchStore:
    """What one collection keeps in a cluster.

    Args:
        cluster: that keeps it.
        alias: of the index that is searched; the names of all indices begin with it.
        engine: of the vectors in new indices.
    """

    def __init__(self, cluster: "Cluster", alias: str, engine: str) -> None:
        self._cluster = cluster
        self._alias = alias
        self._engine = engine

    # Indices

    def serving(self) -> Index:
        """The index that is searched.

        Raises:
            NotFound: the collection is not there.
        """
        for name, described in self._indices().items():
            if self._alias in described["aliases"]:
                return _index_of(name, described)
        raise NotFound(
            "There is no such collection: make it first, or check its name.", item="name"
        )

    def building(self) -> Index | None:
        """The index that is being made to take its place."""
        for name, described in self._indices().items():
            if f"{name}.build" in described["aliases"]:
                return _index_of(name, described)
        return None

    def create(self, identity: Identity) -> bool:
        """Makes the collection unless it is there, and says whether it was not."""
        with suppress(NotFound):
            self.serving()
            return False
        name = f"{self._alias}.0"
        try:
            self._make(name, identity, time.time(), [self._alias, f"{name}.write"])
        except Conflict:
            # Another process was faster.
            self.serving()
            return False
        return True

    def begin_building(self, serving: Index, identity: Identity) -> Index:
        """The index for other vectors that a stopped run has begun, or a new one."""
        building = self.building()
        if building is not None and building.identity != identity:
            self._drop([building.name])
            building = None
        if building is None:
            name = f"{self._alias}.{serving.number + 1}"
            with suppress(Conflict):
                self._make(name, identity, serving.created, [f"{name}.build"])
            building = self.building()
        if building is None:
            raise Conflict("Another process has just embedded the collection anew.")
        return building

    def block(self, index: Index) -> None:
        """Returns when all writes have come to their end, and lets none begin.

        https://docs.opensearch.org/latest/api-reference/index-apis/blocks/
        """
        self._cluster.call(lambda client: client.indices.add_block(index=index.name, block="write"))

    def unblock(self, index: Index) -> None:
        """Takes writes again, if the index is still there."""
        setting = {"index.blocks.write": None}
        with suppress(SsangError):
            self._cluster.call(
                lambda client: client.indices.put_settings(index=index.name, body=setting)
            )

    def change_over(self, serving: Index, target: Index) -> None:
        """In one moment, searches the target, and deletes what was searched before.

        https://docs.opensearch.org/latest/api-reference/alias/
        """
        actions: list[Json] = [
            {"remove": {"index": target.name, "alias": target.build, "must_exist": True}},
            {"add": {"index": target.name, "alias": target.write}},
            {"add": {"index": target.name, "alias": self._alias}},
            {"remove_index": {"index": serving.name}},
        ]
        self._cluster.call(lambda client: client.indices.update_aliases(body={"actions": actions}))

    def delete(self) -> None:
        """Deletes all indices of the collection."""
        self._drop(list(self._indices()))

    def _indices(self) -> dict[str, Json]:
        """All indices of the collection, with their aliases and mappings."""
        return self._cluster.call(lambda client: client.indices.get(index=f"{self._alias}.*"))

    def _make(self, name: str, identity: Identity, created: float, aliases: list[str]) -> None:
        body = index_body(identity, self._engine, self._cluster.version, created, aliases)
        self._cluster.call(lambda client: client.indices.create(index=name, body=body))

    def _drop(self, names: list[str]) -> None:
        # By their names: clusters may refuse to delete by a pattern.
        self._cluster.call(lambda client: client.indices.delete(index=",".join(names)))

    # Records

    def search(self, index: Index, body: Json) -> Json:
        """What OpenSearch answers to a search."""
        return self._cluster.call(lambda client: client.search(index=index.name, body=body))

    def matches(self, index: Index, query: Json, size: int) -> dict[str, Match]:
        """The best documents of a query on passages, by id, best first."""
        found = self.search(index, {"query": query, "size": size, "_source": ["id"]})
        matches = [
            Match(hit["_source"]["id"], hit["_score"], passage_of(hit))
            for hit in found["hits"]["hits"]
        ]
        return {match.document: match for match in matches}

    def count(self, index: Index) -> int:
        """How many documents it holds."""
        count: int = self._cluster.call(lambda client: client.count(index=index.name))["count"]
        return count

    def fetch(self, index: Index, ids: Sequence[str], names: list[str]) -> dict[str, Json]:
        """Fields of the documents that are there, written just now or not, by id."""
        if not ids:
            return {}
        keys = {"ids": [_key(document_id) for document_id in ids]}
        found = self._cluster.call(
            lambda client: client.mget(index=index.name, body=keys, _source_includes=names)
        )
        sources = [answer["_source"] for answer in found["docs"] if answer.get("found")]
        return {source["id"]: source for source in sources}

    def known(self, index: Index, ids: Sequence[str]) -> dict[str, Json]:
        """``hash`` and ``order`` of the documents that are there, by id."""
        return self.fetch(index, ids, ["id", "hash", "order"])

    def page(self, index: Index, query: Json | None, offset: int, limit: int) -> Json:
        """Documents in their order, with the number of all, as OpenSearch answers a search."""
        body: Json = {"sort": IN_ORDER, "size": limit, "_source": STORED, "track_total_hits": True}
        if query is not None:
            body["query"] = query
        if offset + limit <= WINDOW:
            body["from"] = offset
        else:
            body["search_after"] = self._sort_key(index, query, offset - 1)
        return self.search(index, body)

    def scan(self, index: Index, names: list[str]) -> Iterator[Json]:
        """Fields of all documents as they are now, in their order."""
        body = {"sort": IN_ORDER, "_source": names}
        for hit in self._cluster.scan(index.name, body, _BATCH):
            yield hit["_source"]

    def batches(self, index: Index) -> Iterator[dict[str, Json]]:
        """``hash`` and ``order`` of all documents as they are now, by id."""
        rows = self.scan(index, ["id", "hash", "order"])
        while batch := list(islice(rows, _BATCH)):
            yield {row["id"]: row for row in batch}

    def put(
        self,
        alias: str,
        rows: Sequence[tuple[Document, list[EmbeddedPassage]]],
        known: dict[str, Json],
    ) -> None:
        """Writes documents; those that are known keep their place in the order."""
        came = time.time_ns()
        actions = []
        for number, (document, passages) in enumerate(rows):
            order = known.get(document.id, {}).get("order", came + number)
            record = record_of(document, passages, order)
            actions.append({"_index": alias, "_id": _key(document.id), "_source": record})
        self._cluster.write(actions, [document.id for document, _ in rows])

    def remove(self, alias: str, ids: Sequence[str]) -> int:
        """Takes documents out, and says how many were there."""
        actions = [
            {"_op_type": "delete", "_index": alias, "_id": _key(document_id)} for document_id in ids
        ]
        return self._cluster.write(actions, ids).count("deleted")

    def _sort_key(self, index: Index, query: Json | None, position: int) -> list[Any]:
        """What stands in the order at a position that is too deep for ``from``."""
        body: Json = {"query": query or {"match_all": {}}, "sort": IN_ORDER, "_source": False}
        key: list[Any] = []
        while position >= 0:
            size = min(position + 1, WINDOW)
            hits = self.search(index, {**body, "size": size})["hits"]["hits"]
            if not hits:
                break
            key = body["search_after"] = hits[-1]["sort"]
            position -= size
        return key


def _index_of(name: str, described: Json) -> Index:
    meta = described["mappings"]["_meta"]["ssang"]
    return Index(name, Identity(**meta["identity"]), meta["space"], meta["created"])


def _key(document_id: str) -> str:
    """A record's own id, which has no more than 512 bytes."""
    return hashlib.sha256(document_id.encode()).hexdigest()
