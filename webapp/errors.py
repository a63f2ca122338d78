"""Errors on the wire: (contract, error) -> status and code, and one renderer a contract."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from inference import errors
from webapp.reply import json_reply

log = logging.getLogger(__name__)

STATUS: dict[tuple[str, type[errors.SsangError]], tuple[int, str]] = {
    ("api", errors.InvalidInput): (422, "invalid_input"),
    ("api", errors.TooLarge): (413, "too_large"),
    ("api", errors.NotFound): (404, "not_found"),
    ("api", errors.Conflict): (409, "conflict"),
    ("api", errors.Overloaded): (429, "overloaded"),
    ("api", errors.DeadlineExceeded): (504, "deadline_exceeded"),
    ("api", errors.ModelUnavailable): (503, "model_unavailable"),
}

# What the HTTP layer itself finds wrong. A message of None passes on what the raiser wrote.
_HTTP: dict[int, tuple[str, str | None]] = {
    400: ("malformed", None),
    404: ("not_found", "There is nothing at this address: /docs lists what there is."),
    405: ("method_not_allowed", "This address does not take this method: see /docs."),
    408: ("timeout", None),
    413: ("too_large", "The body is larger than one request may be: send it in parts."),
    415: ("unsupported_media_type", None),
}

_INTERNAL = "Something went wrong inside the service; its log has the request id of this answer."


@dataclass(frozen=True)
class Problem:
    """An error as every renderer needs it."""

    status: int
    code: str
    message: str
    details: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


def register_errors(app: Flask) -> None:
    """Gives every error of the application the shape of the contract it happened in."""
    app.register_error_handler(errors.SsangError, _answer_ssang_error)
    app.register_error_handler(HTTPException, _answer_http_exception)
    app.register_error_handler(Exception, _answer_exception)


def error_body(error: Exception) -> dict[str, Any]:
    """Code and message of an error that ends an answer which has begun."""
    if isinstance(error, errors.SsangError):
        return {"code": STATUS["api", type(error)][1], "message": error.message}
    log.error("stream failed", exc_info=error)
    return {"code": "internal", "message": _INTERNAL}


def _answer_ssang_error(error: errors.SsangError) -> Response:
    status, code = STATUS["api", type(error)]
    headers = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = str(error.retry_after_s)
    return _render(Problem(status, code, error.message, error.details, headers))


def _answer_http_exception(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return make_response(error.get_response())
    code, message = _HTTP.get(status, ("http_error", None))
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    message = message or error.description or error.name
    return _render(Problem(status, code, message, headers=headers))


def _answer_exception(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _render(Problem(500, "internal", _INTERNAL))


def _render(problem: Problem) -> Response:
    response = _RENDERERS["page" if _wants_page() else "api"](problem)
    response.headers.update(problem.headers)
    return response


def _wants_page() -> bool:
    """Whether a person's browser asked for a page; an API path never answers with HTML."""
    if request.blueprint not in {None, "pages"} or request.path.startswith("/api/"):
        return False
    best = request.accept_mimetypes.best_match(["application/json", "text/html"])
    return best == "text/html"


def _render_api(problem: Problem) -> Response:
    body: dict[str, Any] = {"code": problem.code, "message": problem.message}
    if problem.details:
        body["details"] = problem.details
    return json_reply({"error": body}, problem.status)


def _render_page(problem: Problem) -> Response:
    return make_response(render_template("error.html", status=problem.status), problem.status)


_RENDERERS: dict[str, Callable[[Problem], Response]] = {
    "api": _render_api,
    "page": _render_page,
}
