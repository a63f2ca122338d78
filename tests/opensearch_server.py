"""A server with as much of OpenSearch's REST interface as collections use, kept in memory.

It is written from OpenSearch's documentation, and shows what requests do if OpenSearch does as that
says; it is no proof that OpenSearch does. Documents are searched after a refresh only, ones of
another shape than the mapping are refused, and vectors are compared exactly.

with opensearch_server() as server:
    corpus = OpenSearchCorpus(server.url, embedder)
"""

import fnmatch
import gzip
import json
import math
import re
import ssl
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

Json = dict[str, Any]

_FLOOD = (
    "index [{}] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, "
    "index has read-only-allow-delete block];"
)
_BLOCKED = "index [{}] blocked by: [FORBIDDEN/8/index write (api)];"


class Refused(Exception):
    """An answer that is no success: status, type and reason."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.body = {
            "error": {"root_cause": [{"type": kind, "reason": reason}], "type": kind,
                      "reason": reason},
            "status": status,
        }  # fmt: skip


@dataclass
class StoredIndex:
    """An index: what it was made with, what was written, and what searches see of that."""

    body: Json
    aliases: set[str]
    blocked: bool = False
    records: dict[str, Json] = field(default_factory=dict)
    refreshed: dict[str, Json] = field(default_factory=dict)

    @property
    def properties(self) -> Json:
        found: Json = self.body["mappings"]["properties"]
        return found


@dataclass
class OpenSearchServer:
    """State of the cluster, for tests to look at and to disturb.

    Attributes:
        version: that it says it has; scores are those of it.
        indices: by name.
        requests: method, path, parameters and body of all requests.
        faults: statuses, each of one coming bulk request.
        refused: ids of documents that it takes for malformed.
        busy: how often each document is still refused as too much, by its id.
        creation_fault: status, type and reason with which new indices are refused.
        full: whether disks are past the flood stage.
        on_request: called before each request, with its method and path.
    """

    version: str = "2.19.0"
    distribution: str | None = "opensearch"
    url: str = ""
    indices: dict[str, StoredIndex] = field(default_factory=dict)
    requests: list[tuple[str, str, Json, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    busy: Counter[str] = field(default_factory=Counter)
    creation_fault: tuple[int, str, str] | None = None
    full: bool = False
    on_request: Callable[[str, str], object] = lambda method, path: None
    scrolls: dict[str, list[Json]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, method: str, path: str, parameters: Json, text: str) -> Json:
        parts = [unquote(part) for part in path.strip("/").split("/") if part]
        if path == "/_bulk":
            return self._bulk([json.loads(line) for line in text.splitlines()], parameters)
        body = json.loads(text) if text else {}
        if not parts:
            version = {"number": self.version, "distribution": self.distribution}
            return {"version": {key: one for key, one in version.items() if one}}
        if path == "/_search/scroll":
            return self._scroll(body["scroll_id"]) if method == "POST" else self._clear(body)
        if parts == ["_aliases"]:
            return self._update_aliases(body["actions"])
        return self._about(method, parts[0], parts[1:], body, parameters)

    def _about(self, method: str, name: str, rest: list[str], body: Json, parameters: Json) -> Json:
        """Answers what is asked about an index."""
        match rest:
            case ["_search"]:
                return self._search(name, body, parameters)
            case ["_mget"]:
                return self._mget(name, body["ids"], parameters["_source_includes"].split(","))
            case ["_count"]:
                return {"count": len(self._index(name).refreshed)}
            case ["_block", "write"]:
                self._index(name).blocked = True
            case ["_settings"]:
                self._index(name).blocked = bool(body["index.blocks.write"])
            case []:
                return self._about_index(method, name, body)
            case _:
                raise Refused(400, "illegal_argument_exception", f"no handler for {rest}")
        return {"acknowledged": True}

    # Indices

    def _about_index(self, method: str, name: str, body: Json) -> Json:
        if method == "GET":
            return self._describe(name)
        if method == "PUT":
            self._create(name, body)
        else:
            for one in name.split(","):
                self._index(one)
                del self.indices[one]
        return {"acknowledged": True}

    def _index(self, name: str) -> StoredIndex:
        for index, stored in self.indices.items():
            if name == index or name in stored.aliases:
                return stored
        raise Refused(404, "index_not_found_exception", f"no such index [{name}]")

    def _create(self, name: str, body: Json) -> None:
        assert re.fullmatch(r"[^-_+A-Z\\/*?\"<>| ,#:][^A-Z\\/*?\"<>| ,#:]*", name)
        if self.creation_fault:
            raise Refused(*self.creation_fault)
        if name in self.indices:
            reason = f"index [{name}] already exists"
            raise Refused(400, "resource_already_exists_exception", reason)
        vector = body["mappings"]["properties"]["passages"]["properties"]["vector"]
        self._space(vector["method"])
        self.indices[name] = StoredIndex(body, set(body.get("aliases", {})))

    def _describe(self, pattern: str) -> Json:
        return {
            name: {
                "aliases": {alias: {} for alias in stored.aliases},
                "mappings": stored.body["mappings"],
                "settings": stored.body["settings"],
            }
            for name, stored in self.indices.items()
            if any(fnmatch.fnmatchcase(one, pattern) for one in (name, *stored.aliases))
        }

    def _update_aliases(self, actions: list[Json]) -> Json:
        before = {name: set(stored.aliases) for name, stored in self.indices.items()}
        try:
            for action in actions:
                ((kind, asked),) = action.items()
                stored = self._index(asked["index"])
                if kind == "add":
                    stored.aliases.add(asked["alias"])
                elif kind == "remove_index":
                    del self.indices[asked["index"]], before[asked["index"]]
                elif asked["alias"] in stored.aliases:
                    stored.aliases.remove(asked["alias"])
                else:
                    raise Refused(404, "aliases_not_found_exception", "aliases missing")
        except Refused:
            # All or nothing; what removes an index stands last.
            for name, aliases in before.items():
                self.indices[name].aliases = aliases
            raise
        return {"acknowledged": True}

    # Writing

    def _bulk(self, lines: list[Json], parameters: Json) -> Json:
        if self.faults:
            raise Refused(self.faults.pop(0), "circuit_breaking_exception", "too much")
        items, touched = [], set()
        rest = iter(lines)
        for action in rest:
            ((kind, about),) = action.items()
            record = next(rest) if kind == "index" else None
            try:
                answer = self._write(kind, about, record, parameters)
                touched.add(about["_index"])
            except Refused as error:
                answer = {"status": error.status, "error": error.body["error"]}
            items.append({kind: {**about, **answer}})
        if parameters.get("refresh") in {"wait_for", "true"}:
            for name in touched:
                stored = self._index(name)
                stored.refreshed = dict(stored.records)
        return {"errors": any("error" in one for item in items for one in item.values()),
                "items": items}  # fmt: skip

    def _write(self, kind: str, about: Json, record: Json | None, parameters: Json) -> Json:
        alias, key = about["_index"], about["_id"]
        assert len(key.encode()) <= 512
        if parameters.get("require_alias") == "true" and not any(
            alias in stored.aliases for stored in self.indices.values()
        ):
            raise Refused(
                404,
                "index_not_found_exception",
                f"no such index [{alias}] and [require_alias] request flag is [true] and "
                f"[{alias}] is not an alias",
            )
        stored = self._index(alias)
        if stored.blocked:
            raise Refused(403, "cluster_block_exception", _BLOCKED.format(alias))
        if record is None:
            gone = stored.records.pop(key, None)
            return {"status": 200 if gone else 404, "result": "deleted" if gone else "not_found"}
        if self.full:
            raise Refused(429, "cluster_block_exception", _FLOOD.format(alias))
        if self.busy[record["id"]] > 0:
            self.busy[record["id"]] -= 1
            raise Refused(429, "rejected_execution_exception", "queue is full")
        if record["id"] in self.refused:
            reason = f"failed to parse, preview of field's value: {record['text']}"
            raise Refused(400, "mapper_parsing_exception", reason)
        _check(record, stored.properties)
        new = key not in stored.records
        stored.records[key] = record
        return {"status": 201 if new else 200, "result": "created" if new else "updated"}

    # Reading

    def _mget(self, name: str, keys: list[str], names: list[str]) -> Json:
        stored = self._index(name)
        return {
            "docs": [
                {"_id": key, "found": True, "_source": _source(stored, stored.records[key], names)}
                if key in stored.records
                else {"_id": key, "found": False}
                for key in keys
            ]
        }

    def _search(self, name: str, body: Json, parameters: Json) -> Json:
        stored = self._index(name)
        size, start = int(parameters.get("size") or body["size"]), body.get("from", 0)
        assert start + size <= stored.body["settings"]["index.max_result_window"]
        hits = self._hits(stored, body)
        total = len(hits)
        hits = [hit for hit in hits if hit.get("sort", []) >= body.get("search_after", [])]
        hits = [hit for hit in hits if hit.get("sort") != body.get("search_after", ())]
        if "scroll" in parameters:
            scroll = uuid.uuid4().hex
            self.scrolls[scroll] = [{"hits": hits[at : at + size]} for at in range(0, total, size)]
            return self._scroll(scroll)
        passages = sum(len(record["passages"]) for record in stored.refreshed.values())
        return {
            "hits": {"total": {"value": total}, "hits": hits[start : start + size]},
            "aggregations": {"passages": {"doc_count": passages}},
        }

    def _hits(self, stored: StoredIndex, body: Json) -> list[Json]:
        """All hits of a query, in order."""
        query = body.get("query", {"match_all": {}})
        order = [next(iter(one)) for one in body.get("sort", [])]
        hits = []
        for key, record in stored.refreshed.items():
            score, best = self._score(stored, query, record)
            if score is None:
                continue
            hit: Json = {"_id": key, "_score": score}
            if best is not None:
                hit["inner_hits"] = {"passages": {"hits": {"hits": [best]}}}
            if body.get("_source") is not False:
                hit["_source"] = _source(stored, record, body.get("_source"))
            if order:
                hit["sort"] = [record[one] for one in order]
            hits.append(hit)
        hits.sort(key=lambda hit: hit["sort"] if order else -hit["_score"])
        return hits[: _least_k(query)]

    def _clear(self, body: Json) -> Json:
        for scroll in body["scroll_id"]:
            self.scrolls.pop(scroll, None)
        return {"succeeded": True}

    def _scroll(self, scroll: str) -> Json:
        if scroll not in self.scrolls:
            raise Refused(404, "search_context_missing_exception", "no search context")
        pages = self.scrolls[scroll]
        return {"_scroll_id": scroll, "hits": pages.pop(0) if pages else {"hits": []},
                "_shards": {"successful": 1, "skipped": 0, "total": 1}}  # fmt: skip

    def _score(self, stored: StoredIndex, query: Json, record: Json) -> tuple[float | None, Any]:
        """A record's score, None where it is not found, with its best passage."""
        ((kind, asked),) = query.items()
        if kind != "nested" and not (kind == "bool" and "must" in asked):
            return (1.0 if _holds(query, record) else None), None
        if kind == "bool":
            if not all(_holds(one, record) for one in asked.get("filter", [])):
                return None, None
            (query,) = asked["must"]
            return self._score(stored, query, record)
        assert asked["score_mode"] == "max"
        scores = self._passage_scores(stored, asked["query"], record)
        if not scores:
            return None, None
        number, score = max(enumerate(scores), key=lambda one: one[1])
        if score <= 0:
            return None, None
        passage = record["passages"][number]
        names = [one.removeprefix("passages.") for one in asked["inner_hits"]["docvalue_fields"]]
        fields = {f"passages.{one}": [passage[one]] for one in names}
        return score, {"_score": score, "fields": fields}

    def _passage_scores(self, stored: StoredIndex, query: Json, record: Json) -> list[float]:
        ((kind, asked),) = query.items()
        if kind == "knn":
            asked = asked["passages.vector"]
            if "filter" in asked and not _holds(asked["filter"], record):
                return []
            method = stored.properties["passages"]["properties"]["vector"]["method"]
            vector = np.array(asked["vector"])
            return [
                _vector_score(float(vector @ np.array(passage["vector"])), self._space(method))
                for passage in record["passages"]
            ]
        assert kind == "bool"
        texts = [one["tokens"].split() for all_ in stored.refreshed.values()
                 for one in all_["passages"]]  # fmt: skip
        return [
            sum(_bm25(clause, passage["tokens"].split(), texts) for clause in asked["should"])
            for passage in record["passages"]
        ]

    def _space(self, method: Json) -> str:
        version = tuple(int(part) for part in self.version.split(".")[:2])
        engine, space = method["engine"], method["space_type"]
        supported = {
            "lucene": {"cosinesimil", "l2"} | ({"innerproduct"} if version >= (2, 13) else set()),
            "faiss": {"innerproduct", "l2"} | ({"cosinesimil"} if version >= (2, 19) else set()),
        }
        if space not in supported[engine]:
            raise Refused(400, "mapper_parsing_exception", f"{engine} has no {space}")
        return str(space)


