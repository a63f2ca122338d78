"""For those who run the service: health and metrics."""

import os
from typing import Any

from flask import Response
from flask_openapi import Tag
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from inference.lifecycle import State
from webapp.blueprint import ApiBlueprint
from webapp.reply import json_reply
from webapp.schema import ErrorReply, StateReply
from webapp.service import current_service

ops = ApiBlueprint(
    "ops", __name__, abp_tags=[Tag(name="operations", description="Health and metrics")]
)

# Health needs no key: who asks for it has none.
_OPEN: list[dict[str, list[Any]]] = [{}]

_STATES: dict[Any, Any] = {200: StateReply, 503: StateReply}


@ops.get("/live", summary="Is the process up?", responses={200: StateReply}, security=_OPEN)
def live() -> Response:
    """Answers as long as the process does."""
    return json_reply({"status": "alive"})


@ops.get("/ready", summary="Can the model answer?", responses=_STATES, security=_OPEN)
def ready() -> Response:
    """200 once the model is loaded; 503 while it loads, when it has failed, and on the way out."""
    return _state_reply()


@ops.get("/health", summary="The same as /ready", responses=_STATES, security=_OPEN)
def health() -> Response:
    """For those who look for health under this name."""
    return _state_reply()


@ops.get("/ping", summary="The same as /ready", responses=_STATES, security=_OPEN)
def ping() -> Response:
    """For those who look for health under this name."""
    return _state_reply()


@ops.get(
    "/metrics",
    summary="Metrics for Prometheus",
    responses={200: {"content": {"text/plain": {}}}, 401: ErrorReply},
)
def metrics() -> Response:
    """Every worker's metrics, added up, in Prometheus' text format."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _state_reply() -> Response:
    state = current_service().state
    return json_reply({"status": state}, 200 if state is State.READY else 503)
