"""Collections of documents: put in, found by meaning and by words."""

import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from typing import Any

from flask import Response, request
from flask.blueprints import BlueprintSetupState
from flask_openapi import Tag
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.routing import PathConverter

from inference import metrics
from inference.corpus.base import (
    Added,
    Collection,
    CollectionInfo,
    Document,
    Filter,
    Query,
    make_document,
)
from inference.corpus.indexing import Batch, Totals, index_documents
from inference.corpus.loaders import DocumentSource, open_documents
from inference.embedder import EngineEmbedder
from inference.errors import InvalidInput, NotFound
from webapp import stream
from webapp.authentication import refuse_foreign_form
from webapp.blueprint import ApiBlueprint
from webapp.collection_schema import (
    AddedReply,
    CollectionPath,
    CollectionReply,
    CollectionsReply,
    DocumentFileForm,
    DocumentFileLine,
    DocumentPath,
    DocumentReply,
    DocumentsQuery,
    DocumentsReply,
    DocumentsRequest,
    SearchReply,
    SearchRequest,
)
from webapp.errors import error_body
from webapp.hit import hit_record
from webapp.observation import note, notes
from webapp.parsing import inline_schema, parse_json, read_body
from webapp.reply import JSON, json_reply
from webapp.schema import ErrorReply
from webapp.service import current_corpus, current_engine, current_service
from webapp.stream import json_line

FORM = "multipart/form-data"

_ERRORS: dict[Any, Any] = dict.fromkeys(
    (400, 401, 404, 409, 413, 415, 422, 429, 500, 503, 504, 507), ErrorReply
)

_DOCUMENTS: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {"schema": inline_schema(DocumentsRequest)},
        FORM: {"schema": inline_schema(DocumentFileForm)},
    },
}

_ADDED: dict[Any, Any] = {
    200: {
        "description": "What became of the documents; of those of a file line by line, while they "
        "are put in.",
        "content": {
            JSON: {"schema": AddedReply.model_json_schema()},
            stream.NDJSON: {"schema": DocumentFileLine.model_json_schema()},
        },
    },
}

collections = ApiBlueprint(
    "collections",
    __name__,
    url_prefix="/api/collections",
    abp_tags=[Tag(name="collections", description="Put documents in, and find them")],
    abp_responses=_ERRORS,
)


class _IdConverter(PathConverter):
    """An id with slashes anywhere; ``path`` would redirect from a first one to another id."""

    regex = ".+?"
    part_isolating = False


@collections.record_once
def register_converter(state: BlueprintSetupState) -> None:
    """Before the routes that need it."""
    state.app.url_map.converters["id"] = _IdConverter


@collections.get("", summary="List the collections", responses={200: CollectionsReply})
def list_collections() -> Response:
    """All collections by name."""
    infos = current_corpus().list_collections()
    return json_reply({"collections": [_info(info) for info in infos]})


@collections.put(
    "/<name>",
    summary="Make a collection",
    responses={200: CollectionReply, 201: CollectionReply},
)
def create_collection(path: CollectionPath) -> Response:
    """The collection of that name, which is new (201) or was there (200)."""
    collection, new = current_corpus().create(path.name)
    return json_reply(_info(collection.info()), 201 if new else 200)


@collections.get("/<name>", summary="Describe a collection", responses={200: CollectionReply})
def show_collection(path: CollectionPath) -> Response:
    """What a collection holds, and whether the loaded model can search it."""
    return json_reply(_info(current_corpus().open(path.name).info()))


@collections.delete("/<name>", summary="Delete a collection", responses={204: None})
def delete_collection(path: CollectionPath) -> Response:
    """Deletes a collection with everything in it."""
    current_corpus().delete(path.name)
    return Response(status=204)


@collections.get("/<name>/documents", summary="List documents", responses={200: DocumentsReply})
def list_documents(path: CollectionPath, query: DocumentsQuery) -> Response:
    """Documents in the order in which they came."""
    where = _read_filter(query.filter)
    collection = current_corpus().open(path.name)
    page = collection.list_documents(offset=query.offset, limit=query.limit, where=where)
    documents = [_document(document) for document in page.documents]
    return json_reply({"documents": documents, "total": page.total})


@collections.post(
    "/<name>/documents", summary="Put documents in", request_body=_DOCUMENTS, responses=_ADDED
)
def add_documents(path: CollectionPath) -> Response:
    """Documents as JSON, all or none, or those of a file, whose bad rows are told and left out.

    A document that is there already is left alone; one with a known id and another content takes
    its place. What the answer tells is stored for good.
    """
    if request.mimetype == FORM:
        return _add_file(path.name)
    if not request.is_json:
        raise UnsupportedMediaType(f"Send documents as {JSON}, or a file as {FORM}.")
    body = read_body(DocumentsRequest, request.get_json())
    documents = [
        make_document(
            document.text,
            title=document.title,
            metadata=document.metadata,
            document_id=document.id,
            item=f"documents[{index}]",
        )
        for index, document in enumerate(body.documents)
    ]
    added = current_corpus().open(path.name).add(documents)
    counts = _observe_added(added)
    note(texts=len(documents), **counts)
    return json_reply(vars(added))


