"""How a collection lies in an OpenSearch index, and the queries that find it there.

A document is one record, and its passages are nested in it: OpenSearch writes a record whole or not
at all, so that nothing is ever torn, and finds each document once, by its best passage.
https://docs.opensearch.org/latest/vector-search/specialized-operations/nested-search-knn/

Metadata lies in two lists of words, ``4:type=인증서`` and numbers that sort as words, so that any
number of keys makes no fields of their own, of which an index may have a thousand, and a key may
hold texts here and numbers there.
"""

import struct
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from inference.corpus.base import (
    Document,
    EmbeddedPassage,
    Identity,
    PassagePlace,
)
from inference.corpus.filters import (
    AnyOf,
    Condition,
    NumberRange,
    Operator,
    TextRange,
    metadata_values,
)
from inference.corpus.keywords import query_tokens, tokens
from inference.similarity import Vectors

Space = Literal["innerproduct", "cosinesimil"]
Json = dict[str, Any]

# The most that a search may pass over and give: base.MAX_OFFSET and base.MAX_TOP_K together.
WINDOW = 11_000
# https://docs.opensearch.org/latest/query-dsl/specialized/k-nn/
MAX_K = 10_000
# HNSW finds more of the nearest where it looks for more of them.
_LEAST_K = 100

# What makes a document, without vectors and tokens.
STORED = ["id", "title", "text", "metadata"]
IN_ORDER: list[Json] = [{"order": "asc"}, {"id": "asc"}]

_PASSAGES = "passages"
# Every record has it; see `filter_query`.
_ANCHOR: Json = {"term": {"kind": "document"}}


def space_for(engine: str, version: tuple[int, int]) -> Space:
    """What vectors are compared by: the inner product, which Lucene has from 2.13 on.

    https://docs.opensearch.org/latest/mappings/supported-field-types/knn-spaces/
    """
    return "innerproduct" if engine == "faiss" or version >= (2, 13) else "cosinesimil"


def cosine_of(score: float, space: Space) -> float:
    """The cosine of two unit vectors, of the score that OpenSearch makes of it.

    An inner product p scores p + 1, or 1 / (1 - p) where it is negative, with both engines in all
    versions. A cosine c scores (1 + c) / 2 with Lucene in all versions; before 2.19 nmslib and
    Faiss had other formulas, which do not occur here.
    https://docs.opensearch.org/latest/mappings/supported-field-types/knn-spaces/
    https://github.com/opensearch-project/documentation-website/pull/9078

    >>> cosine_of(1.5, "innerproduct"), cosine_of(0.5, "innerproduct")
    (0.5, -1.0)
    """
    if space == "innerproduct":
        # As a cosine would be scored.
        score = score / 2 if score >= 1 else 1 - 1 / (2 * score)
    # Scores have the precision of float32.
    return min(1.0, max(-1.0, 2 * score - 1))


def index_body(
    identity: Identity, engine: str, version: tuple[int, int], created: float, aliases: list[str]
) -> Json:
    """Settings, mapping and aliases of a new index.

    Args:
        identity: of the vectors that it is for, kept in its mapping as ``_meta``.
        engine: that finds them.
        version: of the cluster.
        created: when the collection was made, in Unix seconds, kept likewise.
        aliases: other names of the index.
    """
    space = space_for(engine, version)
    settings: Json = {
        "index.knn": True,
        "index.max_result_window": WINDOW,
        # A document may be a book.
        "index.mapping.nested_objects.limit": 100_000,
    }
    if version >= (3, 0):
        # It would answer vectors out of the index again, which are left out of records below, and
        # the two together have spoiled inner hits.
        # https://github.com/opensearch-project/k-NN/issues/3303
        settings["index.knn.derived_source.enabled"] = False
    word = {"type": "keyword"}
    only_found = {"type": "keyword", "doc_values": False}
    only_kept = {"type": "keyword", "index": False, "doc_values": False}
    vector = {
        "type": "knn_vector",
        "dimension": identity.dimension,
        "method": {"name": "hnsw", "engine": engine, "space_type": space},
    }
    passage = {
        "field": word,
        "start": {"type": "integer"},
        "end": {"type": "integer"},
        "tokens": {"type": "text", "analyzer": "whitespace"},
        "vector": vector,
    }
    properties = {
        "kind": only_found,
        "id": word,
        "order": {"type": "long"},
        "hash": only_kept,
        "title": {"type": "text", "index": False},
        "text": {"type": "text", "index": False},
        "metadata": {"type": "object", "enabled": False},
        "texts": only_found,
        "numbers": only_found,
        _PASSAGES: {"type": "nested", "dynamic": "strict", "properties": passage},
    }
    return {
        "settings": settings,
        "mappings": {
            "dynamic": "strict",
            "_meta": {"ssang": {"identity": asdict(identity), "space": space, "created": created}},
            # Searches read these from their indices; twice kept, they are most of the disk.
            "_source": {"excludes": [f"{_PASSAGES}.vector", f"{_PASSAGES}.tokens"]},
            "properties": properties,
        },
        "aliases": {alias: {} for alias in aliases},
    }


