"""boto3's sagemaker-runtime client, as it is, over a real socket."""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aws import runtime_client
from botocore.exceptions import ClientError, EventStreamError
from running_service import kept_full, serving, wait_until

from inference.engine import Engine
from inference.errors import ModelUnavailable
from webapp import create_app
from webapp.settings import Settings

TEXTS = ["오늘 날씨가 참 좋네요.", "환불은 어떻게 받나요?"]
JSON = "application/json"
JSON_LINES = "application/jsonlines"


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[Any]:
    with serving(create_app(Settings(), engine)) as url:
        yield runtime_client(url)


@contextmanager
def _client_of(engine: Engine, **settings: Any) -> Iterator[Any]:
    with serving(create_app(Settings(**settings), engine)) as url:
        yield runtime_client(url)


def _body(texts: list[str] = TEXTS) -> bytes:
    return json.dumps({"inputs": texts}, ensure_ascii=False).encode()


def _payload(reply: Any) -> bytes:
    return b"".join(event["PayloadPart"]["Bytes"] for event in reply["Body"])


def test_vectors_are_those_of_the_engine(client: Any, engine: Engine) -> None:
    reply = client.invoke_endpoint(EndpointName="any-name", ContentType=JSON, Body=_body())
    vectors = json.load(reply["Body"])
    np.testing.assert_allclose(vectors, engine.embed(TEXTS).vectors, atol=1e-4)
    assert reply["ContentType"] == JSON
    assert reply["InvokedProductionVariant"] == "AllTraffic"


def test_variant_is_given_back(client: Any) -> None:
    reply = client.invoke_endpoint(EndpointName="a", TargetVariant="blue", Body=_body())
    assert reply["InvokedProductionVariant"] == "blue"


def test_accept_chooses_the_type(client: Any) -> None:
    reply = client.invoke_endpoint(
        EndpointName="a",
        ContentType="text/csv",
        Accept="application/x-npy",
        Body="inputs\n오늘 날씨가 참 좋네요.\n".encode(),
    )
    assert reply["ContentType"] == "application/x-npy"
    assert reply["Body"].read().startswith(b"\x93NUMPY")


def test_what_the_model_refuses_is_a_model_error(client: Any) -> None:
    with pytest.raises(client.exceptions.ModelError) as caught:
        client.invoke_endpoint(EndpointName="a", ContentType=JSON, Body=_body(["가", ""]))
    answer = caught.value.response
    assert answer["OriginalStatusCode"] == 400
    assert "inputs[1]" in json.loads(answer["OriginalMessage"])["error"]
    assert answer["LogStreamArn"].startswith("arn:aws:logs:")
    assert answer["Error"]["Code"] == "ModelError"
    assert "Received client error (400) from primary with message" in answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_other_endpoint_is_a_validation_error(engine: Engine) -> None:
    with _client_of(engine, endpoint_name="korean-encoder") as client:
        assert client.invoke_endpoint(EndpointName="korean-encoder", Body=_body())["Body"].read()
        for invoke in (client.invoke_endpoint, client.invoke_endpoint_with_response_stream):
            with pytest.raises(client.exceptions.ValidationError, match="not found"):
                invoke(EndpointName="another", Body=_body())


def test_body_over_the_limit_is_a_validation_error(engine: Engine) -> None:
    body = _body()
    with _client_of(engine, max_invocation_bytes=len(body)) as client:
        assert client.invoke_endpoint(EndpointName="a", Body=body)["Body"].read()
        with pytest.raises(client.exceptions.ValidationError) as caught:
            client.invoke_endpoint(EndpointName="a", Body=body + b" ")
    assert f"less than or equal to {len(body)}" in caught.value.response["Error"]["Message"]


def test_default_limit_is_that_of_aws(client: Any) -> None:
    with pytest.raises(client.exceptions.ValidationError, match="6291456"):
        client.invoke_endpoint(EndpointName="a", Body=b" " * (6_291_456 + 1))


def test_full_service_is_unavailable(engine: Engine) -> None:
    app = create_app(Settings(threads=8), engine)
    with kept_full(app), serving(app) as url:
        client = runtime_client(url)
        with pytest.raises(client.exceptions.ServiceUnavailable):
            client.invoke_endpoint(EndpointName="a", Body=_body())


def test_model_that_loads_is_not_ready(engine: Engine) -> None:
    with (
        _client_of(Engine(engine.model)) as client,
        pytest.raises(client.exceptions.ModelNotReadyException),
    ):
        client.invoke_endpoint(EndpointName="a", Body=_body())


