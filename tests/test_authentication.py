"""Who may ask, over WSGI: every route without a key, with one, and with the cookie of a page."""

import logging
import re
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from pydantic import BaseModel
from running_service import StartService, serving

from inference.engine import Engine
from webapp import create_app, schema
from webapp.authentication import COOKIE
from webapp.settings import Settings
from webapp.wire.cohere import CohereErrorReply
from webapp.wire.openai import OpenAIErrorReply
from webapp.wire.sts import StsErrorReply
from webapp.wire.tei import TeiErrorReply

KEY, OTHER_KEY = "first-key-of-two", "0ther/key+=="
OPEN = ["/live", "/ready", "/health", "/ping", "/login", "/static/logo.svg"]
CLOSED = ["/metrics", "/openapi.json", "/docs", "/docs/assets/css/swagger-ui.css", "/api/info"]
PAGES = ["/", "/rank", "/file", "/docs", "/openapi.json", "/nowhere"]
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EMBED = {"texts": "가"}


@pytest.fixture(scope="module")
def locked(app: Flask, engine: Engine) -> Flask:
    """The application with two keys."""
    settings = Settings(api_keys=(KEY, OTHER_KEY), cors_origins=("https://a.example",))
    locked = create_app(settings, engine)
    locked.test_client_class = app.test_client_class
    return locked


@pytest.fixture
def client(locked: Flask) -> FlaskClient:
    return locked.test_client()


def _sign_in(client: FlaskClient, key: str = KEY, path: str = "/login", **kwargs: Any) -> Any:
    return client.post(path, data={"key": key}, headers=HTML, **kwargs)


# Without a key


@pytest.mark.parametrize("path", OPEN)
def test_open_addresses_need_no_key(client: FlaskClient, path: str) -> None:
    with client.get(path) as response:
        assert response.status_code == 200


@pytest.mark.parametrize("path", CLOSED)
def test_everything_else_needs_a_key(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert client.get(path, headers={"X-API-Key": KEY}).status_code == 200


def test_every_route_refuses_who_has_no_key(client: FlaskClient, locked: Flask) -> None:
    routes = [rule for rule in locked.url_map.iter_rules() if rule.rule not in [*OPEN, "/logout"]]
    assert len(routes) > 25
    for rule in routes:
        if rule.endpoint == "static":
            continue
        path = re.sub("<.*>", "x", rule.rule)
        # AWS has no 401: its clients know AccessDeniedException, a 403.
        refused = 403 if rule.endpoint.startswith("runtime.") else 401
        for method in (rule.methods or set()) - {"OPTIONS"}:
            assert client.open(path, method=method).status_code == refused, (method, path)


def test_service_without_keys_is_open_and_has_no_page_for_them(engine: Engine) -> None:
    client = create_app(Settings(), engine).test_client()
    assert client.get("/api/info").status_code == 200
    assert client.get("/login").status_code == 404
    assert "Cache-Control" not in client.get("/api/info").headers
    assert "logout" not in client.get("/", headers=HTML).text


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("/api/embed", schema.ErrorReply),
        ("/api/score-file", schema.ErrorReply),
        ("/v1/embeddings", OpenAIErrorReply),
        ("/v1/rerank", CohereErrorReply),
        ("/v2/rerank", CohereErrorReply),
        ("/embed", TeiErrorReply),
        ("/rerank", TeiErrorReply),
        ("/pred/sentences", StsErrorReply),
        ("/pred/file/", StsErrorReply),
        ("/nowhere", schema.ErrorReply),
    ],
)
def test_refusal_has_the_shape_of_the_contract(
    client: FlaskClient, path: str, reply: type[BaseModel]
) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        response = client.post(path, json={}, headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        reply.model_validate(response.get_json(), strict=True)
        assert "key" in response.text


@pytest.mark.parametrize("path", ["/api/embed", "/api/score-file", "/v1/embeddings", "/pred/file"])
def test_refusal_does_not_wait_for_the_body(locked: Flask, path: str) -> None:
    with serving(locked) as url:
        connection = HTTPConnection(url.removeprefix("http://"), timeout=20)
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "1000")
        connection.endheaders()
        assert connection.getresponse().status == 401
        connection.close()


def test_gate_refuses_before_a_key_is_looked_for(engine: Engine) -> None:
    client = create_app(Settings(api_keys=(KEY,), max_body_bytes=5), engine).test_client()
    assert client.post("/api/embed", json=EMBED).status_code == 413


