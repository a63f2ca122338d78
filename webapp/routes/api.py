"""ssang's own JSON API."""

from typing import Any

from flask import Response, current_app
from flask_openapi import APIBlueprint, Tag

from inference.pipeline import ReadOptions
from inference.result import Result
from webapp.observation import note_reading
from webapp.reply import base64_vector, json_reply, json_rows_reply
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
from webapp.service import current_engine, current_service

_ERRORS: dict[Any, Any] = dict.fromkeys((400, 401, 413, 415, 422, 429, 500, 503, 504), ErrorReply)

api = APIBlueprint(
    "api",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="ssang", description="Compare, rank and embed Korean texts")],
    abp_responses=_ERRORS,
)


@api.post("/pairs", summary="Score pairs of texts", responses={200: PairsReply})
def score_pairs(body: PairsRequest) -> Response:
    """Cosine similarity and grade of each query with its own document."""
    pairs = [(pair.query, pair.document) for pair in body.pairs]
    scored = current_engine().score_pairs(pairs, options=_options(body))
    shared = _shared(scored, texts=2 * len(pairs))
    return json_rows_reply(
        shared,
        "pairs",
        len(scored.pairs),
        lambda start, stop: scored.pairs[start:stop],
    )


@api.post("/matrix", summary="Score queries against documents", responses={200: MatrixReply})
def score_matrix(body: MatrixRequest) -> Response:
    """Cosine similarity of every query with every document."""
    matrix = current_engine().score_matrix(body.queries, body.documents, options=_options(body))
    shared = {
        **_shared(matrix, texts=len(body.queries) + len(body.documents)),
        "query_tokens": matrix.queries.lengths,
        "document_tokens": matrix.documents.lengths,
        "query_truncated": matrix.queries.truncated,
        "document_truncated": matrix.documents.truncated,
    }
    rows = len(matrix.scores)
    return json_rows_reply(shared, "scores", rows, lambda start, stop: matrix.scores[start:stop])


@api.post("/rank", summary="Rank documents for a query", responses={200: RankReply})
def rank(body: RankRequest) -> Response:
    """Documents by falling cosine similarity with the query."""
    ranking = current_engine().rank(
        body.query, body.documents, k=body.top_k, options=_options(body)
    )
    shared = {
        **_shared(ranking, texts=1 + len(body.documents)),
        "query_tokens": ranking.query_tokens,
        "query_truncated": ranking.query_truncated,
    }
    return json_rows_reply(
        shared,
        "results",
        len(ranking.results),
        lambda start, stop: ranking.results[start:stop],
    )


@api.post("/embed", summary="Embed texts", responses={200: EmbedReply})
def embed(body: EmbedRequest) -> Response:
    """Unit vectors of texts: their dot product is the cosine similarity."""
    embeddings = current_engine().embed(
        body.texts, kind=body.kind, dimensions=body.dimensions, options=_options(body)
    )
    vectors = embeddings.vectors
    shared = {
        **_shared(embeddings, texts=len(body.texts)),
        "dimensions": vectors.shape[1],
        "encoding": body.encoding,
        "truncated": embeddings.truncated,
        "passages": embeddings.passages,
    }
    return json_rows_reply(
        shared,
        "embeddings",
        len(vectors),
        lambda start, stop: (
            vectors[start:stop]
            if body.encoding == "float"
            else [base64_vector(row) for row in vectors[start:stop]]
        ),
    )


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


def _options(body: PairsRequest | MatrixRequest | RankRequest | EmbedRequest) -> ReadOptions:
    long = body.long if isinstance(body, RankRequest | EmbedRequest) else "truncate"
    return ReadOptions(max_length=body.max_length, truncate=body.truncate, long=long)


def _shared(result: Result, *, texts: int) -> dict[str, Any]:
    """What every reply tells; the log line gets it too."""
    note_reading(result, texts=texts)
    return {
        "model": current_engine().model.name,
        "usage": {"tokens": result.tokens},
        "timing_ms": result.timing.as_dict(),
    }
