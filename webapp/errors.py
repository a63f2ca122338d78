"""Errors on the wire: (contract, error) -> status and code, and one renderer a contract."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, g, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from inference import errors
from webapp.reply import json_reply

log = logging.getLogger(__name__)


class Unauthorized(errors.SsangError):
    """The request carries no API key, or a wrong one."""


class ModelError(errors.SsangError):
    """The model's container answered an invocation with an error.

    Args:
        problem: what it answered.
    """

    def __init__(self, problem: "Problem") -> None:
        side = "client" if problem.status < 500 else "server"
        # The words of AWS, which its users' programs look for.
        super().__init__(
            f"Received {side} error ({problem.status}) from primary with message "
            f'"{problem.message}"'
        )
        self.problem = problem


# Contracts are named as their blueprints; "api" answers for what has no row of its own.
STATUS: dict[tuple[str, type[errors.SsangError]], tuple[int, str]] = {
    ("api", Unauthorized): (401, "unauthorized"),
    ("api", errors.InvalidInput): (422, "invalid_input"),
    ("api", errors.TooLarge): (413, "too_large"),
    ("api", errors.NotFound): (404, "not_found"),
    ("api", errors.Conflict): (409, "conflict"),
    ("api", errors.StorageFull): (507, "storage_full"),
    ("api", errors.GeneratorUnavailable): (502, "generator_unavailable"),
    ("api", errors.CorpusUnavailable): (503, "corpus_unavailable"),
    ("api", errors.Overloaded): (429, "overloaded"),
    ("api", errors.DeadlineExceeded): (504, "deadline_exceeded"),
    ("api", errors.UserCodeFailed): (500, "user_code_failed"),
    ("api", errors.ModelUnavailable): (503, "model_unavailable"),
    # The codes of OpenAI's own answers; its client chooses the exception by the status.
    ("openai", Unauthorized): (401, "invalid_api_key"),
    ("openai", errors.InvalidInput): (400, "invalid_value"),
    ("openai", errors.NotFound): (404, "model_not_found"),
    ("openai", errors.Overloaded): (429, "rate_limit_exceeded"),
    # Text Embeddings Inference has a few types of error, each with its status.
    ("tei", Unauthorized): (401, "Unauthorized"),
    ("tei", errors.EmptyInput): (400, "Empty"),
    ("tei", errors.InvalidInput): (422, "Validation"),
    ("tei", errors.TooLarge): (413, "Validation"),
    ("tei", errors.NotFound): (404, "Validation"),
    ("tei", errors.Overloaded): (429, "Overloaded"),
    ("tei", errors.DeadlineExceeded): (424, "Backend"),
    ("tei", errors.ModelUnavailable): (503, "Unhealthy"),
    # SageMaker's toolkits answer 400 to every input that is wrong.
    ("sagemaker", errors.InvalidInput): (400, "invalid_input"),
    ("sagemaker", errors.UserCodeFailed): (500, "ModelError"),
    # The exceptions that AWS's clients know. They try a 503 again by themselves.
    ("runtime", Unauthorized): (403, "AccessDeniedException"),
    ("runtime", errors.InvalidInput): (400, "ValidationError"),
    ("runtime", errors.TooLarge): (400, "ValidationError"),
    ("runtime", errors.NotFound): (400, "ValidationError"),
    ("runtime", errors.Overloaded): (503, "ServiceUnavailable"),
    ("runtime", errors.ModelUnavailable): (429, "ModelNotReadyException"),
    ("runtime", ModelError): (424, "ModelError"),
}

# Rerank has the statuses and codes of OpenAI's contract, in a body of its own.
_ROWS_OF = {"cohere": "openai"}

# What the HTTP layer itself finds wrong. A message of None passes on what the raiser wrote.
_HTTP: dict[int, tuple[str, str | None]] = {
    400: ("malformed", None),
    404: ("not_found", "There is nothing at this address: /docs lists what there is."),
    405: ("method_not_allowed", "This address does not take this method: see /docs."),
    406: ("not_acceptable", None),
    408: ("timeout", None),
    413: ("too_large", "The body is larger than one request may be: send it in parts."),
    415: ("unsupported_media_type", None),
}
_CODES_OF_HTTP = {"http_error", *(code for code, _ in _HTTP.values())}

_INTERNAL = "Something went wrong inside the service; its log has the request id of this answer."


@dataclass(frozen=True)
class Problem:
    """An error as every renderer needs it."""

    status: int
    code: str
    message: str
    details: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    original: "Problem | None" = None


def register_errors(app: Flask) -> None:
    """Gives every error of the application the shape of the contract it happened in."""
    app.register_error_handler(errors.SsangError, _answer_ssang_error)
    app.register_error_handler(HTTPException, _answer_http_exception)
    app.register_error_handler(Exception, _answer_exception)


def error_body(error: Exception, contract: str = "api") -> dict[str, Any]:
    """An error that ends an answer which has begun, as clients of ``api`` or ``openai`` know it."""
    if not isinstance(error, errors.SsangError):
        log.error("stream failed", exc_info=error)
    problem = problem_of(error, contract)
    if contract == "openai":
        return _openai_error(problem)
    return {"code": problem.code, "message": problem.message}


def problem_of(error: Exception, contract: str) -> Problem:
    """What an error is to the clients of a contract, outside a request too."""
    if isinstance(error, errors.SsangError):
        return _ssang_problem(error, contract)
    if isinstance(error, HTTPException):
        return _http_problem(error)
    return Problem(500, "internal", _INTERNAL)


def _ssang_problem(error: errors.SsangError, contract: str) -> Problem:
    status, code = _status(contract, error)
    headers = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    original = error.problem if isinstance(error, ModelError) else None
    return Problem(status, code, error.message, error.details, headers, original)


def _http_problem(error: HTTPException) -> Problem:
    status = error.code or 500
    code, message = _HTTP.get(status, ("http_error", None))
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    return Problem(status, code, message or error.description or error.name, headers=headers)


def _answer_ssang_error(error: errors.SsangError) -> Response:
    return _render(problem_of(error, _contract()))


def _answer_http_exception(error: HTTPException) -> Response:
    if (error.code or 500) < 400:
        return make_response(error.get_response())
    return _render(problem_of(error, _contract()))


def _answer_exception(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _render(problem_of(error, _contract()))


def _status(contract: str, error: errors.SsangError) -> tuple[int, str]:
    """The row of the error's class or of the nearest above it, the contract's own before all."""
    for name in (_ROWS_OF.get(contract, contract), "api"):
        for kind in type(error).__mro__:
            if (name, kind) in STATUS:
                return STATUS[name, kind]
    raise LookupError(f"No status is set for {type(error).__name__}.")


def use_contract(name: str) -> None:
    """Answers this request's errors by another contract than its blueprint's name says."""
    g.contract = name


def _contract() -> str:
    """Whose shape this request's errors take."""
    if "contract" in g:
        return str(g.contract)
    if request.blueprint in _RENDERERS:
        return str(request.blueprint)
    for prefix, contract in _PREFIXES.items():
        if request.path.startswith(prefix):
            return contract
    return "page" if _accepts_page() else "api"


