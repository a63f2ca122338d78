"""The Flask application, put together."""

from importlib.metadata import version

from flask import Flask, Response, request
from flask_cors import CORS
from flask_openapi import Info
from pydantic import ValidationError

from inference.engine import Engine
from inference.errors import ModelUnavailable
from inference.model import Model, open_model
from inference.reader import Reader
from inference.resource import locate
from inference.user_code import open_served
from inference.user_model import UserModel
from webapp.admission import REFUSAL, Gate, StreamPlaces, max_requests
from webapp.async_invocation import register_async_invocations
from webapp.authentication import (
    PRIVATE_HEADERS,
    SECURITY_SCHEMES,
    ApiKeys,
    register_authentication,
)
from webapp.blueprint import ApiApplication
from webapp.capacity import has_gpu
from webapp.errors import register_errors
from webapp.invocation import default_handlers
from webapp.observation import register_observation
from webapp.parsing import Request, describe_validation_error
from webapp.proxy import behind_proxy
from webapp.reader import open_served_reader
from webapp.reply import TRUNCATED_HEADER
from webapp.routes.answer import answer
from webapp.routes.api import api
from webapp.routes.api import shortcuts as api_shortcuts
from webapp.routes.ask import ask
from webapp.routes.chat import chat
from webapp.routes.cohere import cohere
from webapp.routes.collections import collections
from webapp.routes.docs import docs
from webapp.routes.feedback import feedback
from webapp.routes.files import files
from webapp.routes.login import login
from webapp.routes.openai import openai
from webapp.routes.openai import shortcuts as openai_shortcuts
from webapp.routes.ops import ops
from webapp.routes.pages import pages
from webapp.routes.ratsnlp import ratsnlp
from webapp.routes.runtime import runtime
from webapp.routes.sagemaker import sagemaker
from webapp.routes.sagemaker import shortcuts as sagemaker_shortcuts
from webapp.routes.sts import sts
from webapp.routes.tei import shortcuts as tei_shortcuts
from webapp.routes.tei import tei
from webapp.schema import ErrorReply
from webapp.service import Service
from webapp.settings import Settings, read_settings
from webapp.shortcut import Shortcut

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

_SHORTCUTS = api_shortcuts | openai_shortcuts | tei_shortcuts | sagemaker_shortcuts


def build_app(settings: Settings | None, engine: Engine | None) -> Flask:
    """See :func:`webapp.create_app`."""
    settings = settings or read_settings()
    app = _create_flask()
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    service = _create_service(settings, engine)
    app.extensions["ssang"] = service
    register_async_invocations(app, service)
    register_observation(app)
    app.before_request(_raise_refusal)
    keys = None
    if settings.api_keys:
        keys = ApiKeys(key.get_secret_value() for key in settings.api_keys)
        register_authentication(app, keys)
        app.register_blueprint(login)
    app.after_request(_secure)
    register_errors(app)
    if settings.cors_origins:
        exposed = ["X-Request-ID", TRUNCATED_HEADER]
        CORS(app, origins=list(settings.cors_origins), expose_headers=exposed)
    for contract in (
        *(api, files, answer, collections, feedback, ask, chat, openai, cohere),
        *(tei, sts, ratsnlp, sagemaker, runtime, ops),
    ):
        app.register_api(contract)
    app.register_blueprint(docs)
    app.register_blueprint(pages)
    if not settings.cors_origins:
        _shorten(app, service, keys)
    _wrap(app, settings)
    return app


