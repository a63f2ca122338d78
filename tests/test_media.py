"""Media types of invocations, without a model."""

import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from werkzeug.exceptions import BadRequest, NotAcceptable, UnsupportedMediaType

from inference.errors import InvalidInput
from webapp import media
from webapp.reply import JSON

ROWS = np.array([[0.5, -1.0], [0.25, 2.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", media.NPY),
        ("*/*", media.NPY),
        ("application/json, text/plain, */*", JSON),
        ("text/csv;q=0.5, application/jsonlines", media.JSON_LINES),
        ("text/*", media.CSV),
        ("Application/JSON; charset=utf-8", JSON),
    ],
)
def test_best_accepted_type_is_chosen(accept: str, media_type: str) -> None:
    assert media.choose_accept(accept, media.NPY) == media_type


def test_type_that_cannot_be_written_is_told_which_can() -> None:
    with pytest.raises(NotAcceptable, match=r"application/json.* or application/x-npy"):
        media.choose_accept("image/png", JSON)


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("", '{"inputs": "가"}', {"inputs": "가"}),
        ("application/json; charset=utf-8", '{"inputs": "가"}', {"inputs": "가"}),
        ("text/csv", 'inputs\n"가, 나"\n다\n', {"inputs": ["가, 나", "다"]}),
        ("text/csv; charset=utf-8", "id;Inputs\n1;가\n", {"inputs": ["가"]}),
        (media.JSON_LINES, '"가"\n\n{"inputs": ["나", "다"]}\r\n', {"inputs": ["가", "나", "다"]}),
        (
            media.JSON_LINES,
            '{"queries": "가", "documents": "나"}\n',
            {"queries": "가", "documents": "나"},
        ),
        (media.JSON_LINES, '"가"', {"inputs": ["가"]}),
    ],
)
def test_bodies_are_read_by_their_type(content_type: str, body: str, value: object) -> None:
    assert media.read(body.encode(), content_type) == value


def test_csv_may_be_in_cp949() -> None:
    body = "inputs\n김치찌개와 된장찌개\n".encode("cp949")
    assert media.read(body, "text/csv") == {"inputs": ["김치찌개와 된장찌개"]}


@pytest.mark.parametrize(
    ("content_type", "body", "error", "words"),
    [
        ("text/plain", "가", UnsupportedMediaType, "application/jsonlines or text/csv"),
        ("", "{", BadRequest, "not JSON"),
        (media.JSON_LINES, '"가"\n{', BadRequest, "line 2"),
        (media.JSON_LINES, '"가"\n{"inputs": {"source_sentence": "가"}}', InvalidInput, "Line 2"),
        (media.JSON_LINES, '"가"\n5', InvalidInput, "Line 2"),
        ("text/csv", "text\n가\n", InvalidInput, "'inputs'"),
        ("text/csv", "inputs\n가, 나\n", InvalidInput, "Row 1: .*quotes"),
        ("text/csv", "", InvalidInput, "empty"),
    ],
)
def test_what_is_wrong_with_a_body_is_named(
    content_type: str, body: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        media.read(body.encode(), content_type)


@pytest.mark.parametrize(
    ("value", "media_type", "text"),
    [
        (ROWS, JSON, "[[0.5,-1.0],[0.25,2.0]]"),
        (ROWS, media.JSON_LINES, "[0.5,-1.0]\n[0.25,2.0]\n"),
        (ROWS, media.CSV, "0.5,-1.0\n0.25,2.0\n"),
        (ROWS[0], media.CSV, "0.5\n-1.0\n"),
        ({"a": ROWS[:1], "n": 1, "b": ROWS[1:]}, media.CSV, "0.5,-1.0\n0.25,2.0\n"),
        ({"label": "가"}, media.JSON_LINES, '{"label":"가"}\n'),
        ([{"label": "가"}, {"label": "나"}], media.JSON_LINES, '{"label":"가"}\n{"label":"나"}\n'),
        (torch.tensor([[1, 2]]), JSON, "[[1,2]]"),
    ],
)
def test_answers_are_written(value: Any, media_type: str, text: str) -> None:
    assert media.write(value, media_type).decode() == text


def test_npy_keeps_the_numbers_as_they_are() -> None:
    read = np.load(io.BytesIO(media.write(ROWS, media.NPY)), allow_pickle=False)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, ROWS)


@pytest.mark.parametrize("value", [["가"], {"label": "가"}, [[1], [2, 3]]])
@pytest.mark.parametrize("media_type", [media.CSV, media.NPY])
def test_what_is_no_array_of_numbers_has_no_such_form(value: Any, media_type: str) -> None:
    with pytest.raises(NotAcceptable, match="ask for application/json"):
        media.write(value, media_type)


def test_lines_and_json_hold_the_same_numbers() -> None:
    numbers = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    lines = media.write(numbers, media.JSON_LINES).splitlines()
    assert [json.loads(line) for line in lines] == json.loads(media.write(numbers, JSON))
