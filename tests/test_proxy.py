import pytest
from flask import Flask, request, url_for
from flask.testing import FlaskClient

from inference.engine import Engine
from webapp import create_app
from webapp.proxy import behind_proxy
from webapp.settings import Settings


def _client(proxies: int = 0, root_path: str = "") -> FlaskClient:
    app = Flask(__name__)

    @app.get("/where")
    def where() -> str:
        return f"{request.remote_addr} {url_for('where', _external=True)}"

    app.wsgi_app = behind_proxy(  # type: ignore[assignment, method-assign]
        app.wsgi_app, proxies=proxies, root_path=root_path
    )
    return app.test_client()


FORWARDED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "ssang.example",
}


def test_forwarded_headers_are_not_believed_by_default() -> None:
    text = _client().get("/where", headers=FORWARDED).text
    assert text == "127.0.0.1 http://localhost/where"


def test_forwarded_headers_of_a_trusted_proxy_are_believed() -> None:
    text = _client(proxies=1).get("/where", headers=FORWARDED).text
    assert text == "203.0.113.9 https://ssang.example/where"


@pytest.mark.parametrize("path", ["/ssang/where", "/where"], ids=["kept", "stripped"])
@pytest.mark.parametrize("root_path", ["/ssang", "ssang/"])
def test_links_carry_the_root_path_whether_the_proxy_strips_it(path: str, root_path: str) -> None:
    assert _client(root_path=root_path).get(path).text.endswith("http://localhost/ssang/where")


def test_a_path_that_only_begins_alike_is_not_below_the_root_path() -> None:
    assert _client(root_path="/ssang").get("/ssangyong/where").status_code == 404


def test_health_passes_the_gate_below_a_root_path(engine: Engine) -> None:
    client = create_app(Settings(root_path="/ssang", threads=8), engine).test_client()
    assert client.get("/ssang/ready").status_code == 200
    document = client.get("/ssang/openapi.json").get_json()
    assert document["servers"] == [{"url": "/ssang"}]


def test_other_origins_are_refused_unless_listed(engine: Engine) -> None:
    header = "Access-Control-Allow-Origin"
    sent = {"Origin": "https://a.example"}
    closed = create_app(Settings(), engine).test_client()
    opened = create_app(Settings(cors_origins=("https://a.example",)), engine).test_client()
    assert header not in closed.get("/live", headers=sent).headers
    assert opened.get("/live", headers=sent).headers[header] == "https://a.example"
    other = opened.get("/live", headers={"Origin": "https://b.example"})
    assert header not in other.headers
