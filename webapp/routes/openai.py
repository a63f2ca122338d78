"""OpenAI's embeddings and models."""

import logging
from typing import Any

from flask import Response
from flask_openapi import Tag

from inference.corpus.base import CollectionInfo
from inference.errors import CorpusUnavailable
from webapp.answering import COLLECTION, collection_of
from webapp.blueprint import ApiBlueprint
from webapp.observation import Notes, reading
from webapp.reply import TRUNCATED_HEADER, Reply, base64_vector, json_reply, json_rows
from webapp.service import Service, current_service
from webapp.shortcut import json_answer, respond
from webapp.wire.openai import (
    EmbeddingsReply,
    EmbeddingsRequest,
    ModelPath,
    ModelsReply,
    OpenAIErrorReply,
    OpenAIModel,
)

log = logging.getLogger(__name__)

_ERRORS: dict[Any, Any] = dict.fromkeys(
    (400, 401, 404, 413, 415, 429, 500, 503, 504), OpenAIErrorReply
)

openai = ApiBlueprint(
    "openai",
    __name__,
    url_prefix="/v1",
    abp_tags=[Tag(name="OpenAI", description="As OpenAI's clients call it")],
    abp_responses=_ERRORS,
)


@openai.post("/embeddings", summary="Embed texts", responses={200: EmbeddingsReply})
def create_embeddings(body: EmbeddingsRequest) -> Response:
    """Unit vectors; the header X-Ssang-Truncated tells how many of the texts were cut."""
    return respond(_embed, body)


@openai.get("/models", summary="List the models", responses={200: ModelsReply})
def list_models() -> Response:
    """The loaded model, which embeds, and the collections, which chat."""
    service = current_service()
    models = [_model()]
    try:
        models += [_collection(info) for info in service.corpus.list_collections()]
    except CorpusUnavailable:
        # Those who embed need none.
        log.warning("collections could not be listed")
    return json_reply({"object": "list", "data": models})


@openai.get("/models/<path:id>", summary="Describe a model", responses={200: OpenAIModel})
def retrieve_model(path: ModelPath) -> Response:
    """The loaded model or a collection by its name; 404 for every other name."""
    service = current_service()
    if path.id.startswith(COLLECTION):
        return json_reply(_collection(collection_of(service.corpus, path.id).info()))
    service.require_model(path.id)
    return json_reply(_model())


def _embed(service: Service, body: EmbeddingsRequest, notes: Notes) -> Reply:
    service.check_model_name(body.model)
    embeddings = service.engine.embed(
        body.input, kind=body.side, dimensions=body.dimensions, label="input[{}]"
    )
    tokens, vectors = embeddings.tokens, embeddings.vectors
    notes.update(reading(embeddings, texts=len(body.input)))
    encode = base64_vector if body.encoding_format == "base64" else _as_it_is
    shared = {
        "object": "list",
        "model": service.engine.model.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }

    def rows(start: int, stop: int) -> list[dict[str, Any]]:
        return [
            {"object": "embedding", "index": index, "embedding": encode(vector)}
            for index, vector in enumerate(vectors[start:stop], start)
        ]

    truncated = {TRUNCATED_HEADER: str(embeddings.truncated.sum())}
    return Reply(json_rows(shared, "data", len(vectors), rows), headers=truncated)


def _model() -> dict[str, Any]:
    service = current_service()
    return _described(service.engine.info().model, service.started)


def _collection(info: CollectionInfo) -> dict[str, Any]:
    return _described(f"{COLLECTION}{info.name}", info.created)


def _described(name: str, created: float) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(created), "owned_by": "ssang"}


def _as_it_is(vector: Any) -> Any:
    return vector


shortcuts = {"/v1/embeddings": json_answer(EmbeddingsRequest, _embed)}
"""The same for :class:`webapp.shortcut.Shortcut`."""