def wants_page() -> bool:
    """Whether a person's browser asked for a page; an API path never answers with HTML."""
    return _contract() == "page"


def _accepts_page() -> bool:
    if request.blueprint not in {None, "docs", "login", "pages"}:
        return False
    best = request.accept_mimetypes.best_match(["application/json", "text/html"])
    return best == "text/html"


def _render(problem: Problem) -> Response:
    response = _RENDERERS[_contract()](problem)
    response.headers.update(problem.headers)
    return response


def _render_api(problem: Problem) -> Response:
    body: dict[str, Any] = {"code": problem.code, "message": problem.message}
    if problem.details:
        body["details"] = problem.details
    return json_reply({"error": body}, problem.status)


def _render_openai(problem: Problem) -> Response:
    return json_reply({"error": _openai_error(problem)}, problem.status)


def _render_cohere(problem: Problem) -> Response:
    """The shape that servers of this kind of rerank answer with, and Cohere's own ``message``."""
    body = {"message": problem.message, "error": _openai_error(problem)}
    return json_reply(body, problem.status)


def _openai_error(problem: Problem) -> dict[str, Any]:
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    general = "invalid_request_error" if problem.status < 500 else "server_error"
    return {
        "message": problem.message,
        "type": kinds.get(problem.status, general),
        "param": problem.details[0]["item"] if problem.details else None,
        "code": problem.code,
    }


def _render_tei(problem: Problem) -> Response:
    # What the HTTP layer finds has codes of our own, which TEI's clients do not know.
    general = "Validation" if problem.status < 500 else "Backend"
    kind = problem.code if problem.code[0].isupper() else general
    return json_reply({"error": problem.message, "error_type": kind}, problem.status)


def _render_sagemaker(problem: Problem) -> Response:
    return json_reply({"error": problem.message, "code": problem.code}, problem.status)


def runtime_error_body(problem: Problem, request_id: str) -> dict[str, Any]:
    """What AWS's clients read an exception's fields from."""
    body: dict[str, Any] = {"Message": problem.message}
    if problem.original:
        body["OriginalStatusCode"] = problem.original.status
        body["OriginalMessage"] = _render_sagemaker(problem.original).get_data(as_text=True)
        # There is no log at AWS: the request's id finds its line in ours.
        body["LogStreamArn"] = f"arn:aws:logs:local:000000000000:request:{request_id}"
    return body


def _render_runtime(problem: Problem) -> Response:
    # AWS has names of its own for what the HTTP layer finds, and one status for what is invalid.
    status, name = problem.status, problem.code
    if name in _CODES_OF_HTTP:
        unknown = status in {404, 405}
        name = "UnknownOperationException" if unknown else "ValidationError"
        status = status if unknown else 400
    elif problem.status >= 500 and not name[0].isupper():
        status, name = 500, "InternalFailure"
    response = json_reply(runtime_error_body(problem, g.request_id), status)
    response.headers["x-amzn-ErrorType"] = name
    return response


def _render_sts(problem: Problem) -> Response:
    """As FastAPI, which the STS service is written in, answers an HTTPException."""
    return json_reply({"detail": problem.message}, problem.status)


def _render_page(problem: Problem) -> Response:
    template = "login.html" if problem.status == 401 else "error.html"
    return make_response(render_template(template, status=problem.status), problem.status)


_RENDERERS: dict[str, Callable[[Problem], Response]] = {
    "api": _render_api,
    "cohere": _render_cohere,
    "openai": _render_openai,
    "page": _render_page,
    "runtime": _render_runtime,
    "sagemaker": _render_sagemaker,
    "sts": _render_sts,
    "tei": _render_tei,
}

# Where no route matched; the first that fits counts.
_PREFIXES = {
    "/api/": "api",
    "/v1/rerank": "cohere",
    "/v1/": "openai",
    "/v2/": "cohere",
    "/pred/": "sts",
    "/invocations": "sagemaker",
    "/endpoints/": "runtime",
    **dict.fromkeys(("/embed", "/similarity", "/rerank", "/tokenize", "/decode", "/info"), "tei"),
}
