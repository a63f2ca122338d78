"""Text Embeddings Inference, for an embedding model."""

from collections.abc import Sequence
from typing import Any

from flask import Response, current_app
from flask_openapi import Tag

from inference.pipeline import TextGroup
from inference.result import Result
from inference.tokenizer import Text
from webapp.admission import max_requests
from webapp.blueprint import ApiBlueprint
from webapp.errors import use_contract
from webapp.observation import Notes, reading
from webapp.parsing import read_body
from webapp.reply import TRUNCATED_HEADER, Reply, json_array, json_array_reply, json_reply
from webapp.rerank import answer_cohere_rerank
from webapp.service import Service, current_engine, current_service
from webapp.shortcut import json_answer, respond
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

tei = ApiBlueprint(
    "tei",
    __name__,
    abp_tags=[Tag(name="TEI", description="As clients of Text Embeddings Inference call it")],
    abp_responses=_ERRORS,
)


@tei.post("/embed", summary="Embed texts", responses={200: TeiEmbedReply})
def embed(body: TeiEmbedRequest) -> Response:
    """Unit vectors of texts or token ids: their dot product is the cosine similarity."""
    return respond(_embed, body)


@tei.post("/similarity", summary="Compare sentences", responses={200: TeiSimilarityReply})
def similarity(body: TeiSimilarityRequest) -> Response:
    """Cosine similarity of a sentence with others, all read alike."""
    return respond(_compare, body)


@tei.post(
    "/", summary="Embed texts or compare sentences", responses={200: TeiEmbedOrSimilarityReply}
)
def embed_or_compare(body: TeiEmbedOrSimilarityRequest) -> Response:
    """As /similarity where inputs is an object, as /embed otherwise."""
    content: Any = body.root
    if isinstance(content.get("inputs"), dict):
        return respond(_compare, read_body(TeiSimilarityRequest, content))
    return respond(_embed, read_body(TeiEmbedRequest, content))


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
    return respond(_rank, read_body(TeiRerankRequest, content))


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


def _embed(service: Service, body: TeiEmbedRequest, notes: Notes) -> Reply:
    notes["texts"] = len(body.inputs)
    embeddings = service.engine.embed(
        body.inputs,
        kind=body.kind,
        dimensions=body.dimensions,
        options=body.options,
        label="inputs[{}]",
    )
    vectors = embeddings.vectors
    answer = json_array(len(vectors), lambda start, stop: vectors[start:stop])
    notes.update(reading(embeddings, texts=len(body.inputs)))
    cut = int(embeddings.truncated.sum())
    return Reply(answer, headers=_costs(service, embeddings, body.inputs, cut))


def _compare(service: Service, body: TeiSimilarityRequest, notes: Notes) -> Reply:
    options = body.parameters or TeiReading()
    texts = [body.inputs.source_sentence, *body.inputs.sentences]
    notes["texts"] = len(texts)
    matrix = service.engine.compare(
        TextGroup(texts[:1], options.kind, "inputs.source_sentence"),
        TextGroup(texts[1:], options.kind, "inputs.sentences[{}]"),
        options=options.options,
    )
    scores = matrix.scores[0]
    answer = json_array(len(scores), lambda start, stop: scores[start:stop])
    notes.update(reading(matrix, texts=len(texts)))
    cut = int(matrix.queries.truncated.sum() + matrix.documents.truncated.sum())
    return Reply(answer, headers=_costs(service, matrix, texts, cut))


def _rank(service: Service, body: TeiRerankRequest, notes: Notes) -> Reply:
    texts = [body.query, *body.texts]
    notes["texts"] = len(texts)
    ranking = service.engine.rank(body.query, body.texts, options=body.options, label="texts[{}]")
    results = ranking.results
    answer = json_array(
        len(results),
        lambda start, stop: [
            {"index": ranked.index, "score": ranked.score}
            | ({"text": body.texts[ranked.index]} if body.return_text else {})
            for ranked in results[start:stop]
        ],
    )
    notes.update(reading(ranking, texts=len(texts)))
    cut = ranking.query_truncated + sum(ranked.truncated for ranked in results)
    return Reply(answer, headers=_costs(service, ranking, texts, cut))


def _costs(service: Service, result: Result, texts: Sequence[Text], cut: int) -> dict[str, str]:
    """Headers that tell what an answer took: times in whole milliseconds."""
    timing = result.timing
    return {
        "x-compute-type": "cpu" if service.is_on_cpu else "gpu",
        "x-compute-time": str(round(timing.total)),
        "x-compute-characters": str(sum(map(len, texts))),
        "x-compute-tokens": str(result.tokens),
        "x-total-time": str(round(timing.total)),
        "x-tokenization-time": str(round(timing.tokenize)),
        "x-queue-time": str(round(timing.queue)),
        "x-inference-time": str(round(timing.inference)),
        TRUNCATED_HEADER: str(cut),
    }


shortcuts = {
    "/embed": json_answer(TeiEmbedRequest, _embed),
    "/similarity": json_answer(TeiSimilarityRequest, _compare),
}
"""The same for :class:`webapp.shortcut.Shortcut`."""
