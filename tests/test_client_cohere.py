"""The cohere package, as it is, both versions of its API, over a real socket."""

from typing import Any

import cohere
import pytest
from cohere.core.request_options import RequestOptions
from running_service import kept_full, serving

from inference.engine import Engine
from webapp import create_app
from webapp.errors import Unauthorized
from webapp.settings import Settings

QUERY = "최신 기술 발전"
DOCUMENTS = ["파리의 에펠탑", "인공지능 기술이 빠르게 발전하고 있습니다.", "맛있는 김치찌개"]
ONCE: RequestOptions = {"max_retries": 0}


def _rerank(version: int, url: str, **fields: Any) -> Any:
    kind = {1: cohere.Client, 2: cohere.ClientV2}[version]
    asked = {"model": "rerank-v3.5", "query": QUERY, "documents": DOCUMENTS, **fields}
    with kind(api_key="unused", base_url=url) as client:
        return client.rerank(**asked, request_options=ONCE)


VERSIONS = pytest.mark.parametrize("version", [1, 2])


@VERSIONS
def test_documents_come_back_best_first(version: int, live_server: str) -> None:
    reply = _rerank(version, live_server, top_n=2)
    assert len(reply.results) == 2
    assert reply.results[0].index == 1
    assert reply.results[0].relevance_score > reply.results[1].relevance_score
    assert reply.id.startswith("rerank-")
    assert reply.meta.tokens.input_tokens > 0


def test_version_1_repeats_documents(live_server: str) -> None:
    documents = [{"text": text, "line": str(line)} for line, text in enumerate(DOCUMENTS)]
    reply = _rerank(1, live_server, documents=documents, return_documents=True)
    assert reply.results[0].document.text == DOCUMENTS[1]
    assert reply.results[0].document.line == "1"


def test_version_2_cuts_documents(live_server: str) -> None:
    whole = _rerank(2, live_server).meta.tokens.input_tokens
    assert _rerank(2, live_server, max_tokens_per_doc=4).meta.tokens.input_tokens < whole


@VERSIONS
def test_two_thousand_documents(version: int, live_server: str) -> None:
    documents = [f"{number}번 고객님" for number in range(2000)]
    results = _rerank(version, live_server, query=documents[7], documents=documents).results
    assert len(results) == 2000
    assert results[0].index == 7


@VERSIONS
def test_bad_request_names_the_item(version: int, live_server: str) -> None:
    with pytest.raises(cohere.BadRequestError) as caught:
        _rerank(version, live_server, documents=["가", ""])
    assert caught.value.body["message"].startswith("documents[1] is empty")


@VERSIONS
def test_foreign_model_is_not_found_where_names_are_strict(version: int, engine: Engine) -> None:
    app = create_app(Settings(strict_model_names=True), engine)
    with serving(app) as url, pytest.raises(cohere.NotFoundError):
        _rerank(version, url)


@VERSIONS
def test_full_service_is_too_many_requests(version: int, engine: Engine) -> None:
    app = create_app(Settings(threads=8), engine)
    with kept_full(app), serving(app) as url, pytest.raises(cohere.TooManyRequestsError):
        _rerank(version, url)


@VERSIONS
def test_service_that_loads_is_unavailable(version: int, engine: Engine) -> None:
    app = create_app(Settings(), Engine(engine.model))
    with serving(app) as url, pytest.raises(cohere.ServiceUnavailableError):
        _rerank(version, url)


@VERSIONS
def test_missing_key_is_unauthorized(version: int, engine: Engine) -> None:
    app = create_app(Settings(), engine)

    @app.before_request
    def refuse() -> None:
        raise Unauthorized("Send the key.")

    with serving(app) as url, pytest.raises(cohere.UnauthorizedError):
        _rerank(version, url)
