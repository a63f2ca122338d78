"""Frames of ``application/vnd.amazon.eventstream``, the form in which the Runtime streams answers.

https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from collections.abc import Iterator, Mapping
from struct import pack
from zlib import crc32

from webapp.reply import JSON, encode_json

EVENT_STREAM = "application/vnd.amazon.eventstream"

# AWS's own parts are small; clients hold one in memory at a time.
_PART_BYTES = 64 * 1024

_STRING = 7
_CHECKSUM_BYTES = 4
_PRELUDE_BYTES = 8


def part_frames(payload: bytes) -> Iterator[bytes]:
    """PayloadPart events that carry so many bytes, cut wherever a part is full; none for none."""
    headers = {
        ":message-type": "event",
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
    }
    for start in range(0, len(payload), _PART_BYTES):
        yield frame(headers, payload[start : start + _PART_BYTES])


def model_error_frame(message: str, code: str) -> bytes:
    """The last frame of an answer whose model failed, which clients raise as ModelStreamError."""
    headers = {
        ":message-type": "exception",
        ":exception-type": "ModelStreamError",
        ":content-type": JSON,
    }
    return frame(headers, encode_json({"Message": message, "ErrorCode": code}))


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message.

    Big-endian: its length, that of its headers, a checksum of both, headers, payload, and a
    checksum of all that.

    Args:
        headers: names of 1 to 255 bytes in UTF-8, with values of up to 65,535 bytes.
        payload: the bytes it carries.
    """
    block = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    length = _PRELUDE_BYTES + _CHECKSUM_BYTES + len(block) + len(payload) + _CHECKSUM_BYTES
    prelude = pack(">II", length, len(block))
    message = b"".join((prelude, _checksum(prelude), block, payload))
    return message + _checksum(message)


def _header(name: bytes, value: bytes) -> bytes:
    return pack(">B", len(name)) + name + pack(">BH", _STRING, len(value)) + value


def _checksum(data: bytes) -> bytes:
    return pack(">I", crc32(data))