@collections.get(
    "/<name>/documents/<id:id>", summary="Show a document", responses={200: DocumentReply}
)
def show_document(path: DocumentPath) -> Response:
    """A document by its id."""
    return json_reply(_document(current_corpus().open(path.name).get(path.id)))


@collections.delete(
    "/<name>/documents/<id:id>", summary="Take a document out", responses={204: None}
)
def remove_document(path: DocumentPath) -> Response:
    """Takes a document out."""
    removed = current_corpus().open(path.name).remove([path.id])
    if not removed:
        raise NotFound("There is no document of this id in the collection.", item="id")
    metrics.COLLECTION_DOCUMENTS.labels("removed").inc(removed)
    return Response(status=204)


@collections.post("/<name>/search", summary="Search", responses={200: SearchReply})
def search(path: CollectionPath, body: SearchRequest) -> Response:
    """The documents nearest to a query by meaning, by words, or by both."""
    query = Query(
        body.query,
        top_k=body.top_k,
        offset=body.offset,
        filter=body.filter,
        min_score=body.min_score,
        mode=body.mode,
    )
    found = current_corpus().open(path.name).search(query)
    timing = {name: round(value, 3) for name, value in found.timing_ms.items()}
    metrics.SEARCH_SECONDS.labels(found.mode).observe(found.timing_ms["search"] / 1000)
    note(texts=1, mode=found.mode, hits=len(found.hits), search_ms=timing["search"])
    model = current_engine().model
    hits = [hit_record(hit, model.thresholds) for hit in found.hits]
    return json_reply({"model": model.name, "mode": found.mode, "hits": hits, "timing_ms": timing})


def _info(info: CollectionInfo) -> dict[str, Any]:
    described = asdict(info)
    del described["identity"]
    made_by, loaded = info.identity, EngineEmbedder(current_engine()).identity
    return {
        **described,
        "model": made_by.model if made_by else None,
        "dimension": made_by.dimension if made_by else None,
        "searchable": made_by is None or made_by.matches(loaded),
    }


def _document(document: Document) -> dict[str, Any]:
    return vars(document)


def _read_filter(text: str) -> Filter | None:
    if not text:
        return None
    value = parse_json(text.encode(), what="filter")
    if not isinstance(value, dict):
        raise InvalidInput(
            'The filter must be a JSON object, such as {"type": "카드"}.', item="filter"
        )
    return value


def _observe_added(added: Added) -> dict[str, int]:
    counts = {name: len(ids) for name, ids in vars(added).items()}
    for outcome, count in counts.items():
        metrics.COLLECTION_DOCUMENTS.labels(outcome).inc(count)
    return counts


# Files


def _add_file(name: str) -> Response:
    # Any page may make a browser send a form, even one that may not read the answer.
    refuse_foreign_form(request, current_service().settings)
    stream.hold_place()
    form = read_body(DocumentFileForm, {**request.form.to_dict(), **request.files.to_dict()})
    collection = current_corpus().open(name)
    # Vectors of another model are refused while there is a status to say so.
    collection.add([])
    with stream.taken_over(form.file) as upload:
        source = open_documents(
            upload,
            name=form.file.filename or "",
            file_format=None if form.format == "auto" else form.format,
            encoding=None if form.encoding == "auto" else form.encoding,
            title_column=form.title_column,
            text_column=form.text_column,
            id_column=form.id_column,
        )
    return stream.lines_reply(_Lines(collection, source, notes()), upload)


@dataclass
class _Lines:
    """The lines of one answer, those of a batch at a time."""

    collection: Collection
    source: DocumentSource
    notes: dict[str, Any]
    totals: Totals = field(default_factory=Totals)

    def pieces(self) -> Generator[bytes]:
        began = time.perf_counter()
        yield json_line({"start": self._start()})
        for batch in index_documents(self.collection, self.source):
            self.totals.add(batch)
            _observe_added(batch.added)
            yield self._faults(batch) + json_line({"progress": vars(self.totals)})
        seconds = round(time.perf_counter() - began, 3)
        yield json_line({"summary": {**vars(self.totals), "seconds": seconds}})

    def heartbeat(self) -> bytes:
        return json_line({"heartbeat": {"rows": self.totals.rows}})

    def observe(self, outcome: str) -> None:
        self.notes.update(**vars(self.totals), outcome=outcome)

    def _start(self) -> dict[str, Any]:
        source = self.source
        return {
            "format": source.format,
            "encoding": source.encoding,
            "columns": source.columns,
            "title_column": source.title_column,
            "text_column": source.text_column,
        }

    def _faults(self, batch: Batch) -> bytes:
        return b"".join(
            json_line(
                {"fault": {"row": fault.row, "error": error_body(InvalidInput(fault.message))}}
            )
            for fault in batch.faults
        )
