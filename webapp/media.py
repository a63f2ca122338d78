"""Media types of invocations: what a body holds, and how an answer is written."""

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import NotAcceptable, UnsupportedMediaType
from werkzeug.http import parse_accept_header, parse_options_header

from inference.errors import InvalidInput
from inference.text_source import open_texts
from webapp.parsing import parse_json
from webapp.reply import JSON, encode_json

JSON_LINES = "application/jsonlines"
CSV = "text/csv"
NPY = "application/x-npy"

BY_LINE = frozenset({JSON_LINES, CSV})
"""Types of which every line can be written, and read, by itself."""

_READABLE = (JSON, JSON_LINES, CSV)
_WRITABLE = (JSON, JSON_LINES, CSV, NPY)

_INPUTS = "inputs"

# Headers whose meaning is remembered: programs send the same ones again and again.
_REMEMBERED = 256


@lru_cache(_REMEMBERED)
def choose_accept(accept: str, default: str) -> str:
    """The type to answer with: the best one that is accepted, ``default`` where any is.

    >>> choose_accept("", "text/csv"), choose_accept("application/x-npy;q=1, */*;q=0.1", "text/csv")
    ('text/csv', 'application/x-npy')

    Raises:
        NotAcceptable: none of those that are accepted can be written.
    """
    # Of types that are accepted alike, the first counts.
    offered = sorted(_WRITABLE, key=lambda media_type: media_type != default)
    if not accept.strip():
        return offered[0]
    best = _accepted(accept).best_match(offered)
    if best is None:
        raise NotAcceptable(
            f"The answer cannot be written as what Accept asks for: ask for {_list(_WRITABLE)}."
        )
    return best


def prefer(accept: str, default: str) -> str:
    """The type that is wanted most, whatever it is; ``default`` where any is.

    >>> prefer("image/png, */*;q=0.5", "text/csv"), prefer("*/*", "text/csv")
    ('image/png', 'text/csv')
    """
    best = _accepted(accept).best
    return default if best is None or "*" in best else best


def _accepted(accept: str) -> MIMEAccept:
    """What is accepted, parameters such as charset left out."""
    wanted = parse_accept_header(accept, MIMEAccept)
    return MIMEAccept([(type_of(media_type), quality) for media_type, quality in wanted])


@lru_cache(_REMEMBERED)
def type_of(content_type: str) -> str:
    """The media type without parameters such as charset; JSON where there is none.

    >>> type_of("Text/CSV; charset=utf-8"), type_of("")
    ('text/csv', 'application/json')
    """
    return parse_options_header(content_type)[0].lower() or JSON


def read(body: bytes, content_type: str) -> Any:
    """The request in a body, as if it had come as JSON.

    Lines, of JSON or CSV, become the texts of one request, ``{"inputs": [...]}``. A JSON object
    that is the only line is the request.

    Args:
        body: the bytes.
        content_type: with or without parameters such as charset; JSON where there is none.

    Raises:
        UnsupportedMediaType: a type that is not read.
        BadRequest, InvalidInput: the body is not what its type says.
    """
    media_type = type_of(content_type)
    if media_type == CSV:
        rows = open_texts(io.BytesIO(body), name="body.csv", column=_INPUTS)
        return {_INPUTS: [text for _, text in rows]}
    if media_type == JSON_LINES:
        return _read_lines(body)
    if media_type == JSON:
        return parse_json(body)
    raise UnsupportedMediaType(
        f"The body's type is not read here: send {_list(_READABLE)} and say so in Content-Type."
    )


def _read_lines(body: bytes) -> Any:
    lines = [line for line in body.splitlines() if line.strip()]
    values = [parse_json(line, what=f"line {number}") for number, line in enumerate(lines, start=1)]
    if len(values) == 1 and isinstance(values[0], dict):
        return values[0]
    texts: list[Any] = []
    for number, value in enumerate(values, start=1):
        texts += _line_texts(value, number)
    return {_INPUTS: texts}


def _line_texts(value: Any, number: int) -> list[Any]:
    """The texts of one line of several."""
    inputs = value.get(_INPUTS) if isinstance(value, dict) else value
    texts = inputs if isinstance(inputs, list) else [inputs]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InvalidInput(
            f'Line {number} is neither a text nor {{"inputs": ...}} with texts: '
            "send other requests one at a time.",
            item=f"line {number}",
        )
    return texts


def write(value: Any, media_type: str) -> bytes:
    """An answer's body.

    Args:
        value: what JSON can hold, NumPy's and torch's arrays included. As lines, a list or array
            has one for each item; an object with matrices in it is written as their rows, one
            matrix after the other, except as JSON.
        media_type: one that :func:`choose_accept` gave.

    Raises:
        NotAcceptable: the value is no array of numbers, which CSV and npy need.
        TypeError: the value has something in it that JSON cannot hold.
    """
    if media_type == JSON:
        return encode_json(value)
    rows = _rows(value)
    if media_type == JSON_LINES:
        lines = rows if isinstance(rows, list | np.ndarray) else [rows]
        return b"".join(encode_json(line) + b"\n" for line in lines)
    numbers = _numbers(rows)
    if media_type == NPY:
        return _npy(numbers)
    # Numbers are written alike in JSON, and need no quotes.
    return b"".join(encode_json(row).strip(b"[]") + b"\n" for row in np.atleast_1d(numbers))


def _npy(numbers: npt.NDArray[Any]) -> bytes:
    """What ``np.save`` writes, of which the numbers are copied once."""
    numbers = np.asarray(numbers, order="C")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(numbers))
    return b"".join((header.getvalue(), numbers.data))


def _rows(value: Any) -> Any:
    if isinstance(value, Mapping):
        matrices = [part for part in value.values() if isinstance(part, np.ndarray)]
        return np.concatenate(matrices) if matrices else value
    return value


def _numbers(rows: Any) -> npt.NDArray[Any]:
    try:
        numbers = np.asarray(rows)
    except ValueError:
        # Rows of different lengths.
        numbers = np.empty(0, dtype=object)
    if numbers.dtype.kind not in "biuf":
        raise NotAcceptable(f"This answer is no array of numbers: ask for {JSON}.")
    return numbers


def _list(media_types: Sequence[str]) -> str:
    return ", ".join(media_types[:-1]) + " or " + media_types[-1]