# With a key


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"Authorization": f"Bearer {OTHER_KEY}"},
        {"X-API-Key": KEY},
        {"x-api-key": OTHER_KEY},
        # A proxy's own authentication, next to ours.
        {"Authorization": "Basic dXNlcjpwYXNz", "X-API-Key": KEY},
        {"Authorization": f"Bearer {KEY}", "X-API-Key": "wrong"},
    ],
)
def test_either_header_opens(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/api/embed", json=EMBED, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"X-API-Key": ""},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": f"{KEY},{OTHER_KEY}"},
        {"X-API-Key": "열쇠".encode().decode("latin-1")},
        {"Cookie": f"{COOKIE}={KEY}"},
        {"Cookie": f"{COOKIE}="},
    ],
)
def test_what_is_no_key_does_not(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/api/embed", json=EMBED, headers=headers).status_code == 401


def test_preflight_needs_no_key_and_allows_to_send_one(client: FlaskClient) -> None:
    headers = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-api-key",
    }
    response = client.options("/api/embed", headers=headers)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "x-api-key"))


def test_refusal_can_be_read_by_an_allowed_origin(client: FlaskClient) -> None:
    response = client.post("/api/embed", json=EMBED, headers={"Origin": "https://a.example"})
    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"


def test_shared_caches_keep_nothing_that_needs_a_key(client: FlaskClient) -> None:
    for path in ("/api/info", "/openapi.json", "/"):
        response = client.get(path, headers={"X-API-Key": KEY})
        assert response.headers["Cache-Control"] == "private"


def test_keys_are_not_in_log_or_answers(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = (KEY, "wr0ng-secret")
    for key in secrets:
        answers = [
            client.post("/api/embed", json=EMBED, headers={"X-API-Key": key}),
            client.get("/nowhere", headers={"Authorization": f"Bearer {key}"}),
            _sign_in(client, key),
        ]
        for answer in answers:
            assert not any(secret in answer.text + str(answer.headers) for secret in secrets)
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert "/login" in logged
    assert not any(secret in logged for secret in secrets)


def test_keys_are_not_in_the_service_s_log_or_arguments(start_service: StartService) -> None:
    service = start_service([sys.executable, "-m", "webapp.cli", "serve", "--api-keys", KEY])
    headers = {"X-API-Key": KEY}
    assert requests.get(f"{service.url}/api/info", headers=headers, timeout=20).ok
    assert not requests.get(f"{service.url}/api/info", timeout=20).ok
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
    for pid in (service.process.pid, *map(int, children.split())):
        assert KEY not in Path(f"/proc/{pid}/cmdline").read_text()
    assert KEY not in service.log
    service.stop()


def test_document_declares_how_to_send_a_key(client: FlaskClient, engine: Engine) -> None:
    document = client.get("/openapi.json", headers={"X-API-Key": KEY}).get_json()
    validate(document)
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer"},
        "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    assert document["security"] == [{"bearer": []}, {"X-API-Key": []}]
    without_keys = create_app(Settings(), engine).test_client().get("/openapi.json").get_json()
    assert without_keys["security"] == []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            is_open = path in OPEN
            assert operation.get("security") == ([{}] if is_open else None), path
            refused = "403" if path.startswith("/endpoints/") else "401"
            assert (refused in operation["responses"]) != is_open, path


# The page


@pytest.mark.parametrize("path", PAGES)
def test_page_leads_to_the_form_and_back(client: FlaskClient, path: str) -> None:
    address = f"{path}?a=1&b=%EA%B0%80"
    response = client.get(address, headers=HTML)
    assert response.status_code == 303
    form = response.headers["Location"]
    assert form.startswith("/login?next=")
    done = _sign_in(client, path=form)
    assert done.status_code == 303
    assert done.headers["Location"] == address
    assert client.get(address, headers=HTML).status_code == (404 if path == "/nowhere" else 200)


def test_first_page_needs_no_address_to_come_back_to(client: FlaskClient) -> None:
    assert client.get("/", headers=HTML).headers["Location"] == "/login"
    assert _sign_in(client).headers["Location"] == "/"


def test_programs_are_not_led_to_the_form(client: FlaskClient) -> None:
    for path in ("/", "/metrics", "/api/info"):
        assert client.get(path, headers={"Accept": "*/*"}).status_code == 401
    assert client.get("/api/info", headers=HTML).status_code == 401
    assert client.post("/", json={"inputs": "가"}, headers=HTML).status_code == 401


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "evil.example",
        "javascript:alert(1)",
        "",
    ],
)
def test_nobody_is_led_to_another_host(client: FlaskClient, target: str) -> None:
    response = client.post("/login", data={"key": KEY}, headers=HTML, query_string={"next": target})
    assert response.headers["Location"] == "/"
    again = client.get("/login", headers=HTML, query_string={"next": target})
    assert again.headers["Location"] == "/"


