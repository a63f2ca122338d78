"""Text Embeddings Inference, for an embedding model."""

from collections.abc import Sequence
from typing import Any

from flask import Response, current_app
from flask_openapi import APIBlueprint, Tag

from inference.engine import Engine
from inference.pipeline import TextGroup
from inference.result import Result
from inference.tokenizer import Text
from webapp.admission import max_requests
from webapp.errors import use_contract
from webapp.observation import note, note_reading
from webapp.parsing import read_body
from webapp.reply import json_array_reply, json_reply, with_truncated
from webapp.rerank import answer_cohere_rerank
from webapp.service import current_engine, current_service
from webapp.wire.cohere import CohereRerankRequest
from webapp.wire.tei import (
    RerankEitherErrorReply,
    RerankEitherReply,
    RerankEitherRequest,
    TeiDecodeReply,
    TeiDecodeRequest,
    TeiEmbedOrSimilarityReply,
    TeiEmbedOrSimilarityRequest,
    TeiEmbedReply,
    TeiEmbedRequest,
    TeiErrorReply,
    TeiInfoReply,
    TeiReading,
    TeiRerankRequest,
    TeiSimilarityReply,
    TeiSimilarityRequest,
    TeiTokenizeReply,
    TeiTokenizeRequest,
)

_ERRORS: dict[Any, Any] = dict.fromkeys(
    (400, 401, 413, 415, 422, 424, 429, 500, 503), TeiErrorReply
)

_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}

tei = APIBlueprint(
    "tei",
    __name__,
    abp_tags=[Tag(name="TEI", description="As clients of Text Embeddings Inference call it")],
    abp_responses=_ERRORS,
)


@tei.post("/embed", summary="Embed texts", responses={200: TeiEmbedReply})
def embed(body: TeiEmbedRequest) -> Response:
    """Unit vectors of texts or token ids: their dot product is the cosine similarity."""
    return _embed(body)


@tei.post("/similarity", summary="Compare sentences", responses={200: TeiSimilarityReply})
def similarity(body: TeiSimilarityRequest) -> Response:
    """Cosine similarity of a sentence with others, all read alike."""
    return _compare(body)


@tei.post(
    "/", summary="Embed texts or compare sentences", responses={200: TeiEmbedOrSimilarityReply}
)
def embed_or_compare(body: TeiEmbedOrSimilarityRequest) -> Response:
    """As /similarity where inputs is an object, as /embed otherwise."""
    content: Any = body.root
    if isinstance(content.get("inputs"), dict):
        return _compare(read_body(TeiSimilarityRequest, content))
    return _embed(read_body(TeiEmbedRequest, content))


@tei.post(
    "/rerank",
    summary="Rank texts",
    responses={
        200: RerankEitherReply,
        # The statuses of either contract.
        **dict.fromkeys([*_ERRORS, 404, 504], RerankEitherErrorReply),
    },
)
def rerank(body: RerankEitherRequest) -> Response:
    """Texts by falling cosine similarity with the query, with or without raw_scores.

    What Text Embeddings Inference squashes by a sigmoid are the unbounded logits of a
    cross-encoder. A cosine needs none: squashed, all would lie between 0.27 and 0.73.

    A body with documents instead of texts is Cohere's, and answered as /v1/rerank.
    """
    content: Any = body.root
    if "documents" in content and "texts" not in content:
        use_contract("cohere")
        return answer_cohere_rerank(read_body(CohereRerankRequest, content))
    return _rank(read_body(TeiRerankRequest, content))


@tei.post("/tokenize", summary="Show the tokens of texts", responses={200: TeiTokenizeReply})
def tokenize(body: TeiTokenizeRequest) -> Response:
    """The tokens of each text with their characters, however many there are."""
    engine = current_engine()
    prompt = engine.info().prompts[body.kind] if body.prompt_name else ""
    tokens = engine.tokenize(
        [prompt + text for text in body.inputs],
        kind=body.kind,
        special_tokens=body.add_special_tokens,
        label="inputs[{}]",
    )
    return json_array_reply(len(tokens), lambda start, stop: tokens[start:stop])


