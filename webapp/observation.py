"""A request id in and out, one log line and a few metrics a request. No text of a user."""

import logging
import re
import time
import uuid
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request

from inference import metrics
from inference.reader import Answers
from inference.result import Result

log = logging.getLogger(__name__)

_ID_HEADER = "X-Request-ID"
_SAFE_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)
# Failures in the words of Text Embeddings Inference's metrics: by status, or by its first digit.
_FAILURES: dict[int, str] = {
    HTTPStatus.TOO_MANY_REQUESTS: "overloaded",
    HTTPStatus.FAILED_DEPENDENCY: "inference",
    4: "validation",
    5: "inference",
}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def register_observation(app: Flask) -> None:
    """Observes every request of the application. Call it before other hooks are registered."""
    app.before_request(_begin)
    app.after_request(_end)


def note(**values: Any) -> None:
    """Adds numbers about this request to its log line."""
    notes().update(values)


def note_reading(result: Result | Answers, *, texts: int) -> None:
    """Adds what the model read for this request: so many texts, their tokens, and their wait."""
    note(texts=texts, tokens=result.tokens, queue_ms=result.timing.as_dict()["queue"])


def notes() -> dict[str, Any]:
    """The numbers about this request; a stream may add to them until its end."""
    current: dict[str, Any] = g.notes
    return current


def _begin() -> None:
    g.started = time.perf_counter()
    g.notes = {}
    given = request.headers.get(_ID_HEADER, "")
    g.request_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex


def _end(response: Response) -> Response:
    response.headers[_ID_HEADER] = g.request_id
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.method in _METHODS else "other"
    labels = {"method": method, "route": route, "status": response.status_code}
    started, notes, request_id = g.started, g.notes, g.request_id
    posted = request.method == "POST" and request.blueprint is not None
    failure = _failure(response.status_code)

    @response.call_on_close
    def observe() -> None:
        seconds = time.perf_counter() - started
        metrics.REQUESTS.labels(**labels).inc()
        metrics.LATENCY.labels(route).observe(seconds)
        if "texts" in notes or (posted and failure):
            metrics.observe_request(texts=notes.get("texts", 1), failure=failure)
        fields = {**labels, "ms": round(1000 * seconds, 1), "request_id": request_id, **notes}
        log.info("request", extra=fields)

    return response


def _failure(status: int) -> str | None:
    """Why a request of this status failed; None if it did not."""
    return _FAILURES.get(status) or _FAILURES.get(status // 100)