def test_cookie_holds_no_key_and_is_the_browser_s_own(client: FlaskClient) -> None:
    sent = _sign_in(client).headers["Set-Cookie"]
    assert KEY not in sent
    for part in ("HttpOnly", "SameSite=Strict", "Path=/;", "Max-Age=2592000"):
        assert part in f"{sent};"
    assert "Secure" not in sent
    over_tls = _sign_in(client, base_url="https://ssang.example").headers["Set-Cookie"]
    assert "Secure" in over_tls


def test_cookie_opens_api_and_pages(client: FlaskClient) -> None:
    _sign_in(client, OTHER_KEY)
    assert client.post("/api/embed", json=EMBED).status_code == 200
    assert 'action="/logout"' in client.get("/", headers=HTML).text


def test_cookie_of_a_key_that_is_gone_opens_nothing(client: FlaskClient, engine: Engine) -> None:
    _sign_in(client)
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    other = create_app(Settings(api_keys=("another",)), engine).test_client()
    other.set_cookie(COOKIE, cookie.value)
    assert other.get("/api/info").status_code == 401


@pytest.mark.parametrize("key", ["wrong", "", " ", KEY.upper(), "열쇠"])
def test_wrong_key_gets_the_form_again(client: FlaskClient, key: str) -> None:
    response = _sign_in(client, key, path="/login?next=/rank")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "키가 맞지 않습니다" in response.text
    assert 'action="/login?next=/rank"' in response.text
    assert "Set-Cookie" not in response.headers


def test_form_is_in_the_reader_s_language(client: FlaskClient) -> None:
    response = client.get("/login", headers={**HTML, "Accept-Language": "en"})
    assert "Enter an API key" in response.text
    assert "aria-invalid" not in response.text


def test_form_takes_no_long_bodies(client: FlaskClient) -> None:
    assert _sign_in(client, "x" * 20_000).status_code == 413


def test_signing_out_takes_the_cookie_back(client: FlaskClient) -> None:
    _sign_in(client)
    response = client.post("/logout", headers=HTML)
    assert (response.status_code, response.headers["Location"]) == (303, "/login")
    assert client.get("/api/info").status_code == 401


def test_everything_honours_the_root_path(engine: Engine) -> None:
    settings = Settings(api_keys=(KEY,), root_path="/ssang")
    client = create_app(settings, engine).test_client()
    form = client.get("/ssang/rank", headers=HTML).headers["Location"]
    assert form == "/ssang/login?next=/rank"
    done = _sign_in(client, path=form)
    assert done.headers["Location"] == "/ssang/rank"
    assert "Path=/ssang;" in f"{done.headers['Set-Cookie']};"
    page = client.get("/ssang/rank", headers=HTML)
    assert 'action="/ssang/logout"' in page.text
    client.post("/ssang/logout", headers=HTML)
    assert client.get("/ssang/rank", headers=HTML).status_code == 303


# Other sites

OWN = [{}, {"Origin": "http://localhost"}, {"Origin": "https://localhost"}]
OWN += [{"Sec-Fetch-Site": site} for site in ("same-origin", "none")]
# With a proxy that hides the host that the browser asked for.
OWN += [{"Sec-Fetch-Site": "same-origin", "Origin": "https://ssang.example"}]
FOREIGN_ORIGINS = ("https://evil.example", "http://localhost:1", "null", "http://[", "")
FOREIGN = [{"Origin": origin} for origin in FOREIGN_ORIGINS]
FOREIGN += [{"Sec-Fetch-Site": site} for site in ("cross-site", "same-site")]


@pytest.mark.parametrize("headers", OWN)
def test_cookie_counts_for_our_own_pages(client: FlaskClient, headers: dict[str, str]) -> None:
    _sign_in(client)
    assert client.post("/api/embed", json=EMBED, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN)
def test_cookie_does_not_count_for_other_sites(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    _sign_in(client)
    response = client.post("/api/embed", json=EMBED, headers=headers)
    assert response.status_code == 401
    assert "another site" in response.get_json()["error"]["message"]
    with_key = {**headers, "X-API-Key": KEY}
    assert client.post("/api/embed", json=EMBED, headers=with_key).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN)
def test_other_sites_sign_nobody_in_or_out(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.post("/login", data={"key": KEY}, headers={**HTML, **headers})
    assert response.status_code == 401
    assert "Set-Cookie" not in response.headers
    _sign_in(client)
    assert client.post("/logout", headers=headers).status_code == 303
    assert client.get("/api/info").status_code == 200
