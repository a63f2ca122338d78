"""A request id in and out, one log line and a few metrics a request. No text of a user."""

import logging
import re
import time
import uuid
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request

from inference import metrics
from inference.reader import Answers
from inference.result import Result

log = logging.getLogger(__name__)

ID_HEADER = "X-Request-ID"

Notes = dict[str, Any]
"""Numbers about a request, for its log line."""

NOTES = "ssang.notes"
"""Key of the WSGI environment with numbers about a request that was noted before."""

_SAFE_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)
# Failures in the words of Text Embeddings Inference's metrics: by status, or by its first digit.
_FAILURES: dict[int, str] = {
    HTTPStatus.TOO_MANY_REQUESTS: "overloaded",
    HTTPStatus.FAILED_DEPENDENCY: "inference",
    4: "validation",
    5: "inference",
}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@dataclass(frozen=True)
class Observed:
    """A request that is being answered.

    Attributes:
        method: of a few known ones, or ``other``.
        route: as it was declared, or ``none``.
        status: of the answer.
        started: ``time.perf_counter()`` when it came.
        request_id: the caller's, or one made here.
        notes: numbers about it; a stream may add to them until its end.
    """

    method: str
    route: str
    status: int
    started: float
    request_id: str
    notes: Notes

    def end(self, *, is_post_to_route: bool) -> None:
        """Counts and logs it, when the last of its answer was sent."""
        seconds = time.perf_counter() - self.started
        failure = _failure(self.status)
        metrics.REQUESTS.labels(self.method, self.route, self.status).inc()
        metrics.LATENCY.labels(self.route).observe(seconds)
        if "texts" in self.notes or (is_post_to_route and failure):
            metrics.observe_request(texts=self.notes.get("texts", 1), failure=failure)
        if log.isEnabledFor(logging.INFO):
            log.info("request", extra=self._fields(seconds))

    def _fields(self, seconds: float) -> dict[str, Any]:
        return {
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "ms": round(1000 * seconds, 1),
            "request_id": self.request_id,
            **self.notes,
        }


def register_observation(app: Flask) -> None:
    """Observes every request of the application. Call it before other hooks are registered."""
    app.before_request(_begin)
    app.after_request(_end)


def choose_id(given: str) -> str:
    """The id that the caller sent, if it may stand in a header and a log, or a new one."""
    return given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex


def note(**values: Any) -> None:
    """Adds numbers about this request to its log line."""
    notes().update(values)


def note_reading(result: Result | Answers, *, texts: int) -> None:
    """Adds what the model read for this request to its log line."""
    note(**reading(result, texts=texts))


def reading(result: Result | Answers, *, texts: int) -> Notes:
    """What the model read for a request: so many texts, their tokens, and their wait."""
    return {
        "texts": texts,
        "tokens": result.tokens,
        "queue_ms": round(result.timing.queue, 3),
    }


def notes() -> Notes:
    """The numbers about this request; a stream may add to them until its end."""
    current: Notes = g.notes
    return current


def _begin() -> None:
    g.started = time.perf_counter()
    g.notes = request.environ.get(NOTES, {})
    g.request_id = choose_id(request.headers.get(ID_HEADER, ""))


def _end(response: Response) -> Response:
    response.headers[ID_HEADER] = g.request_id
    observed = Observed(
        method=request.method if request.method in _METHODS else "other",
        route=request.url_rule.rule if request.url_rule else "none",
        status=response.status_code,
        started=g.started,
        request_id=g.request_id,
        notes=g.notes,
    )
    posted = request.method == "POST" and request.blueprint is not None
    response.call_on_close(partial(observed.end, is_post_to_route=posted))
    return response


def _failure(status: int) -> str | None:
    """Why a request of this status failed; None if it did not."""
    return _FAILURES.get(status) or _FAILURES.get(status // 100)
