"""The OpenAPI document, and Swagger UI to read and try it, from files installed here."""

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, current_app, render_template, request, send_from_directory

from webapp.authentication import SECURITY_SCHEMES
from webapp.service import current_service

docs = Blueprint("docs", __name__)


def _assets() -> Path:
    spec = find_spec("flask_openapi_swagger")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "templates" / "swagger"


@docs.get("/openapi.json")
def document() -> dict[str, object]:
    """The OpenAPI document of every route, for the path the service is mounted under."""
    described: dict[str, object] = current_app.api_doc  # type: ignore[attr-defined]
    needs_key = bool(current_service().settings.api_keys)
    return {
        **described,
        "servers": [{"url": request.script_root or "/"}],
        "security": [{scheme: []} for scheme in SECURITY_SCHEMES] if needs_key else [],
    }


@docs.get("/docs")
def swagger() -> str:
    """Swagger UI."""
    return render_template("docs.html")


@docs.get("/docs/assets/<path:name>")
def asset(name: str) -> Response:
    """A file of Swagger UI."""
    return send_from_directory(_assets(), name, max_age=86_400)