def _create_service(settings: Settings, engine: Engine | None) -> Service:
    """The service around a given engine, or around what the settings name, which starts to load."""
    streams = StreamPlaces(max_requests(settings.threads) // 2)
    reader = create_reader(settings)
    if engine is not None:
        return Service(settings, engine, streams, reader)
    served = open_served(
        settings.model,
        query=settings.query_model,
        document=settings.document_model,
        program=settings.program,
    )
    if served.model is not None:
        engine = create_engine(settings, model=served.model)
        engine.start()
    service = Service(settings, engine, streams, reader)
    if served.program is not None:
        service.user_model = UserModel(
            served.program,
            default_handlers(lambda: _require(engine, served.fault)),
            deadline_s=settings.deadline_s,
            hang_timeout_s=settings.hang_timeout_s,
        )
        service.user_model.start()
    return service


def _require(engine: Engine | None, fault: str) -> Engine:
    if engine is None:
        raise ModelUnavailable(f"The model's own code has no model_fn, and no encoder: {fault}")
    return engine


def create_engine(
    settings: Settings, *, model: Model | None = None, slices_ahead: int = 2
) -> Engine:
    """An engine as the settings say; its model, that of the settings by default, is not loaded yet.

    Raises:
        NotFound, InvalidInput: the model cannot be served; see ``open_model``.
    """
    return Engine(
        model
        or open_model(settings.model, query=settings.query_model, document=settings.document_model),
        # CUDA_VISIBLE_DEVICES may hide a GPU that is there.
        device=settings.device if settings.device != "auto" or has_gpu("auto") else "cpu",
        precision=settings.precision,
        threads=settings.compute_threads,
        max_batch_tokens=settings.max_batch_tokens,
        max_waiting_tokens=settings.max_waiting_tokens,
        deadline_s=settings.deadline_s,
        hang_timeout_s=settings.hang_timeout_s,
        dimensions=settings.dimensions,
        max_answer_values=settings.max_answer_values,
        slices_ahead=slices_ahead,
        cache_mb=settings.cache_mb,
    )


def create_reader(settings: Settings) -> Reader | None:
    """A reader as the settings say, whose model is not loaded yet; None without one.

    Raises:
        NotFound, InvalidInput: there is no such reader, or it cannot be used.
    """
    model = open_served_reader(settings)
    if model is None:
        return None
    return Reader(
        model,
        no_answer_threshold=settings.no_answer_threshold,
        device=settings.device,
        precision=settings.torch_precision,
        threads=settings.compute_threads,
        max_waiting_tokens=settings.max_waiting_tokens,
        deadline_s=settings.deadline_s,
        hang_timeout_s=settings.hang_timeout_s,
    )


class _Application(ApiApplication):
    request_class = Request


def _create_flask() -> ApiApplication:
    release = version("ssang")
    app = _Application(
        __name__,
        info=Info(
            title="ssang",
            version=release,
            description="Serves Korean bi-encoders: compare, rank and embed texts.",
        ),
        security_schemes=SECURITY_SCHEMES,
        doc_ui=False,
        # Where a route does not declare this status, the library would add an error of its own.
        validation_error_status=200,
        validation_error_model=ErrorReply,
        validation_error_callback=_refuse_invalid,
        template_folder=str(locate("webapp", "templates")),
        static_folder=str(locate("webapp", "static")),
        static_url_path="/static",
    )
    app.openapi_version = "3.1.0"
    app.config["VERSION"] = release
    app.json.sort_keys = False  # type: ignore[attr-defined]
    return app


def _shorten(app: Flask, service: Service, keys: ApiKeys | None) -> None:
    app.wsgi_app = Shortcut(  # type: ignore[method-assign]
        app,
        app.wsgi_app,
        service,
        _SHORTCUTS,
        headers=_SECURITY_HEADERS | (PRIVATE_HEADERS if keys else {}),
        keys=keys,
    )


def _wrap(app: Flask, settings: Settings) -> None:
    gate = Gate(
        app.wsgi_app,
        max_requests=max_requests(settings.threads),
        max_inflight_bytes=settings.max_inflight_bytes,
        max_body_bytes=settings.max_body_bytes,
    )
    app.wsgi_app = behind_proxy(  # type: ignore[assignment, method-assign]
        gate, proxies=settings.trusted_proxies, root_path=settings.root_path
    )


def _refuse_invalid(error: ValidationError) -> None:
    raise describe_validation_error(error)


def _raise_refusal() -> None:
    refusal = request.environ.get(REFUSAL)
    if refusal:
        raise refusal


def _secure(response: Response) -> Response:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response
