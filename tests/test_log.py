"""Log lines as JSON, made of records as the standard library has them."""

import json
import logging
import sys
from typing import Any

from webapp.log import JsonFormatter


def _line(message: str = "said", *args: object, **changes: Any) -> dict[str, Any]:
    record = logging.LogRecord("webapp.x", logging.INFO, "x.py", 1, message, args, None)
    vars(record).update(changes)
    line: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return line


def test_a_line_tells_event_level_logger_time_and_extras_in_this_order() -> None:
    line = _line("%d texts", 3, created=0.5, route="/embed", said="가")
    assert list(line.items()) == [
        ("event", "3 texts"),
        ("level", "info"),
        ("logger", "webapp.x"),
        ("timestamp", "1970-01-01T00:00:00.500000Z"),
        ("route", "/embed"),
        ("said", "가"),
    ]


def test_what_json_cannot_hold_is_shown() -> None:
    assert _line(given={1, 2})["given"] == "{1, 2}"


def test_an_exception_is_told_in_the_same_line() -> None:
    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError:
        line = _line(exc_info=sys.exc_info())
    assert line["exception"].endswith("ZeroDivisionError: by nought")