def _vector_score(product: float, space: str) -> float:
    """By the formulas of the documentation, distances first, as it gives them."""
    if space == "cosinesimil":
        distance = 1 - product
        return (2 - distance) / 2
    distance = -product
    return 1 / (1 + distance) if distance >= 0 else -distance + 1


def _bm25(clause: Json, words: list[str], texts: list[list[str]]) -> float:
    """Lucene's BM25 with its defaults."""
    ((kind, asked),) = clause.items()
    (wanted,) = asked.values()

    def count(text: list[str]) -> int:
        if kind == "prefix":
            return sum(word.startswith(wanted["value"]) for word in text)
        return text.count(wanted)

    holding = sum(1 for text in texts if count(text))
    rarity = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
    length = len(words) / (sum(map(len, texts)) / len(texts))
    return rarity * count(words) / (count(words) + 1.2 * (0.25 + 0.75 * length))


def _least_k(query: Json) -> int | None:
    """How many a k-NN query finds at most in one shard."""
    asked = query.get("nested", {}).get("query", {}).get("knn")
    if asked is None:
        return None
    k: int = asked["passages.vector"]["k"]
    assert 1 <= k <= 10_000
    return k


def _holds(query: Json, record: Json) -> bool:
    ((kind, asked),) = query.items()
    if kind == "match_all":
        return True
    if kind == "bool":
        assert asked.keys() == {"filter"}
        return all(_holds(one, record) for one in asked["filter"])
    ((name, wanted),) = asked.items()
    values = record[name] if isinstance(record[name], list) else [record[name]]
    if kind == "term":
        return wanted in values
    if kind == "terms":
        return any(value in wanted for value in values)
    assert kind == "range"
    return any(_within(value.encode(), wanted) for value in values)


