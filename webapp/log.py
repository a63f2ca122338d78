"""Logging: one structured line an event, for ssang's own loggers and those of its libraries."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from gunicorn.glogging import Logger

from webapp.settings import Settings

# What every record has; the rest was given as extra.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_encode = json.JSONEncoder(ensure_ascii=False, default=repr).encode


class JsonFormatter(logging.Formatter):
    """A JSON object a record: event, level, logger and time, then what was given as extra."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        fields = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": moment.replace("+00:00", "Z"),
        }
        fields.update(item for item in vars(record).items() if item[0] not in _OWN)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack_info"] = record.stack_info
        return _encode(fields)


def text_formatter() -> logging.Formatter:
    """A line a record, coloured on a terminal."""
    # Only who reads along needs it.
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ExtraAdder(),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
    )


def logging_config(settings: Settings) -> dict[str, Any]:
    """A ``logging.config`` dictionary: everything to standard error, as JSON or as text."""
    text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ssang": {"()": text_formatter if text else JsonFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ssang"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "webapp": {"level": level},
            "inference": {"level": level},
            "gunicorn.error": {"level": level, "propagate": True, "handlers": []},
        },
    }


class ServerLogger(Logger):
    """gunicorn's logger without its access log, which it would otherwise put together unread."""

    def access(self, *_: Any) -> None:
        """Nothing: the application writes one line a request itself."""
