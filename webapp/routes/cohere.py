"""Cohere's rerank."""

from typing import Any

from flask import Response
from flask_openapi import Tag

from webapp.blueprint import ApiBlueprint
from webapp.rerank import answer_cohere_rerank
from webapp.wire.cohere import CohereErrorReply, CohereRerankReply, CohereRerankRequest

_ERRORS: dict[Any, Any] = dict.fromkeys(
    (400, 401, 404, 413, 415, 429, 500, 503, 504), CohereErrorReply
)

cohere = ApiBlueprint(
    "cohere",
    __name__,
    abp_tags=[Tag(name="Cohere", description="Rerank as Cohere's clients call it")],
    abp_responses=_ERRORS,
)


@cohere.post("/v1/rerank", summary="Rank documents", responses={200: CohereRerankReply})
def rerank_v1(body: CohereRerankRequest) -> Response:
    """Documents, best first; the header X-Ssang-Truncated tells how many texts were cut."""
    return answer_cohere_rerank(body)


@cohere.post("/v2/rerank", summary="Rank documents", responses={200: CohereRerankReply})
def rerank_v2(body: CohereRerankRequest) -> Response:
    """The same as /v1/rerank."""
    return answer_cohere_rerank(body)
