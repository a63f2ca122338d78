"""A SageMaker container: /invocations. Its /ping is among the operations."""

from collections.abc import Iterator
from typing import Any

from flask import Response, request
from flask_openapi import Tag

from webapp import media
from webapp.blueprint import ApiBlueprint
from webapp.errors import error_body
from webapp.invocation import Invocation, Notes, invoke, is_streamed
from webapp.observation import notes
from webapp.parsing import whole_body
from webapp.reply import JSON, TRUNCATED_HEADER, Reply, encode_json
from webapp.service import Service, current_service
from webapp.shortcut import Call, Detour
from webapp.stream import hold_place
from webapp.wire.sagemaker import InvocationErrorReply

_ERRORS: dict[Any, Any] = dict.fromkeys(
    (400, 401, 406, 413, 415, 429, 500, 503, 504), InvocationErrorReply
)

_TEXT = {"schema": {"type": "string"}}

_REQUEST = {
    "required": True,
    "content": {
        JSON: {
            "schema": {"type": "object"},
            "examples": {
                "texts": {"value": {"inputs": ["오늘 날씨가 참 좋네요."]}},
                "sentences": {
                    "value": {
                        "inputs": {
                            "source_sentence": "환불은 어떻게 받나요?",
                            "sentences": ["결제 후 7일 이내에 환불을 신청하실 수 있습니다."],
                        }
                    }
                },
                "queries and documents": {
                    "value": {
                        "queries": ["최신 기술 발전"],
                        "documents": ["인공지능 기술이 빠르게 발전하고 있습니다."],
                    }
                },
            },
        },
        media.JSON_LINES: _TEXT,
        media.CSV: _TEXT,
    },
}

_ANSWER: dict[Any, Any] = {
    200: {
        "description": "A vector a text, a cosine a sentence, or the vectors of both sides.",
        "content": {
            JSON: {"schema": {}},
            media.JSON_LINES: _TEXT,
            media.CSV: _TEXT,
            media.NPY: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

sagemaker = ApiBlueprint(
    "sagemaker",
    __name__,
    abp_tags=[Tag(name="SageMaker", description="As SageMaker calls a model's container")],
    abp_responses=_ERRORS,
)


@sagemaker.post(
    "/invocations", summary="Invoke the model", request_body=_REQUEST, responses=_ANSWER
)
def invocations() -> Response:
    """Embeds texts, compares sentences, or embeds queries and documents.

    JSON Lines hold a text a line, or inputs with texts; CSV has a column inputs. The answer comes
    in the type that Accept asks for; JSON Lines and CSV are sent while the vectors are made.
    """
    service, accept = current_service(), request.headers.get("Accept", "")
    streamed = is_streamed(service, accept)
    if streamed:
        hold_place()
    content_type = request.headers.get("Content-Type", "")
    invocation = invoke(service, whole_body(request), content_type, accept, stream=True)
    if streamed and not isinstance(invocation.body, bytes):
        pieces = _pieces(invocation.body, invocation.notes, notes())
        return Response(pieces, content_type=invocation.content_type)
    return _reply(invocation, notes()).response()


def _answer(service: Service, call: Call) -> Reply:
    if is_streamed(service, call.accept):
        raise Detour
    invocation = invoke(service, call.content, call.content_type, call.accept, stream=True)
    return _reply(invocation, call.notes)


def _reply(invocation: Invocation, notes: dict[str, Any]) -> Reply:
    counted = vars(invocation.notes)
    notes.update(counted)
    truncated = {TRUNCATED_HEADER: str(counted["truncated"])}
    return Reply(invocation.body, invocation.content_type, truncated)


def _pieces(body: Iterator[bytes], counted: Notes, logged: dict[str, Any]) -> Iterator[bytes]:
    """The pieces, and where one fails a last line that says why."""
    try:
        yield from body
    except Exception as error:
        yield encode_json({"error": error_body(error)["message"]}) + b"\n"
    finally:
        logged.update(vars(counted))


shortcuts = {"/invocations": _answer}
"""The same for :class:`webapp.shortcut.Shortcut`."""