def test_access_key_id_is_the_api_key(engine: Engine) -> None:
    with serving(create_app(Settings(api_keys="a/secret+key"), engine)) as url:
        with pytest.raises(ClientError) as caught:
            runtime_client(url).invoke_endpoint(EndpointName="a", Body=_body())
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
        client = runtime_client(url, "a/secret+key")
        assert client.invoke_endpoint(EndpointName="a", Body=_body())["Body"].read()


def test_stream_of_lines(client: Any, engine: Engine) -> None:
    texts = [f"{number}번 고객님" for number in range(1000)]
    reply = client.invoke_endpoint_with_response_stream(
        EndpointName="a", ContentType=JSON, Accept=JSON_LINES, Body=_body(texts)
    )
    assert reply["ContentType"] == JSON_LINES
    assert reply["InvokedProductionVariant"] == "AllTraffic"
    parts = [event["PayloadPart"]["Bytes"] for event in reply["Body"]]
    lines = b"".join(parts).splitlines()
    assert sum(map(len, parts)) > 2**22
    # Parts end anywhere, so a client joins them before it looks for lines.
    assert not all(part.endswith(b"\n") for part in parts)
    assert len(lines) == len(texts)
    last = engine.embed([texts[-1]]).vectors[0]
    np.testing.assert_allclose(json.loads(lines[-1]), last, atol=1e-4)


def test_stream_of_json_is_the_same_as_without(client: Any) -> None:
    whole = client.invoke_endpoint(EndpointName="a", Body=_body())["Body"].read()
    reply = client.invoke_endpoint_with_response_stream(EndpointName="a", Body=_body())
    assert reply["ContentType"] == JSON
    np.testing.assert_allclose(json.loads(_payload(reply)), json.loads(whole), atol=1e-5)


def test_stream_that_cannot_begin_is_a_model_error(client: Any) -> None:
    with pytest.raises(client.exceptions.ModelError):
        client.invoke_endpoint_with_response_stream(EndpointName="a", Body=_body([""]))


def test_failure_in_mid_stream_ends_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    embed, calls = engine.embed, []

    def fail_later(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) > 1:
            raise ModelUnavailable("The model is stopping.")
        return embed(*args, **kwargs)

    monkeypatch.setattr(engine, "embed", fail_later)
    texts = [f"{number}번" for number in range(600)]
    with _client_of(engine) as client:
        reply = client.invoke_endpoint_with_response_stream(
            EndpointName="a", Accept=JSON_LINES, Body=_body(texts)
        )
        # A stream that fails is not read to its end: its connection stays open until it is closed.
        with closing(reply["Body"]) as stream, pytest.raises(EventStreamError) as caught:
            list(stream)
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    assert "The model is stopping." in str(caught.value)
    assert len(calls) == 2


def test_work_stops_when_the_client_leaves(engine: Engine) -> None:
    texts = [f"{number}번 고객님, 안녕하세요." for number in range(4000)]
    with _client_of(engine) as client:
        reply = client.invoke_endpoint_with_response_stream(
            EndpointName="a", Accept=JSON_LINES, Body=_body(texts)
        )
        began = time.monotonic()
        next(iter(reply["Body"]))
        reply["Body"].close()
    # Leaving the block waits for the service, which would have to read every text.
    assert time.monotonic() - began < 5


def test_asynchronous_invocation(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_bytes(_body())
    app = create_app(Settings(data_dir=str(tmp_path)), engine)
    with serving(app) as url:
        client = runtime_client(url)
        reply = client.invoke_endpoint_async(
            EndpointName="a",
            ContentType=JSON,
            InputLocation=(tmp_path / "in.json").as_uri(),
            InferenceId="mine",
        )
        assert reply["InferenceId"] == "mine"
        output = Path(reply["OutputLocation"].removeprefix("file://"))
        wait_until(output.exists, timeout_s=30)
        assert len(json.loads(output.read_bytes())) == len(TEXTS)
        assert not Path(reply["FailureLocation"].removeprefix("file://")).exists()
        with pytest.raises(client.exceptions.ValidationError, match="InputLocation"):
            client.invoke_endpoint_async(EndpointName="a", InputLocation="s3://bucket/in.json")
    app.extensions["ssang.async"].stop()


def test_asynchronous_invocations_are_off_without_a_folder(client: Any) -> None:
    with pytest.raises(client.exceptions.ValidationError, match="SSANG_DATA_DIR"):
        client.invoke_endpoint_async(EndpointName="a", InputLocation="file:///tmp/in.json")
