"""The aws command, as it is, over a real socket."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aws import run_aws
from running_service import serving

from inference.engine import Engine
from webapp import create_app
from webapp.settings import Settings

TEXT = "오늘 날씨가 참 좋네요."


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def url(engine: Engine, data_dir: Path) -> Iterator[str]:
    app = create_app(Settings(data_dir=str(data_dir), max_invocation_bytes=1000), engine)
    with serving(app) as url:
        yield url
    app.extensions["ssang.async"].stop()


def test_invoke_endpoint(url: str, engine: Engine, tmp_path: Path) -> None:
    body, answer = tmp_path / "body.json", tmp_path / "answer.json"
    body.write_text(json.dumps({"inputs": TEXT}), encoding="utf-8")
    done = run_aws(
        url,
        "invoke-endpoint",
        *("--content-type", "application/json", "--body", body.as_uri().replace("file", "fileb")),
        str(answer),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["InvokedProductionVariant"] == "AllTraffic"
    (vector,) = json.loads(answer.read_bytes())
    np.testing.assert_allclose(vector, engine.embed([TEXT]).vectors[0], atol=1e-4)


@pytest.mark.parametrize(("body", "error"), [("{}", "ModelError"), (" " * 1001, "ValidationError")])
def test_errors_end_the_command(url: str, tmp_path: Path, body: str, error: str) -> None:
    file = tmp_path / "body.json"
    file.write_text(body)
    done = run_aws(url, "invoke-endpoint", "--body", f"fileb://{file}", str(tmp_path / "answer"))
    assert done.returncode != 0
    assert f"An error occurred ({error}) when calling the InvokeEndpoint operation" in done.stderr


def test_invoke_endpoint_async(url: str, data_dir: Path) -> None:
    file = data_dir / "input.json"
    file.write_text(json.dumps({"inputs": TEXT}), encoding="utf-8")
    # The command itself would put the file's content in place of file:// and a path.
    location = f"file:{file}"
    done = run_aws(url, "invoke-endpoint-async", "--input-location", location)
    assert done.returncode == 0, done.stderr
    accepted = json.loads(done.stdout)
    assert accepted["OutputLocation"].startswith(data_dir.as_uri())
    assert accepted["InferenceId"] in accepted["OutputLocation"]
