"""Answers that are sent while they are made.

The work runs in a thread of its own, so that a heartbeat can be sent while it is silent: proxies
close connections that are, and sending is how a server notices that its client has left.
"""

import io
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from queue import Empty, Full, Queue
from typing import IO, Any, Protocol, TypeVar

from flask import Blueprint, Response, after_this_request
from werkzeug.datastructures import FileStorage

from webapp.errors import error_body
from webapp.reply import encode_json
from webapp.service import current_service

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"

HEARTBEAT_S = 10.0

# Items made but not yet sent.
_AHEAD = 2

# How soon the work notices that nobody takes its items any more.
_POLL_S = 0.1

T = TypeVar("T")
Failure = Callable[[Exception], bytes]


def pump(
    items: Generator[T], heartbeat: Callable[[], T], *, interval_s: float = HEARTBEAT_S
) -> Iterator[T]:
    """Items that are made in a thread of their own, with heartbeats while there is none.

    When the caller closes this early, the work stops at its next item and ``items`` is closed.
    This returns once that has happened, so that what the work reads may be closed then.

    Args:
        items: makes the items; used by the thread alone.
        heartbeat: makes an item, given after every ``interval_s`` seconds of silence.
        interval_s: seconds.

    Raises:
        Exception: what ``items`` raised.
    """
    pipe: Queue[tuple[T] | BaseException] = Queue(_AHEAD)
    left = threading.Event()
    worker = threading.Thread(target=_work, args=(items, pipe, left), name="stream", daemon=True)
    worker.start()
    try:
        while True:
            try:
                entry = pipe.get(timeout=interval_s)
            except Empty:
                yield heartbeat()
                continue
            if isinstance(entry, StopIteration):
                return
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        left.set()
        worker.join()


def _work(
    items: Generator[T], pipe: "Queue[tuple[T] | BaseException]", left: threading.Event
) -> None:
    end: BaseException = StopIteration()
    try:
        with closing(items):
            for item in items:
                if not _put(pipe, (item,), left):
                    return
    except BaseException as error:
        end = error
    _put(pipe, end, left)


def _put(
    pipe: "Queue[tuple[T] | BaseException]", entry: tuple[T] | BaseException, left: threading.Event
) -> bool:
    """Whether ``entry`` was put before the taker left."""
    while not left.is_set():
        try:
            pipe.put(entry, timeout=_POLL_S)
        except Full:
            continue
        return True
    return False


def limit_streams(blueprint: Blueprint) -> None:
    """Makes every request of a blueprint hold one of the places for streams until its end.

    The place is asked for before the body is read.
    """
    blueprint.before_request(hold_place)


def hold_place() -> None:
    """Makes this request hold one of the places for streams until its end.

    Raises:
        Overloaded: all are taken.
    """
    places = current_service().streams
    places.take()

    @after_this_request
    def give_back(response: Response) -> Response:
        response.call_on_close(places.give_back)
        return response


class Lines(Protocol):
    """An answer of JSON objects, one a line."""

    def pieces(self) -> Generator[bytes]:
        """Makes the lines, one or several at a time; used by a thread of its own."""

    def heartbeat(self) -> bytes:
        """A line that fills a silence."""

    def observe(self, outcome: str) -> None:
        """Told in the end whether they were ``complete``, ``failed``, or the ``client left``."""


@contextmanager
def taken_over(file: FileStorage) -> Iterator[IO[bytes]]:
    """An upload that outlives its request, unless an error ends this first."""
    upload, file.stream = file.stream, io.BytesIO()
    try:
        yield upload
    except BaseException:
        upload.close()
        raise


def lines_reply(lines: Lines, upload: IO[bytes]) -> Response:
    """An answer whose lines are made of an upload while they are sent."""
    response = _reply(lines, lambda error: json_line({"error": error_body(error)}), NDJSON)
    response.call_on_close(upload.close)
    return response


class Events(Lines, Protocol):
    """An answer of server-sent events, each a piece or several together."""

    def failure(self, error: Exception) -> bytes:
        """The last event of an answer that an error ends."""


def events_reply(events: Events) -> Response:
    """An answer whose events are made while they are sent."""
    return _reply(events, events.failure, EVENTS)


def event(name: str, value: Mapping[str, Any]) -> bytes:
    """A server-sent event.

    https://html.spec.whatwg.org/multipage/server-sent-events.html

    >>> event("text", {"text": 1})
    b'event: text\\ndata: {"text":1}\\n\\n'
    """
    return b"event: " + name.encode() + b"\n" + data(value)


def data(value: Mapping[str, Any]) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + encode_json(value) + b"\n\n"


COMMENT = b":\n\n"
"""What clients of server-sent events pass over; it fills silences."""


def json_line(value: Mapping[str, Any]) -> bytes:
    """A line of an answer."""
    return encode_json(value) + b"\n"


def _reply(lines: Lines, failure: Failure, media_type: str) -> Response:
    body = pump(_told(lines, failure), lines.heartbeat, interval_s=HEARTBEAT_S)
    response = Response(body, content_type=f"{media_type}; charset=utf-8")
    # nginx would otherwise collect the pieces.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _told(lines: Lines, failure: Failure) -> Generator[bytes]:
    """The pieces, of which an error makes a last one."""
    outcome = "client left"
    try:
        yield from lines.pieces()
        outcome = "complete"
    except Exception as error:
        outcome = "failed"
        yield failure(error)
    finally:
        lines.observe(outcome)
