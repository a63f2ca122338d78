"""huggingface_hub's InferenceClient, as it is, over a real socket."""

import numpy as np
import pytest
import requests
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from running_service import StartService, kept_full, serving

from inference.engine import Engine
from webapp import create_app
from webapp.settings import Settings

TEXTS = ["오늘 날씨가 참 좋네요.", "환불은 어떻게 받나요?"]
LONG = "서울의 오늘 날씨는 맑고 따뜻합니다. " * 200


@pytest.fixture
def client(exact_server: str) -> InferenceClient:
    return InferenceClient(exact_server)


def test_feature_extraction_gives_the_vectors_of_the_engine(
    client: InferenceClient, engine: Engine
) -> None:
    vectors = client.feature_extraction(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, engine.embed(TEXTS).vectors, atol=1e-4)
    np.testing.assert_allclose(client.feature_extraction(TEXTS[0]), vectors[:1], atol=1e-4)


def test_feature_extraction_takes_its_options(client: InferenceClient, engine: Engine) -> None:
    vectors = client.feature_extraction(
        LONG,
        normalize=True,
        prompt_name="query",
        truncate=True,
        truncation_direction="right",
        dimensions=64,
        encoding_format="float",
    )
    expected = engine.embed([LONG], kind="query", dimensions=64).vectors
    np.testing.assert_allclose(vectors, expected, atol=1e-4)
    left = client.feature_extraction(LONG + "끝", truncation_direction="left")
    assert not np.allclose(left, client.feature_extraction(LONG + "끝"), atol=1e-3)


def test_sentence_similarity(client: InferenceClient, engine: Engine) -> None:
    first, second = engine.embed(TEXTS).vectors
    scores = client.sentence_similarity(TEXTS[0], TEXTS)
    np.testing.assert_allclose(scores, [1.0, first @ second], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ({"text": ""}, 400, "is empty"),
        ({"text": [TEXTS[0], LONG], "truncate": False}, 422, r"inputs\[1\] has"),
        ({"text": TEXTS, "dimensions": 9999}, 422, "dimensions must be from 1 to 384"),
        ({"text": TEXTS, "normalize": False}, 422, "send true, or leave it out"),
    ],
)
def test_errors_say_what_is_wrong(
    client: InferenceClient, arguments: dict[str, object], status: int, reason: str
) -> None:
    with pytest.raises(HfHubHTTPError, match=reason) as caught:
        client.feature_extraction(**arguments)  # type: ignore[arg-type]
    assert caught.value.response.status_code == status


def test_without_a_model_the_client_says_so(engine: Engine) -> None:
    app = create_app(Settings(), Engine(engine.model))
    with serving(app) as url, pytest.raises(HfHubHTTPError, match="still loading") as caught:
        InferenceClient(url).feature_extraction(TEXTS)
    assert caught.value.response.status_code == 503


def test_overload_reaches_the_client(engine: Engine) -> None:
    app = create_app(Settings(threads=8), engine)
    with serving(app) as url, kept_full(app), pytest.raises(HfHubHTTPError) as caught:
        InferenceClient(url).sentence_similarity(TEXTS[0], TEXTS)
    assert caught.value.response.status_code == 429


def test_metrics_of_all_workers_add_up(start_service: StartService) -> None:
    """As several processes share them, where dashboards read them."""
    service = start_service(workers=2, compute_threads=1)
    client = InferenceClient(service.url)
    for text in TEXTS * 5:
        client.feature_extraction(text)
    client.sentence_similarity(TEXTS[0], TEXTS)
    text = requests.get(f"{service.url}/metrics", timeout=30).text
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(samples['te_request_count{method="single"}']) == 10
    assert float(samples['te_request_success{method="batch"}']) == 1
    assert float(samples["te_request_duration_count"]) == 11
    assert float(samples["te_queue_size"]) == 0
