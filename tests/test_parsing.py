import json

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from inference.errors import InvalidInput
from webapp.parsing import Request, describe_validation_error, parse_json
from webapp.schema import PairsRequest

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def _request(body: bytes, content_type: str) -> Request:
    app = Flask(__name__)
    app.request_class = Request
    with app.test_request_context(method="POST", data=body, content_type=content_type) as context:
        request: Request = context.request  # type: ignore[assignment]
        request.get_data()
        return request


@given(_JSON)
def test_reads_what_json_writes(value: object) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'["\ud800"]', "\ufffd"),
        (rb'["a\udc00b"]', "a\ufffdb"),
        (rb'["\ud83d\ude00"]', "😀"),
        (rb'["\ud800", "\ud83d\ude00"]', "\ufffd"),
        (rb'["\u0000"]', "\0"),
    ],
)
def test_lone_surrogates_become_replacement_characters(body: bytes, text: str) -> None:
    assert parse_json(body)[0] == text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nope", b'{"a": NaN}', b'["\xff"]', b"[" * 100_000, b"{'a': 1}"]
)
def test_broken_json_says_where(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"not JSON.* at byte"):
        parse_json(body)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"],
)
def test_takes_every_spelling_of_json(content_type: str) -> None:
    assert _request(b'{"a": 1}', content_type).get_json() == {"a": 1}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_refuses_other_media_types(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Type: application/json"):
        _request(b'{"a": 1}', content_type).get_json()


@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"null", b"3"])
def test_body_must_be_an_object(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="object"):
        _request(body, "application/json").get_json()


@pytest.mark.parametrize(
    ("body", "item"),
    [
        ({"pairs": [{"query": "가", "document": "나"}, {"query": "가"}]}, "pairs[1].document"),
        ({"pairs": [{"query": 3, "document": "나"}]}, "pairs[0].query"),
        ({"pairs": "가"}, "pairs"),
        ({}, "pairs"),
        ({"pairs": [{"query": "가", "document": "나"}], "max_lenght": 3}, "max_lenght"),
        ({"pairs": [{"query": "가", "document": "나"}], "max_length": "3"}, "max_length"),
    ],
)
def test_names_the_item_as_the_sender_wrote_it(body: object, item: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PairsRequest.model_validate(body)
    described = describe_validation_error(caught.value)
    assert described.details[0]["item"] == item
    assert described.message.startswith(f"{item}: ")


def test_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(ValidationError) as caught:
        PairsRequest.model_validate({"pairs": ["비밀"]})
    described = describe_validation_error(caught.value)
    assert "비밀" not in described.message + str(described.details)
