"""The SageMaker Runtime, which boto3 and the AWS CLI call: one endpoint, invoked in three ways."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from flask import Response, g, request
from flask_openapi import Tag
from werkzeug.exceptions import RequestEntityTooLarge

from inference.errors import InvalidInput, ModelUnavailable, NotFound, Overloaded, TooLarge
from webapp.async_invocation import current_async_invocations
from webapp.blueprint import ApiBlueprint
from webapp.errors import ModelError, error_body, problem_of
from webapp.event_stream import EVENT_STREAM, model_error_frame, part_frames
from webapp.invocation import Invocation, Notes, invoke
from webapp.observation import note, notes
from webapp.parsing import whole_body
from webapp.reply import json_reply, with_truncated
from webapp.service import current_service
from webapp.stream import hold_place
from webapp.wire.runtime import (
    PREFIX,
    AsyncHeader,
    AsyncReply,
    EndpointPath,
    InvocationHeader,
    RuntimeErrorReply,
    StreamHeader,
)

_ERRORS: dict[Any, Any] = dict.fromkeys((400, 403, 404, 424, 429, 500, 503), RuntimeErrorReply)

_BODY: dict[str, Any] = {
    "content": {"application/json": {"schema": {}}, "text/csv": {"schema": {}}}
}

_ANSWERS: dict[Any, Any] = {
    200: {"description": "As of /invocations.", "content": {"*/*": {"schema": {}}}}
}

_STREAMS: dict[Any, Any] = {
    200: {
        "description": "The same in PayloadPart events, sent while it is made.",
        "content": {EVENT_STREAM: {"schema": {"type": "string", "format": "binary"}}},
    }
}

_TOO_LONG = (
    "1 validation error detected: Value at 'body' failed to satisfy constraint: "
    "Member must have length less than or equal to {limit}"
)

runtime = ApiBlueprint(
    "runtime",
    __name__,
    url_prefix="/endpoints/<name>",
    abp_tags=[Tag(name="SageMaker Runtime", description="As boto3 and the AWS CLI call it")],
    abp_responses=_ERRORS,
)


@runtime.before_request
def check_endpoint() -> None:
    """Refuses other endpoints than the one that is set, if one is."""
    served = current_service().settings.endpoint_name
    name = (request.view_args or {}).get("name")
    if served and name != served:
        # The first words are AWS's, which its users' programs look for.
        raise NotFound(
            f"Endpoint {name} of account 000000000000 not found: call {served}.", item="name"
        )


@runtime.post("/invocations", summary="Invoke the endpoint", request_body=_BODY, responses=_ANSWERS)
def invoke_endpoint(path: EndpointPath, header: InvocationHeader) -> Response:
    """Answers what /invocations answers; its errors become ModelError."""
    invocation = _invoke(request.headers.get("Accept", ""))
    assert isinstance(invocation.body, bytes)
    note(**asdict(invocation.notes))
    response = Response(invocation.body, content_type=invocation.content_type)
    return with_truncated(_with_variant(response, header), invocation.notes.truncated)


@runtime.post(
    "/invocations-response-stream",
    summary="Invoke the endpoint and stream its answer",
    request_body=_BODY,
    responses=_STREAMS,
)
def stream_endpoint(path: EndpointPath, header: StreamHeader) -> Response:
    """The answer as events; those in JSON Lines and CSV are sent while the vectors are made."""
    hold_place()
    invocation = _invoke(header.accept, stream=True)
    frames = _frames(invocation.body, invocation.notes, notes())
    response = Response(frames, content_type=EVENT_STREAM)
    response.headers[f"{PREFIX}Content-Type"] = invocation.content_type
    # nginx would otherwise collect the events.
    response.headers["X-Accel-Buffering"] = "no"
    return _with_variant(response, header)


@runtime.post(
    "/async-invocations",
    summary="Invoke the endpoint later",
    request_body=_BODY,
    responses={202: AsyncReply},
)
def invoke_later(path: EndpointPath, header: AsyncHeader) -> Response:
    """Takes an input over from a file and says in which file its output, or its error, will be."""
    invocations = current_async_invocations()
    body = b"" if header.input_location else _payload()
    if not (header.input_location or body):
        raise InvalidInput(
            f"There is no input: name its file in {PREFIX}InputLocation, or send a body.",
            item=f"{PREFIX}InputLocation",
        )
    accepted = invocations.submit(
        input_location=header.input_location,
        body=body,
        content_type=header.content_type,
        accept=header.accept,
        inference_id=header.inference_id,
        ttl_s=header.ttl_s,
        timeout_s=header.timeout_s,
        request_id=g.request_id,
    )
    response = json_reply({"InferenceId": accepted.inference_id}, 202)
    response.headers[f"{PREFIX}OutputLocation"] = accepted.output.as_uri()
    response.headers[f"{PREFIX}FailureLocation"] = accepted.failure.as_uri()
    return response


def _invoke(accept: str, *, stream: bool = False) -> Invocation:
    content_type = request.headers.get("Content-Type", "")
    body = _payload()
    try:
        return invoke(current_service(), body, content_type, accept, stream=stream)
    except (ModelUnavailable, Overloaded):
        raise
    except Exception as error:
        raise ModelError(problem_of(error, "sagemaker")) from error


def _payload() -> bytes:
    limit = current_service().settings.max_invocation_bytes
    request.max_content_length = min(limit, request.max_content_length or limit)
    try:
        return whole_body(request)
    except RequestEntityTooLarge:
        raise TooLarge(_TOO_LONG.format(limit=limit), item="body") from None


def _with_variant(response: Response, header: InvocationHeader) -> Response:
    response.headers["X-Amzn-Invoked-Production-Variant"] = header.variant
    return response


def _frames(
    body: bytes | Iterator[bytes], counted: Notes, logged: dict[str, Any]
) -> Iterator[bytes]:
    """The events of an answer; the last one says what failed, if something did."""
    try:
        for piece in [body] if isinstance(body, bytes) else body:
            yield from part_frames(piece)
    except Exception as error:
        failed = error_body(error)
        yield model_error_frame(failed["message"], failed["code"])
    finally:
        logged.update(asdict(counted))
