"""A SageMaker container's contract: /invocations over WSGI, and the container as a process."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from running_service import StartService, free_port, kept_full

from inference.engine import Engine
from webapp import create_app
from webapp.media import JSON_LINES
from webapp.reply import TRUNCATED_HEADER
from webapp.settings import Settings, read_settings
from webapp.wire.sagemaker import InvocationErrorReply

PATH = "/invocations"


def _error(response: Any, status: int) -> InvocationErrorReply:
    assert response.status_code == status, response.text
    return InvocationErrorReply.model_validate(response.get_json(), strict=True)


def test_lines_are_streamed_and_json_tells_what_was_cut(client: FlaskClient) -> None:
    body = {"inputs": ["가", "가 " * 999]}
    lines = client.post(PATH, json=body, headers={"Accept": JSON_LINES})
    assert lines.mimetype == JSON_LINES
    whole = client.post(PATH, json=body)
    assert whole.headers[TRUNCATED_HEADER] == "1"
    assert [json.loads(line) for line in lines.data.splitlines()] == whole.get_json()


def test_error_behind_the_first_lines_is_the_last_line(client: FlaskClient) -> None:
    body = {"inputs": ["가"] * 300 + ["가 " * 600], "parameters": {"truncate": False}}
    response = client.post(PATH, json=body, headers={"Accept": JSON_LINES})
    *lines, last = response.data.splitlines()
    assert (response.status_code, len(lines)) == (200, 256)
    assert "inputs[300]" in json.loads(last)["error"]


@pytest.mark.parametrize(
    ("kwargs", "status", "words"),
    [
        ({"json": {"inputs": [" "]}}, 400, "inputs[0] is empty"),
        ({"data": b"{"}, 400, "not JSON"),
        ({"data": b"a", "content_type": "text/plain"}, 415, "Content-Type"),
        ({"json": {"inputs": "a"}, "headers": {"Accept": "image/png"}}, 406, "Accept"),
        ({"json": {"inputs": "a" * 999}}, 413, "larger"),
        ({"method": "GET"}, 405, "method"),
    ],
)
def test_errors_have_the_shape_of_the_contract(
    engine: Engine, kwargs: dict[str, Any], status: int, words: str
) -> None:
    client = create_app(Settings(max_body_bytes=500), engine).test_client()
    response = client.open(PATH, **{"method": "POST", **kwargs})
    assert words in _error(response, status).error.replace("The body has", "larger")


def test_full_service_says_when_to_come_back(engine: Engine) -> None:
    app = create_app(Settings(threads=8), engine)
    with kept_full(app):
        response = app.test_client().post(PATH, json={"inputs": "가"})
    assert _error(response, 429).code == "overloaded"
    assert int(response.headers["Retry-After"]) >= 1


def test_names_of_sagemaker_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))
    settings = read_settings()
    assert (settings.host, settings.port, settings.model) == ("0.0.0.0", 8080, str(tmp_path))
    for name, value in {
        "SAGEMAKER_BIND_TO_PORT": "8081",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "3",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "20",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "2",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "40",
        "HF_MODEL_ID": "org/name",
    }.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert (settings.port, settings.workers, settings.deadline_s) == (8081, 3, 20)
    assert (settings.max_body_bytes, settings.log_level) == (2 * 2**20, "error")
    assert settings.model == "org/name"
    monkeypatch.setenv("SSANG_PORT", "8082")
    monkeypatch.setenv("SSANG_MODEL", "ko-mini")
    settings = read_settings(model="mine")
    assert (settings.port, settings.model, settings.workers) == (8082, "mine", 3)


CODE = """
import json
from sibling import shout

def model_fn(model_dir): return model_dir
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model):
    if "text" not in data: raise ValueError("text is missing")
    return shout(data["text"])
"""


def test_container_runs_a_user_s_code(
    start_service: StartService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/inference.py").write_text(CODE)
    (tmp_path / "code/sibling.py").write_text("def shout(text): return text.upper()")
    (tmp_path / "code/requirements.txt").write_text("requests\n")
    port = free_port()
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", str(port))
    # An empty variable counts for none.
    service = start_service(wait=False, port="")
    service.url = f"http://127.0.0.1:{port}"
    service.wait_until_ready()
    said = requests.post(f"{service.url}{PATH}", json={"text": "abc"}, timeout=30)
    assert (said.status_code, said.json()) == (200, "ABC")
    failed = requests.post(f"{service.url}{PATH}", json={}, timeout=30)
    assert failed.status_code == 500
    assert failed.json() == {"error": "predict_fn failed: text is missing", "code": "ModelError"}
    other = requests.get(f"{service.url}/api/info", timeout=30)
    assert other.status_code == 503
    assert "only /invocations" in other.json()["error"]["message"]
    assert f"0.0.0.0:{port}" in service.log
    assert "requirements.txt" in service.log