def _within(value: bytes, bounds: Json) -> bool:
    """Keywords are in the order of their UTF-8."""
    compare: dict[str, Callable[[bytes], bool]] = {
        "gt": lambda bound: value > bound,
        "gte": lambda bound: value >= bound,
        "lt": lambda bound: value < bound,
        "lte": lambda bound: value <= bound,
    }
    return all(compare[operator](bound.encode()) for operator, bound in bounds.items())


def _check(record: Json, properties: Json) -> None:
    """Refuses what the mapping does not have, and vectors of another length."""
    unknown = record.keys() - properties.keys()
    if unknown:
        raise Refused(400, "strict_dynamic_mapping_exception", f"not allowed: {unknown}")
    nested = properties["passages"]["properties"]
    for passage in record["passages"]:
        _check_passage(passage, nested)
    for name in ("texts", "numbers", "id"):
        words = record[name] if isinstance(record[name], list) else [record[name]]
        if any(len(word.encode()) > 32_766 for word in words):
            raise Refused(400, "mapper_parsing_exception", f"immense term in {name}")


def _check_passage(passage: Json, properties: Json) -> None:
    if passage.keys() - properties.keys():
        raise Refused(400, "strict_dynamic_mapping_exception", "not allowed in passages")
    if len(passage["vector"]) != properties["vector"]["dimension"]:
        raise Refused(400, "mapper_parsing_exception", "vector dimension mismatch")


