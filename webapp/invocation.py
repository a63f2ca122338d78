"""Invocations: what /invocations, the Runtime's routes and asynchronous work ask of the model.

A body of any of a SageMaker container's types in, an answer of an accepted type out. Nothing here
needs a request, so it may be called from any thread.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from inference.engine import Engine
from inference.errors import InvalidInput, UserCodeFailed, first_line
from inference.lifecycle import State
from inference.pipeline import TextGroup, check_not_empty
from inference.result import Embeddings, ScoreMatrix
from inference.similarity import Vectors
from inference.user_code import Handler
from inference.user_model import UserModel
from webapp import media
from webapp.parsing import read_body
from webapp.reply import JSON, json_array
from webapp.service import Service
from webapp.wire.sagemaker import BiEncoderRequest, SentenceInputs, TextInputs

log = logging.getLogger(__name__)

# Texts whose vectors are computed, then sent, at a time.
_SLICE_TEXTS = 256


@dataclass
class Notes:
    """Numbers about an invocation; while it is streamed they grow.

    Attributes:
        texts: how many were read.
        tokens: of them, special tokens included.
        truncated: texts that were cut.
        queue_ms: milliseconds until the model started.
    """

    texts: int = 0
    tokens: int = 0
    truncated: int = 0
    queue_ms: float = 0.0

    def add(self, result: Embeddings | ScoreMatrix, *, texts: int, truncated: int) -> None:
        self.texts += texts
        self.tokens += result.tokens
        self.truncated += truncated
        self.queue_ms += result.timing.as_dict()["queue"]


@dataclass(frozen=True)
class Invocation:
    """The answer to an invocation.

    Attributes:
        content_type: of the body.
        body: bytes, or pieces of them.
        notes: numbers for logs and headers.
    """

    content_type: str
    body: bytes | Iterator[bytes]
    notes: Notes = field(default_factory=Notes)


def invoke(
    service: Service, body: bytes, content_type: str, accept: str, *, stream: bool = False
) -> Invocation:
    """Answers a body as a model's container does.

    Bodies are JSON, JSON Lines or CSV: ``{"inputs": text or texts}`` gives a vector for each text,
    ``{"inputs": {"source_sentence", "sentences"}}`` a cosine for each sentence, ``{"queries",
    "documents"}`` the vectors of both. Answers are JSON, JSON Lines, CSV or npy.

    Whatever this raises, :func:`webapp.errors.problem_of` with contract ``sagemaker`` gives the
    status and message of the container.

    Args:
        service: the service that answers.
        body: as it came.
        content_type: of the body; empty for JSON.
        accept: types the answer may have; empty for the default one.
        stream: the answer may come in pieces, as JSON Lines and CSV do while vectors are made, and
            long JSON after that. Otherwise ``Invocation.body`` is bytes. What is wrong with the
            request is raised here; what goes wrong later, by the iterator: end the answer as the
            contract does. Exhaust the iterator or drop it, there is nothing to close.

    Raises:
        SsangError: as the engine's methods.
        werkzeug.exceptions.HTTPException: the body is not what its type says, or a type is not
            known.
    """
    default = service.settings.default_accept
    if service.user_model is not None:
        return _invoke_user_code(service.user_model, body, content_type, accept, default)
    media_type = media.choose_accept(accept, default)
    request = read_request(media.read(body, content_type))
    notes = Notes()
    if stream and media_type in media.BY_LINE and not isinstance(request, SentenceInputs):
        slices = _vector_slices(service.engine, request, notes)
        pieces = (media.write(vectors, media_type) for vectors in slices)
        return Invocation(media_type, _started(pieces), notes)
    value = predict(service.engine, request, notes)
    if stream and media_type == JSON and isinstance(value, np.ndarray):
        rows = json_array(len(value), lambda start, stop: value[start:stop])
        return Invocation(media_type, rows, notes)
    return Invocation(media_type, media.write(value, media_type), notes)


def is_streamed(service: Service, accept: str) -> bool:
    """Whether an answer in one of these types is made while it is sent, as far as they tell.

    Raises:
        NotAcceptable: none of them can be written.
    """
    if service.user_model is not None:
        return False
    return media.choose_accept(accept, service.settings.default_accept) in media.BY_LINE


Request = TextInputs | SentenceInputs | BiEncoderRequest


def read_request(value: Any) -> Request:
    """What a parsed body asks for.

    Raises:
        InvalidInput: no request that this model answers.
    """
    if not isinstance(value, dict):
        raise InvalidInput('The body must be a JSON object, such as {"inputs": ...}.', item="body")
    if "inputs" not in value and value.keys() & {"queries", "documents"}:
        return read_body(BiEncoderRequest, value)
    inputs = value.get("inputs")
    if _asks_question(inputs):
        raise InvalidInput(
            "This model answers no questions: send texts, or source_sentence and sentences.",
            item="inputs",
        )
    if isinstance(inputs, dict):
        return read_body(SentenceInputs, value)
    return read_body(TextInputs, value)


def _asks_question(inputs: Any) -> bool:
    first = inputs[0] if isinstance(inputs, list) and inputs else inputs
    return isinstance(first, dict) and "question" in first


def predict(engine: Engine, request: Request, notes: Notes) -> Any:
    """The answer before it is written: an array, or an object with arrays in it."""
    if isinstance(request, SentenceInputs):
        return _compare(engine, request, notes)
    vectors = [_embed(engine, group, request, notes) for group in _groups(request)]
    if isinstance(request, TextInputs):
        return vectors[0]
    queries, documents = vectors
    return {
        "query_embeddings": queries,
        "doc_embeddings": documents,
        "embedding_dim": queries.shape[1],
        "num_queries": len(queries),
        "num_documents": len(documents),
    }


def _groups(request: TextInputs | BiEncoderRequest) -> list[TextGroup]:
    """The texts of a request, in the order of their vectors."""
    if isinstance(request, TextInputs):
        return [TextGroup(request.inputs, request.reading.kind, "inputs[{}]")]
    return [
        TextGroup(request.queries, "query", "queries[{}]"),
        TextGroup(request.documents, "document", "documents[{}]"),
    ]


def _compare(engine: Engine, request: SentenceInputs, notes: Notes) -> Vectors:
    sentences, reading = request.inputs, request.reading
    matrix = engine.compare(
        TextGroup([sentences.source_sentence], reading.kind, "inputs.source_sentence"),
        TextGroup(sentences.sentences, reading.kind, "inputs.sentences[{}]"),
        options=reading.options,
    )
    cut = matrix.queries.truncated.sum() + matrix.documents.truncated.sum()
    notes.add(matrix, texts=1 + len(sentences.sentences), truncated=int(cut))
    scores: Vectors = matrix.scores[0]
    return scores


def _embed(
    engine: Engine, group: TextGroup, request: TextInputs | BiEncoderRequest, notes: Notes
) -> Vectors:
    embeddings = engine.embed(
        group.texts, kind=group.kind, options=request.options, label=group.label, first=group.first
    )
    notes.add(embeddings, texts=len(group.texts), truncated=int(embeddings.truncated.sum()))
    return embeddings.vectors


def _vector_slices(
    engine: Engine, request: TextInputs | BiEncoderRequest, notes: Notes
) -> Iterator[Vectors]:
    """Vectors in the order of the texts, so many at a time; no text is empty."""
    groups = _groups(request)
    for group in groups:
        check_not_empty(group)
    for group in groups:
        for start in range(0, len(group.texts), _SLICE_TEXTS):
            texts = group.texts[start : start + _SLICE_TEXTS]
            part = TextGroup(texts, group.kind, group.label, start)
            yield _embed(engine, part, request, notes)


def _started(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, once the first is made: until then an error can have its own status."""
    return chain([next(pieces)], pieces)


