"""The whole API under made-up requests: no answer that its own OpenAPI document does not declare.

Schemathesis makes requests that fit the document and requests that do not, and holds each answer
against it: no 5xx; no status, content type or body that is not declared; nothing taken that is
declared to be wrong.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from running_service import wait_until
from tiny_model import save_bert, save_sentence_transformer
from tiny_reader import save_reader
from werkzeug.test import run_wsgi_app

from inference.corpus.base import Document
from inference.engine import Engine
from inference.lifecycle import State
from inference.model import open_model
from inference.reader import Reader
from inference.reader_model import ReaderLimits, open_reader
from webapp import create_app
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 1,
        "generation": {"max-examples": 60, "database": "none"},
        "suppress-health-check": ["all"],
        # Which texts are empty and which lengths a model reads, no document can declare.
        "checks": {"positive_data_acceptance": {"enabled": False}},
        # It is a page as well, and pages are not in the document.
        "operations": [
            {
                "include-name": "POST /",
                "checks": {
                    "allow_header_conformance": {"enabled": False},
                    "unsupported_method": {"enabled": False},
                },
            },
            {
                # The Runtime refuses with 424 what the container behind it refuses with 400.
                "include-path-regex": "^/endpoints/",
                "checks": {
                    "negative_data_rejection": {"expected-statuses": [400, 401, 403, 413, 424]}
                },
            },
        ],
    }
)

# A text as well, of which it only has to be told.
schemathesis.serializer.alias("application/jsonlines", "text/plain")

# The routes are needed to make the tests, the model to run them.
app = create_app(Settings(), Engine(open_model("ko-mini")))


def read_to_the_end(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """The application as behind a server, which closes each answer and so frees its place."""
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    start_response(status, headers.to_wsgi_list())
    return body


document = schemathesis.openapi.from_wsgi("/openapi.json", read_to_the_end, config=CONFIG)


@pytest.fixture(scope="module", autouse=True)
def _small_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Loads a model that answers at once."""
    folder = tmp_path_factory.mktemp("model")
    model = save_sentence_transformer(folder / "model", save_bert(folder / "bert"))
    engine = Engine(open_model(str(model)))
    engine.start()
    wait_until(lambda: engine.state is State.READY)
    service = app.extensions["ssang"]
    service.encoder = engine
    limits = ReaderLimits(doc_stride=32)
    reader = open_reader(str(save_reader(folder / "reader")), limits=limits)
    service.answerer = Reader(reader, device="cpu")
    # What the document's examples name.
    collection, _ = service.corpus.create("faq")
    collection.add([Document("1", "분실 신고는 24시간 받습니다.", metadata={"type": "카드"})])
    yield
    service.close()


@document.parametrize()
def test_every_answer_is_as_declared(case: "schemathesis.Case[Any]") -> None:
    response = case.call_and_validate()
    assert response.status_code != 429, "nobody else asks, so that this would test nothing"