def _source(stored: StoredIndex, record: Json, names: list[str] | None) -> Json:
    """The record without what the mapping leaves out, and what was not asked for."""
    left_out = stored.body["mappings"]["_source"]["excludes"]
    cut = {
        **record,
        "passages": [
            {name: one[name] for name in one if f"passages.{name}" not in left_out}
            for one in record["passages"]
        ],
    }
    return {name: value for name, value in cut.items() if names is None or name in names}


@contextmanager
def opensearch_server(
    version: str = "2.19.0",
    distribution: str | None = "opensearch",
    tls: ssl.SSLContext | None = None,
) -> Iterator[OpenSearchServer]:
    """A running server on a free port of this machine."""
    state = OpenSearchServer(version, distribution)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_all(self) -> None:
            data = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.headers.get("content-encoding") == "gzip":
                data = gzip.decompress(data)
            url = urlsplit(self.path)
            parameters = dict(parse_qsl(url.query))
            text = data.decode()
            state.on_request(self.command, url.path)
            with state.lock:
                state.headers.append({name.lower(): one for name, one in self.headers.items()})
                state.requests.append((self.command, url.path, parameters, text))
                try:
                    status, answer = 200, state.answer(self.command, url.path, parameters, text)
                except Refused as error:
                    status, answer = error.status, error.body
                body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json; charset=UTF-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_all  # noqa: N815

        def handle(self) -> None:
            # Whoever distrusts the certificate hangs up.
            with suppress(ssl.SSLError):
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Tests look at ``requests``."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        # Connections are kept open by clients that are closed later.
        block_on_close = False

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    state.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
