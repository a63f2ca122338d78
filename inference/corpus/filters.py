"""Filters on the metadata of documents, understood once for every kind of corpus.

``{"type": "인증서", "year": {"gte": 2020}}`` holds where ``type`` is 인증서, or a list with it, and
``year`` is 2020 or later. A list stands for any of its values; several keys must all hold.

Values are compared as texts, so that what came out of a CSV file is found by a number too. Ranges
between numbers take what reads as a number; those between texts go by code points.
"""

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from inference.corpus.base import Filter, Metadata, Scalar
from inference.errors import InvalidInput

Operator = Literal["gt", "gte", "lt", "lte"]

OPERATORS: tuple[Operator, ...] = get_args(Operator)

# Of a whole filter; far below what SQLite binds and OpenSearch takes in one query.
_MAX_VALUES = 1000

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")

# Above it floats leave integers out, and 1e300 is no number to write out.
_EXACT_INTEGERS = 2**53


@dataclass(frozen=True)
class AnyOf:
    """Some value under ``key`` has one of the ``texts``, as :func:`text_of` writes it."""

    key: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class NumberRange:
    """Some value under ``key`` reads as a number within all ``bounds``."""

    key: str
    bounds: tuple[tuple[Operator, float], ...]


@dataclass(frozen=True)
class TextRange:
    """Some value under ``key``, as a text, is within all ``bounds`` by code points."""

    key: str
    bounds: tuple[tuple[Operator, str], ...]


Condition = AnyOf | NumberRange | TextRange


@dataclass(frozen=True)
class MetadataValue:
    """One value under a key, in the forms that conditions compare; ``number`` where it reads so."""

    key: str
    text: str
    number: float | None


def parse_filter(where: Filter | None) -> list[Condition]:
    """The conditions of a filter, all of which must hold; none for an empty one.

    Raises:
        InvalidInput: a key or its condition cannot be used; the error names it.
    """
    conditions = [_parse_condition(key, value) for key, value in (where or {}).items()]
    if sum(_size(condition) for condition in conditions) > _MAX_VALUES:
        raise InvalidInput(
            f"filter holds more than {_MAX_VALUES:,} values: ask in several searches.",
            item="filter",
        )
    return conditions


def metadata_values(metadata: Metadata) -> Iterator[MetadataValue]:
    """What conditions are compared with: every value of a list, each different text once."""
    for key, value in metadata.items():
        values = value if isinstance(value, list) else [value]
        seen: dict[str, float | None] = {text_of(one): number_of(one) for one in values}
        for text, number in seen.items():
            yield MetadataValue(_normalize(key), text, number)


def text_of(value: Scalar) -> str:
    """A value as the text that it equals.

    >>> [text_of(value) for value in (3, 3.0, "3", 0.5, True)]
    ['3', '3', '3', '0.5', 'true']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_INTEGERS:
        return str(int(value))
    # Files from macOS hold Hangul in parts, which look the same and must be found the same.
    return _normalize(str(value))


def number_of(value: Scalar) -> float | None:
    """A value as a number, if it reads as one.

    >>> [number_of(value) for value in (3, " 0.5 ", "1e3", "2020-01-01", True)]
    [3.0, 0.5, 1000.0, None, None]
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            return None
        value = value.strip()
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _normalize(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _parse_condition(key: str, value: object) -> Condition:
    item = f"filter.{key}"
    key = _normalize(key)
    if isinstance(value, dict):
        return _parse_range(key, value, item)
    values = value if isinstance(value, list | tuple) else [value]
    texts = [text_of(one) for one in values if isinstance(one, Scalar)]
    if not len(values) == len(texts) > 0:
        raise InvalidInput(
            f"{item} must be a text, a number, true or false, a list of these that is not empty, "
            f"or a range of {', '.join(OPERATORS)}.",
            item=item,
        )
    return AnyOf(key, tuple(dict.fromkeys(texts)))


def _parse_range(key: str, bounds: dict[object, object], item: str) -> NumberRange | TextRange:
    texts: list[tuple[Operator, str]] = []
    numbers: list[tuple[Operator, float]] = []
    for operator in OPERATORS:
        bound = bounds.get(operator)
        if isinstance(bound, str):
            texts.append((operator, text_of(bound)))
        elif isinstance(bound, int | float) and (number := number_of(bound)) is not None:
            numbers.append((operator, number))
    # What was not understood, of the bounds or their names, is missing from both.
    if len(bounds) == len(numbers) > 0:
        return NumberRange(key, tuple(numbers))
    if len(bounds) == len(texts) > 0:
        return TextRange(key, tuple(texts))
    raise InvalidInput(
        f'{item} must be a range such as {{"gte": 1, "lt": 5}}, of {", ".join(OPERATORS)}, '
        "either between numbers or between texts.",
        item=item,
    )


def _size(condition: Condition) -> int:
    return len(condition.texts) if isinstance(condition, AnyOf) else len(condition.bounds)