@tei.post("/decode", summary="Turn token ids into text", responses={200: TeiDecodeReply})
def decode(body: TeiDecodeRequest) -> Response:
    """The text of each list of ids, as near as it can be told."""
    texts = current_engine().decode(body.ids, skip_special_tokens=body.skip_special_tokens)
    return json_array_reply(len(texts), lambda start, stop: texts[start:stop])


@tei.get("/info", summary="Describe the model and the limits", responses={200: TeiInfoReply})
def info() -> Response:
    """The loaded model and the limits of the service."""
    service = current_service()
    model = service.engine.info()
    requests = max_requests(service.settings.threads)
    return json_reply(
        {
            "model_id": model.model,
            "model_sha": model.hash,
            "model_dtype": _DTYPES[model.precision],
            "served_model_name": model.model,
            "model_type": {"embedding": {"pooling": model.pooling}},
            "max_concurrent_requests": requests,
            "max_input_length": model.max_length,
            "max_batch_tokens": model.max_batch_tokens,
            "max_batch_requests": None,
            "max_client_batch_size": service.settings.max_answer_values // model.dimension,
            "auto_truncate": True,
            # Each request makes its own token ids.
            "tokenization_workers": requests,
            "version": current_app.config["VERSION"],
            "sha": None,
            "docker_label": None,
        }
    )


def _embed(body: TeiEmbedRequest) -> Response:
    engine = current_engine()
    note(texts=len(body.inputs))
    embeddings = engine.embed(
        body.inputs,
        kind=body.kind,
        dimensions=body.dimensions,
        options=body.options,
        label="inputs[{}]",
    )
    vectors = embeddings.vectors
    response = json_array_reply(len(vectors), lambda start, stop: vectors[start:stop])
    cut = int(embeddings.truncated.sum())
    return _with_cost(response, engine, embeddings, body.inputs, cut)


def _compare(body: TeiSimilarityRequest) -> Response:
    engine = current_engine()
    reading = body.parameters or TeiReading()
    texts = [body.inputs.source_sentence, *body.inputs.sentences]
    note(texts=len(texts))
    matrix = engine.compare(
        TextGroup(texts[:1], reading.kind, "inputs.source_sentence"),
        TextGroup(texts[1:], reading.kind, "inputs.sentences[{}]"),
        options=reading.options,
    )
    scores = matrix.scores[0]
    response = json_array_reply(len(scores), lambda start, stop: scores[start:stop])
    cut = int(matrix.queries.truncated.sum() + matrix.documents.truncated.sum())
    return _with_cost(response, engine, matrix, texts, cut)


def _rank(body: TeiRerankRequest) -> Response:
    engine = current_engine()
    note(texts=1 + len(body.texts))
    ranking = engine.rank(body.query, body.texts, options=body.options, label="texts[{}]")
    results = ranking.results
    response = json_array_reply(
        len(results),
        lambda start, stop: [
            {"index": ranked.index, "score": ranked.score}
            | ({"text": body.texts[ranked.index]} if body.return_text else {})
            for ranked in results[start:stop]
        ],
    )
    cut = ranking.query_truncated + sum(ranked.truncated for ranked in results)
    return _with_cost(response, engine, ranking, [body.query, *body.texts], cut)


def _with_cost(
    response: Response,
    engine: Engine,
    result: Result,
    texts: Sequence[Text],
    cut: int,
) -> Response:
    """The answer with what it took in its headers: times in whole milliseconds."""
    timing = result.timing
    note_reading(result, texts=len(texts))
    costs: dict[str, object] = {
        "x-compute-type": "cpu" if engine.info().device == "cpu" else "gpu",
        "x-compute-time": round(timing.total),
        "x-compute-characters": sum(map(len, texts)),
        "x-compute-tokens": result.tokens,
        "x-total-time": round(timing.total),
        "x-tokenization-time": round(timing.tokenize),
        "x-queue-time": round(timing.queue),
        "x-inference-time": round(timing.inference),
    }
    response.headers.update({name: str(cost) for name, cost in costs.items()})
    return with_truncated(response, cut)
