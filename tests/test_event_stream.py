"""Event-stream frames, read by botocore's own parser."""

import json

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from webapp.event_stream import frame, model_error_frame, part_frames

# Codecs of UTF-8 take no lone surrogates.
_text = st.text(st.characters(exclude_categories=["Cs"]))
_names = _text.filter(lambda name: 0 < len(name.encode()) < 256)
_headers = st.dictionaries(_names, _text, max_size=5)


def _messages(data: bytes, chunk: int | None = None) -> list[tuple[dict[str, str], bytes]]:
    """Headers and payload of each message, read in chunks of so many bytes."""
    buffer = EventStreamBuffer()
    found = []
    for start in range(0, len(data), chunk or len(data) or 1):
        buffer.add_data(data[start : start + (chunk or len(data))])
        found += [(message.headers, message.payload) for message in buffer]
    return found


@given(_headers, st.binary())
def test_botocore_reads_what_was_written(headers: dict[str, str], payload: bytes) -> None:
    assert _messages(frame(headers, payload)) == [(headers, payload)]


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(1, 50))
def test_frames_may_arrive_in_any_pieces(payloads: list[bytes], chunk: int) -> None:
    data = b"".join(frame({"a": "b"}, payload) for payload in payloads)
    assert [payload for _, payload in _messages(data, chunk)] == payloads


@given(st.integers(0, 300_000))
def test_long_payloads_are_cut_into_parts(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    messages = _messages(b"".join(part_frames(payload[:size])))
    assert b"".join(part for _, part in messages) == payload[:size]
    assert all(0 < len(part) <= 65_536 for _, part in messages)
    assert {headers[":event-type"] for headers, _ in messages} <= {"PayloadPart"}


def test_model_error() -> None:
    ((headers, payload),) = _messages(model_error_frame("모델이 답하지 못했습니다.", "internal"))
    assert headers[":message-type"] == "exception"
    assert headers[":exception-type"] == "ModelStreamError"
    assert json.loads(payload) == {"Message": "모델이 답하지 못했습니다.", "ErrorCode": "internal"}
