"""Logging: one structured line an event, for ssang's own loggers and those of its libraries."""

import sys
from typing import Any

import structlog
from gunicorn.glogging import Logger

from webapp.settings import Settings

_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
]


def logging_config(settings: Settings) -> dict[str, Any]:
    """A ``logging.config`` dictionary: everything to standard error, as JSON or as text."""
    text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if text
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "ssang": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    render,
                ],
            }
        },
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
