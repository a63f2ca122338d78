"""What filters mean: see tests/test_corpus_store.py for what they find."""

import pytest

from inference.corpus.filters import (
    AnyOf,
    MetadataValue,
    NumberRange,
    TextRange,
    metadata_values,
    number_of,
    parse_filter,
    text_of,
)
from inference.errors import InvalidInput


def test_a_filter_is_read_key_by_key() -> None:
    assert parse_filter(
        {
            "type": "인증서",
            "no": [1, "1", 2.0, True],
            "year": {"lt": 2030, "gte": 2020.5},
            "day": {"gt": "2020-01-01"},
        }
    ) == [
        AnyOf("type", ("인증서",)),
        AnyOf("no", ("1", "2", "true")),
        NumberRange("year", (("gte", 2020.5), ("lt", 2030.0))),
        TextRange("day", (("gt", "2020-01-01"),)),
    ]


@pytest.mark.parametrize("where", [None, {}])
def test_an_empty_filter_has_no_conditions(where: dict[str, object] | None) -> None:
    assert parse_filter(where) == []


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        [None],
        [["a"]],
        ["a", {"gte": 1}],
        object(),
        {},
        {"from": 1},
        {"gte": 1, "to": 5},
        {"gte": None},
        {"gte": True},
        {"gte": [1]},
        {"gte": 1, "lt": "5"},
        {"gte": float("nan")},
        {"gte": float("inf")},
        {"gte": 10**400},
    ],
)
def test_a_condition_that_means_nothing_is_named(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"^filter\.type must be") as error:
        parse_filter({"no": 1, "type": value})
    assert error.value.item == "filter.type"


def test_a_filter_has_a_bounded_size() -> None:
    with pytest.raises(InvalidInput, match="1,000 values"):
        parse_filter({"a": list(range(600)), "b": list(range(600))})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("3", "3"),
        (3, "3"),
        (3.0, "3"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (2**63, "9223372036854775808"),
        (True, "true"),
        (False, "false"),
        ("인증서", "인증서"),
        (" 3 ", " 3 "),
    ],
)
def test_values_are_compared_as_texts(value: str | float, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (True, None),
        ("3", 3.0),
        (" -3.5e2 ", -350.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e999", None),
        ("1_000", None),
        ("1,000", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("", None),
        (".", None),
        ("2020-01-01", None),
        (float("nan"), None),
        (10**400, None),
    ],
)
def test_what_reads_as_a_number(value: str | float, number: float | None) -> None:
    assert number_of(value) == number


def test_lists_hold_each_of_their_values_once() -> None:
    values = metadata_values({"tags": ["a", "3", 3, False], "type": "x", "none": []})
    assert list(values) == [
        MetadataValue("tags", "a", None),
        MetadataValue("tags", "3", 3.0),
        MetadataValue("tags", "false", None),
        MetadataValue("type", "x", None),
    ]


def test_hangul_in_parts_equals_whole_hangul() -> None:
    parts = "\u110b\u1175\u11ab\u110c\u1173\u11bc\u1109\u1165"
    assert parts != "인증서"
    assert parse_filter({parts: parts}) == parse_filter({"인증서": "인증서"})
    assert list(metadata_values({parts: parts})) == [MetadataValue("인증서", "인증서", None)]