# A user's code

# What SageMaker's toolkits hand over as text.
_TEXTUAL = frozenset({JSON, media.CSV})

# How often a user's code without a model of its own looks whether ours is loaded.
_POLL_S = 0.05


def default_handlers(get_engine: Callable[[], Engine]) -> dict[str, Handler]:
    """Our own handlers, for a user's code that lacks some.

    ``model_fn`` gives the engine once it is loaded, ``input_fn`` the body as from JSON,
    ``predict_fn`` what /invocations answers or, of another model, what calling it with the inputs
    and parameters gives, and ``output_fn`` writes it in any of our types.

    Args:
        get_engine: gives the engine, or raises why there is none.
    """

    def model_fn(model_dir: str) -> Engine:
        engine = get_engine()
        while engine.state is State.LOADING:
            time.sleep(_POLL_S)
        engine.info()
        return engine

    return {
        "model_fn": model_fn,
        "input_fn": _input_fn,
        "predict_fn": _predict_fn,
        "output_fn": _output_fn,
    }


def _input_fn(body: bytes | str, content_type: str) -> Any:
    return media.read(body.encode() if isinstance(body, str) else body, content_type)


def _predict_fn(data: Any, model: Any) -> Any:
    request = data if isinstance(data, dict) else {"inputs": data}
    if isinstance(model, Engine):
        return predict(model, read_request(request), Notes())
    if not callable(model):
        raise UserCodeFailed(
            f"model_fn gave a {type(model).__name__}, which cannot be called: add predict_fn."
        )
    try:
        return model(request.get("inputs", request), **(request.get("parameters") or {}))
    except Exception as error:
        log.exception("the model of model_fn failed")
        raise UserCodeFailed(f"The model failed: {first_line(error)}") from error


def _output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    media_type = media.choose_accept(accept, accept)
    try:
        return media.write(prediction, media_type), media_type
    except TypeError as error:
        raise UserCodeFailed(f"{first_line(error)}: add output_fn.") from error


def _invoke_user_code(
    user_model: UserModel, body: bytes, content_type: str, accept: str, default: str
) -> Invocation:
    media_type = media.type_of(content_type)
    content: bytes | str = body
    if media_type in _TEXTUAL:
        try:
            content = body.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"The body is not UTF-8 at byte {error.start}: encode it so.", item="body"
            ) from None
    answer, answer_type = user_model.transform(content, media_type, media.prefer(accept, default))
    return Invocation(answer_type, answer, Notes(texts=1))
