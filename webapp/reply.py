"""Answers as JSON, straight from NumPy; large ones leave in pieces."""

import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from flask import Response

from inference.similarity import Vectors

_ROWS_A_PIECE = 1024

JSON = "application/json"

TRUNCATED_HEADER = "X-Ssang-Truncated"
"""How many of the request's texts were cut, in answers whose body has no place for it."""


@dataclass(frozen=True)
class Reply:
    """An answer that succeeded, before a server's or a framework's classes hold it.

    Attributes:
        body: bytes, or pieces of a long one.
        content_type: of the body.
        headers: further ones.
    """

    body: bytes | Iterator[bytes]
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The same as Flask has it."""
        return Response(self.body, headers=self.headers, content_type=self.content_type)


def encode_json(value: Any) -> bytes:
    """The JSON of a value that may hold NumPy arrays and numbers."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY, default=_as_lists)


def _as_lists(value: Any) -> Any:
    """What orjson does not take of arrays: torch's, and NumPy's of unusual layout."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    return value.tolist()


def json_reply(value: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON answer."""
    return Response(encode_json(value), status, mimetype=JSON)


def with_truncated(response: Response, count: int) -> Response:
    """The answer with ``count``, the number of texts that were cut, in its header."""
    response.headers[TRUNCATED_HEADER] = str(count)
    return response


def base64_vector(vector: Vectors) -> orjson.Fragment:
    """A vector's numbers as little-endian float32 bytes in base64, a JSON string."""
    numbers = np.ascontiguousarray(vector, dtype="<f4")
    return orjson.Fragment(b'"%b"' % binascii.b2a_base64(numbers.data, newline=False))


def json_rows_reply(
    value: Mapping[str, Any], name: str, count: int, rows: Callable[[int, int], Any]
) -> Response:
    """A JSON answer with one long array in it; see :func:`json_rows`."""
    return Response(json_rows(value, name, count, rows), mimetype=JSON)


def json_rows(
    value: Mapping[str, Any], name: str, count: int, rows: Callable[[int, int], Any]
) -> bytes | Iterator[bytes]:
    """A JSON object with one long array in it, which is never in memory as text as a whole.

    Args:
        value: the other members; at least one.
        name: name of the array's member.
        count: how many items it has.
        rows: gives the items from a start to a stop.
    """
    if count <= _ROWS_A_PIECE:
        return encode_json({**value, name: rows(0, count)})
    return _pieces(value, name, count, rows)


def json_array_reply(count: int, rows: Callable[[int, int], Any]) -> Response:
    """A JSON answer that is one long array; see :func:`json_rows`."""
    return Response(json_array(count, rows), mimetype=JSON)


def json_array(count: int, rows: Callable[[int, int], Any]) -> bytes | Iterator[bytes]:
    """A JSON array, in pieces if it is long; see :func:`json_rows`."""
    return encode_json(rows(0, count)) if count <= _ROWS_A_PIECE else _array_pieces(count, rows)


def _pieces(
    value: Mapping[str, Any], name: str, count: int, rows: Callable[[int, int], Any]
) -> Iterator[bytes]:
    yield encode_json(value)[:-1] + b"," + encode_json(name) + b":"
    yield from _array_pieces(count, rows)
    yield b"}"


def _array_pieces(count: int, rows: Callable[[int, int], Any]) -> Iterator[bytes]:
    yield b"["
    for start in range(0, count, _ROWS_A_PIECE):
        piece = encode_json(rows(start, min(start + _ROWS_A_PIECE, count)))[1:-1]
        yield b"," + piece if start else piece
    yield b"]"
