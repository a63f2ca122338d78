"""Cohere's rerank by a bi-encoder, for every route that answers it."""

import time
import uuid
from typing import Any

from flask import Response

from inference.engine import Engine
from inference.errors import InvalidInput
from inference.pipeline import ReadOptions
from inference.result import RankedDocument
from webapp.errors import use_contract
from webapp.observation import note_reading
from webapp.reply import json_rows_reply, with_truncated
from webapp.service import current_service
from webapp.wire.cohere import CohereRerankRequest


def answer_cohere_rerank(body: CohereRerankRequest) -> Response:
    """Documents by falling cosine similarity with the query, as Cohere answers.

    Errors take Cohere's shape from here on; a route of another contract that finds out that a body
    is Cohere's calls ``use_contract("cohere")`` before it validates the body.

    Raises:
        InvalidInput: an empty text, or a ``max_tokens_per_doc`` below what the model can read.
        NotFound: another model's name, where names are strict.
    """
    use_contract("cohere")
    service = current_service()
    service.check_model_name(body.model)
    engine = service.engine
    # Every document is asked for, so that those that were cut can be counted.
    ranking = engine.rank(
        body.query, [document.text for document in body.documents], options=_options(body, engine)
    )
    note_reading(ranking, texts=1 + len(body.documents))
    best = ranking.results[: body.top_n]
    response = json_rows_reply(
        {
            "object": "rerank",
            "id": f"rerank-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": engine.model.name,
            "usage": {"total_tokens": ranking.tokens},
            "meta": {"tokens": {"input_tokens": ranking.tokens}},
        },
        "results",
        len(best),
        lambda start, stop: [_result(ranked, body) for ranked in best[start:stop]],
    )
    cut = sum(ranked.truncated for ranked in ranking.results)
    return with_truncated(response, ranking.query_truncated + cut)


def _options(body: CohereRerankRequest, engine: Engine) -> ReadOptions:
    if body.max_tokens_per_doc is None:
        return ReadOptions()
    options = ReadOptions(max_length=min(body.max_tokens_per_doc, engine.info().max_length))
    try:
        engine.check_options(options)
    except InvalidInput:
        raise InvalidInput(
            f"max_tokens_per_doc is {body.max_tokens_per_doc}, too few for this model's special "
            "tokens and a text: raise it, or leave it out.",
            item="max_tokens_per_doc",
        ) from None
    return options


def _result(ranked: RankedDocument, body: CohereRerankRequest) -> dict[str, Any]:
    result = {"index": ranked.index, "relevance_score": ranked.score}
    if body.return_documents:
        result["document"] = body.documents[ranked.index].model_dump()
    return result
