"""The openai package, as it is, over a real socket."""

import base64
from collections.abc import Iterator

import numpy as np
import openai
import pytest
from openai import OpenAI
from running_service import kept_full, serving

from inference.engine import Engine
from webapp import create_app
from webapp.errors import Unauthorized
from webapp.settings import Settings

TEXTS = ["오늘 날씨가 참 좋네요.", "환불은 어떻게 받나요?"]


def _client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)


@pytest.fixture
def client(exact_server: str) -> Iterator[OpenAI]:
    with _client(exact_server) as client:
        yield client


def test_default_encoding_gives_the_vectors_of_the_engine(client: OpenAI, engine: Engine) -> None:
    reply = client.embeddings.create(model="text-embedding-3-small", input=TEXTS)
    vectors = [item.embedding for item in reply.data]
    np.testing.assert_allclose(vectors, engine.embed(TEXTS).vectors, atol=1e-4)
    assert reply.model == "ko-mini"
    assert reply.usage.total_tokens > 0


def test_base64_and_float_are_the_same_numbers(client: OpenAI) -> None:
    (default,) = client.embeddings.create(model="ko-mini", input=TEXTS[0]).data
    coded, floats = (
        client.embeddings.create(model="ko-mini", input=TEXTS[0], encoding_format=encoding).data[0]
        for encoding in ("base64", "float")
    )
    text: object = coded.embedding
    assert isinstance(text, str)
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(text), "<f4"), floats.embedding)
    np.testing.assert_allclose(default.embedding, floats.embedding)


def test_dimensions_cut_unit_vectors(client: OpenAI) -> None:
    (item,) = client.embeddings.create(model="ko-mini", input=TEXTS[0], dimensions=64).data
    assert len(item.embedding) == 64
    assert np.isclose(np.linalg.norm(item.embedding), 1.0, atol=1e-5)


def test_batch_of_three_thousand_texts(client: OpenAI) -> None:
    texts = [f"{number}번 고객님" for number in range(3000)]
    data = client.embeddings.create(model="ko-mini", input=texts, dimensions=8).data
    assert [item.index for item in data] == list(range(3000))
    (single,) = client.embeddings.create(model="ko-mini", input=texts[2900], dimensions=8).data
    np.testing.assert_allclose(data[2900].embedding, single.embedding, atol=1e-4)


def test_side_is_chosen_in_the_extra_body_and_truncation_read_from_the_header(
    client: OpenAI,
) -> None:
    raw = client.embeddings.with_raw_response.create(
        model="ko-mini", input=[TEXTS[0], "가 " * 2000], extra_body={"input_type": "query"}
    )
    assert raw.headers["X-Ssang-Truncated"] == "1"
    assert len(raw.parse().data) == 2


def test_models(client: OpenAI) -> None:
    model = next(iter(client.models.list()))
    assert client.models.retrieve(model.id) == model
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("org/text-embedding-3-small")


def test_token_ids_are_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        client.embeddings.create(model="ko-mini", input=[[15339, 1917]])


def test_bad_request_names_the_item(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="ko-mini", input=["가", ""])
    assert (caught.value.param, caught.value.code) == ("input[1]", "invalid_value")
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("settings", "expected", "code"),
    [
        (Settings(strict_model_names=True), openai.NotFoundError, "model_not_found"),
        (Settings(max_body_bytes=5), openai.APIStatusError, "too_large"),
    ],
)
def test_refusals_become_exceptions(
    engine: Engine, settings: Settings, expected: type[openai.APIStatusError], code: str
) -> None:
    with serving(create_app(settings, engine)) as url, _client(url) as client:
        with pytest.raises(expected) as caught:
            client.embeddings.create(model="text-embedding-3-small", input=TEXTS)
        assert caught.value.code == code


def test_full_service_is_a_rate_limit_error(engine: Engine) -> None:
    app = create_app(Settings(threads=8), engine)
    with kept_full(app), serving(app) as url, _client(url) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.embeddings.create(model="ko-mini", input=TEXTS)
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["Retry-After"]) >= 1


def test_service_that_loads_is_an_internal_server_error(engine: Engine) -> None:
    app = create_app(Settings(), Engine(engine.model))
    with serving(app) as url, _client(url) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.embeddings.create(model="ko-mini", input=TEXTS)
        assert caught.value.status_code == 503
        assert caught.value.code == "model_unavailable"


def test_missing_key_is_an_authentication_error(engine: Engine) -> None:
    app = create_app(Settings(), engine)

    @app.before_request
    def refuse() -> None:
        raise Unauthorized("Send the key.")

    with serving(app) as url, _client(url) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.models.list()
        assert caught.value.code == "invalid_api_key"