def record_of(document: Document, passages: Sequence[EmbeddedPassage], order: int) -> Json:
    """What is indexed of a document."""
    values = list(metadata_values(document.metadata))
    return {
        "kind": "document",
        "id": document.id,
        "order": order,
        "hash": document.content_hash,
        "title": document.title,
        "text": document.text,
        "metadata": document.metadata,
        "texts": [_keyed(value.key) + value.text for value in values],
        "numbers": [
            _keyed(value.key) + sortable(value.number)
            for value in values
            if value.number is not None
        ],
        _PASSAGES: [_passage_record(document, passage) for passage in passages],
    }


def document_of(source: Json) -> Document:
    """The document of a record."""
    return Document(source["id"], source["text"], source["title"], source["metadata"])


def sortable(number: float) -> str:
    """A number as a word; words are in the order of their numbers.

    Positive floats are in the order of their bits, negative ones in the opposite.

    >>> sorted([3.5, -2.0, 0.0, -10.0, 1e300], key=sortable)
    [-10.0, -2.0, 0.0, 3.5, 1e+300]
    """
    # Adding zero takes the sign off -0.0.
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    flipped = bits ^ (2**64 - 1) if bits >> 63 else bits | 1 << 63
    return f"{flipped:016x}"


def filter_query(conditions: Sequence[Condition]) -> Json | None:
    """What records must be, as a query on them and not on their passages; None if anything.

    Inside a k-NN query OpenSearch guesses which of the two a filter means. A clause that only a
    record can fulfil keeps it from taking ranges for conditions on passages, which find nothing.
    https://github.com/opensearch-project/k-NN/issues/2222
    """
    if not conditions:
        return None
    return _all_of([_ANCHOR, *(_condition_query(condition) for condition in conditions)])


def ids_query(ids: Sequence[str]) -> Json:
    """The records of some documents."""
    return _all_of([_ANCHOR, {"terms": {"id": list(ids)}}])


def vector_query(vector: Vectors, among: Json | None, k: int) -> Json:
    """Records near a vector, of those that ``among`` finds, scored by their best passage."""
    near: Json = {"vector": vector, "k": min(max(k, _LEAST_K), MAX_K)}
    if among is not None:
        near["filter"] = among
    return _best_passage_query({"knn": {f"{_PASSAGES}.vector": near}})


def keyword_query(text: str, among: Json | None) -> Json | None:
    """Records with any token of a query, scored by BM25 of their best passage; None without any."""
    name = f"{_PASSAGES}.tokens"
    wanted: list[Json] = [
        # Scored as if the tokens that begin so were one.
        {"prefix": {name: {"value": token, "rewrite": "top_terms_blended_freqs_100"}}}
        if begins
        else {"term": {name: token}}
        for token, begins in query_tokens(text)
    ]
    if not wanted:
        return None
    found = _best_passage_query({"bool": {"should": wanted}})
    return found if among is None else {"bool": {"must": [found], "filter": [among]}}


def passage_of(hit: Json) -> PassagePlace:
    """Where the best passage of a hit is."""
    (best,) = hit["inner_hits"][_PASSAGES]["hits"]["hits"]
    values = {name: best["fields"][f"{_PASSAGES}.{name}"][0] for name in ("field", "start", "end")}
    return PassagePlace(**values)


def count_passages() -> Json:
    """An aggregation ``passages`` whose ``doc_count`` is the number of all passages."""
    return {_PASSAGES: {"nested": {"path": _PASSAGES}}}


def _passage_record(document: Document, passage: EmbeddedPassage) -> Json:
    text = document.part(passage.field, passage.start, passage.end)
    return {
        "field": passage.field,
        "start": passage.start,
        "end": passage.end,
        "tokens": " ".join(tokens(text)),
        "vector": passage.vector,
    }


def _best_passage_query(query: Json) -> Json:
    place = [f"{_PASSAGES}.{name}" for name in ("field", "start", "end")]
    best = {"size": 1, "_source": False, "docvalue_fields": place}
    return {"nested": {"path": _PASSAGES, "query": query, "score_mode": "max", "inner_hits": best}}


def _condition_query(condition: Condition) -> Json:
    key = _keyed(condition.key)
    match condition:
        case AnyOf(texts=texts):
            return {"terms": {"texts": [key + text for text in texts]}}
        case NumberRange(bounds=bounds):
            numbers = [(operator, sortable(bound)) for operator, bound in bounds]
            return _range_query("numbers", condition.key, numbers)
        case TextRange(bounds=bounds):
            return _range_query("texts", condition.key, bounds)


def _range_query(name: str, key: str, bounds: Sequence[tuple[Operator, str]]) -> Json:
    """A range of words, which never leaves the words of its key."""
    within: dict[str, str] = {operator: _keyed(key) + bound for operator, bound in bounds}
    if not within.keys() & {"gt", "gte"}:
        within["gte"] = _keyed(key)
    if not within.keys() & {"lt", "lte"}:
        # The sign behind the one that ends a key.
        within["lt"] = _keyed(key)[:-1] + ">"
    return _all_of([_ANCHOR, {"range": {name: within}}])


def _keyed(key: str) -> str:
    """What the words of a key begin with; no other key's words do."""
    return f"{len(key)}:{key}="


def _all_of(queries: list[Json]) -> Json:
    return {"bool": {"filter": queries}}
