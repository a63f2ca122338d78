"""The routes that programs call most, without what Flask does around a view.

Contexts, hooks and response objects cost more than all that such a route does itself. So a request
that is as it should be is read, answered and observed here, by the functions that the views call
too. All others, whatever is unusual about them, go to the application; so does every error, which
it answers as if its view had raised it.
"""

import io
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from flask import Flask, Response
from pydantic import ValidationError
from werkzeug.wsgi import ClosingIterator

from inference.errors import SsangError
from webapp.admission import REFUSAL
from webapp.authentication import ApiKeys, sent_keys
from webapp.observation import ID_HEADER, NOTES, Notes, Observed, choose_id, notes
from webapp.parsing import Body
from webapp.reply import JSON, Reply
from webapp.service import Service, current_service

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_OK = f"{HTTPStatus.OK.value} {HTTPStatus.OK.phrase}"


class Detour(Exception):
    """The request is for the application, which will read it again."""


@dataclass(frozen=True)
class Call:
    """A request as its answer needs it.

    Attributes:
        content: its body.
        content_type: as it was sent.
        accept: as it was sent.
        notes: gets numbers for the log line.
    """

    content: bytes
    content_type: str
    accept: str
    notes: Notes = field(default_factory=dict)


Answer = Callable[[Service, Call], Reply]
"""Answers a call, or raises Detour before it has done anything, or what a view would raise."""


def respond(answer: Callable[[Service, Body, Notes], Reply], body: Body) -> Response:
    """A view's answer to a body."""
    return answer(current_service(), body, notes()).response()


def json_answer(model: type[Body], answer: Callable[[Service, Body, Notes], Reply]) -> Answer:
    """The answer to bodies in JSON, from one to bodies that are validated."""
    validate = model.__pydantic_validator__.validate_python

    def answer_json(service: Service, call: Call) -> Reply:
        if call.content_type.partition(";")[0] != JSON:
            raise Detour
        try:
            body: Body = validate(orjson.loads(call.content))
        except (orjson.JSONDecodeError, ValidationError, SsangError):
            raise Detour from None
        return answer(service, body, call.notes)

    return answer_json


class Shortcut:
    """WSGI middleware around an application, inside of the gate.

    Args:
        app: the application; once somebody gives it hooks of their own, it answers everything.
        wsgi_app: how it is called.
        service: the service that answers.
        answers: for the path of each route, what it answers to POST.
        headers: what the application's hooks put in every answer.
        keys: one of which a request must carry, if there are any.
    """

    def __init__(
        self,
        app: Flask,
        wsgi_app: "WSGIApplication",
        service: Service,
        answers: Mapping[str, Answer],
        *,
        headers: Mapping[str, str],
        keys: ApiKeys | None,
    ) -> None:
        self._app = app
        self._wsgi_app = wsgi_app
        self._service = service
        self._answers = answers
        self._headers = list(headers.items())
        self._keys = keys
        self._hooks = _count_hooks(app)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        answer = self._answers.get(path)
        if answer is None or not self._is_usual(environ):
            return self._wsgi_app(environ, start_response)
        started = time.perf_counter()
        length = int(environ["CONTENT_LENGTH"])
        content = environ["wsgi.input"].read(length)
        call = Call(content, environ.get("CONTENT_TYPE", ""), environ.get("HTTP_ACCEPT", ""))
        try:
            if len(content) < length:
                # The client left within its body.
                raise Detour
            reply = answer(self._service, call)
        except Detour:
            environ["wsgi.input"] = io.BytesIO(content)
            return self._wsgi_app(environ, start_response)
        except Exception as error:
            environ[REFUSAL], environ[NOTES] = error, call.notes
            return self._wsgi_app(environ, start_response)
        request_id = choose_id(environ.get("HTTP_X_REQUEST_ID", ""))
        observed = Observed("POST", path, HTTPStatus.OK.value, started, request_id, call.notes)
        return self._send(reply, observed, start_response)

    def _is_usual(self, environ: "WSGIEnvironment") -> bool:
        return (
            environ["REQUEST_METHOD"] == "POST"
            and REFUSAL not in environ
            and environ.get("CONTENT_LENGTH", "").isdecimal()
            and "HTTP_TRANSFER_ENCODING" not in environ
            and _count_hooks(self._app) == self._hooks
            and (self._keys is None or any(map(self._keys.admit, sent_keys(environ))))
        )

    def _send(
        self, reply: Reply, observed: Observed, start_response: "StartResponse"
    ) -> Iterable[bytes]:
        headers = [("Content-Type", reply.content_type)]
        body: Iterable[bytes]
        if isinstance(reply.body, bytes):
            headers.append(("Content-Length", str(len(reply.body))))
            body = (reply.body,)
        else:
            body = reply.body
        headers += reply.headers.items()
        headers += self._headers
        headers.append((ID_HEADER, observed.request_id))
        start_response(_OK, headers)
        return ClosingIterator(body, partial(observed.end, is_post_to_route=True))


def _count_hooks(app: Flask) -> int:
    return len(app.before_request_funcs.get(None, ())) + len(app.after_request_funcs.get(None, ()))
