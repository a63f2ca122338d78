"""ssang's own JSON API."""

from typing import Any

from flask import Response, current_app
from flask_openapi import Tag

from inference.pipeline import ReadOptions
from inference.result import Result
from webapp.blueprint import ApiBlueprint
from webapp.observation import Notes, reading
from webapp.reply import Reply, base64_vector, json_reply, json_rows
from webapp.schema import (
    EmbedReply,
    EmbedRequest,
    ErrorReply,
    InfoReply,
    MatrixReply,
    MatrixRequest,
    PairsReply,
    PairsRequest,
    RankReply,
    RankRequest,
)
from webapp.service import Service, current_service
from webapp.shortcut import json_answer, respond

_ERRORS: dict[Any, Any] = dict.fromkeys((400, 401, 413, 415, 422, 429, 500, 503, 504), ErrorReply)

api = ApiBlueprint(
    "api",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="ssang", description="Compare, rank and embed Korean texts")],
    abp_responses=_ERRORS,
)


@api.post("/pairs", summary="Score pairs of texts", responses={200: PairsReply})
def score_pairs(body: PairsRequest) -> Response:
    """Cosine similarity and grade of each query with its own document."""
    return respond(_score_pairs, body)


@api.post("/matrix", summary="Score queries against documents", responses={200: MatrixReply})
def score_matrix(body: MatrixRequest) -> Response:
    """Cosine similarity of every query with every document."""
    return respond(_score_matrix, body)


@api.post("/rank", summary="Rank documents for a query", responses={200: RankReply})
def rank(body: RankRequest) -> Response:
    """Documents by falling cosine similarity with the query."""
    return respond(_rank, body)


@api.post("/embed", summary="Embed texts", responses={200: EmbedReply})
def embed(body: EmbedRequest) -> Response:
    """Unit vectors of texts: their dot product is the cosine similarity."""
    return respond(_embed, body)


@api.get("/info", summary="Describe the model and the limits", responses={200: InfoReply})
def info() -> Response:
    """The loaded model, its thresholds, and the limits of the service."""
    service = current_service()
    described = vars(service.engine.info()).copy()
    settings = service.settings
    limits = {
        "max_body_bytes": settings.max_body_bytes,
        "max_inflight_bytes": settings.max_inflight_bytes,
        "max_answer_values": settings.max_answer_values,
        "max_waiting_tokens": settings.max_waiting_tokens,
        "max_batch_tokens": described.pop("max_batch_tokens"),
        "deadline_s": settings.deadline_s,
    }
    return json_reply({**described, "limits": limits, "version": current_app.config["VERSION"]})


def _score_pairs(service: Service, body: PairsRequest, notes: Notes) -> Reply:
    pairs = [(pair.query, pair.document) for pair in body.pairs]
    scored = service.engine.score_pairs(pairs, options=_options(body))
    shared = _shared(service, scored, notes, texts=2 * len(pairs))
    rows = scored.pairs
    return Reply(json_rows(shared, "pairs", len(rows), lambda start, stop: rows[start:stop]))


def _score_matrix(service: Service, body: MatrixRequest, notes: Notes) -> Reply:
    matrix = service.engine.score_matrix(body.queries, body.documents, options=_options(body))
    shared = {
        **_shared(service, matrix, notes, texts=len(body.queries) + len(body.documents)),
        "query_tokens": matrix.queries.lengths,
        "document_tokens": matrix.documents.lengths,
        "query_truncated": matrix.queries.truncated,
        "document_truncated": matrix.documents.truncated,
    }
    rows = matrix.scores
    return Reply(json_rows(shared, "scores", len(rows), lambda start, stop: rows[start:stop]))


def _rank(service: Service, body: RankRequest, notes: Notes) -> Reply:
    ranking = service.engine.rank(body.query, body.documents, k=body.top_k, options=_options(body))
    shared = {
        **_shared(service, ranking, notes, texts=1 + len(body.documents)),
        "query_tokens": ranking.query_tokens,
        "query_truncated": ranking.query_truncated,
    }
    rows = ranking.results
    return Reply(json_rows(shared, "results", len(rows), lambda start, stop: rows[start:stop]))


def _embed(service: Service, body: EmbedRequest, notes: Notes) -> Reply:
    embeddings = service.engine.embed(
        body.texts, kind=body.kind, dimensions=body.dimensions, options=_options(body)
    )
    vectors = embeddings.vectors
    shared = {
        **_shared(service, embeddings, notes, texts=len(body.texts)),
        "dimensions": vectors.shape[1],
        "encoding": body.encoding,
        "truncated": embeddings.truncated,
        "passages": embeddings.passages,
    }

    def rows(start: int, stop: int) -> Any:
        part = vectors[start:stop]
        return part if body.encoding == "float" else [base64_vector(vector) for vector in part]

    return Reply(json_rows(shared, "embeddings", len(vectors), rows))


def _options(body: PairsRequest | MatrixRequest | RankRequest | EmbedRequest) -> ReadOptions:
    long = body.long if isinstance(body, RankRequest | EmbedRequest) else "truncate"
    return ReadOptions(max_length=body.max_length, truncate=body.truncate, long=long)


def _shared(service: Service, result: Result, notes: Notes, *, texts: int) -> dict[str, Any]:
    """What every reply tells; the log line gets it too."""
    notes.update(reading(result, texts=texts))
    return {
        "model": service.engine.model.name,
        "usage": {"tokens": result.tokens},
        "timing_ms": result.timing.as_dict(),
    }


shortcuts = {
    "/api/pairs": json_answer(PairsRequest, _score_pairs),
    "/api/matrix": json_answer(MatrixRequest, _score_matrix),
    "/api/rank": json_answer(RankRequest, _rank),
    "/api/embed": json_answer(EmbedRequest, _embed),
}
"""The same for :class:`webapp.shortcut.Shortcut`."""
