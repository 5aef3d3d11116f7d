"""Structured logs: a constant past-tense event, facts as keywords, ids and never contents.

The redactor is a second net: whatever looks like a telephone number, an e-mail address or a token
is blotted out of every value before a line is written.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

_PERSONAL = re.compile(
    r"""
    [\w.+-]+@[\w-]+\.[\w.-]+                # e-mail address
    | \+\d[\d\s().-]{7,}\d                   # international telephone number
    | \(?\b\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}\b  # North American telephone number
    | \bBearer\s+[^\s"',]+                   # authorisation header
    | \bab_(?:live|test)_[A-Za-z0-9_-]+      # our own API keys
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SECRET_KEYS = frozenset(
    {
        "access_token",
        "authorization",
        "body",
        "client_secret",
        "cookie",
        "email",
        "password",
        "phone",
        "refresh_token",
        "secret",
        "summary",
        "text",
        "token",
        "transcript",
    }
)


def redact(value: object) -> object:
    """Blot out personal data and secrets in a string; other values pass unchanged."""
    return _PERSONAL.sub("[redacted]", value) if isinstance(value, str) else value


def _redact_all(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = "[redacted]" if key.lower() in _SECRET_KEYS else redact(value)
    return event


class _RedactingFilter(logging.Filter):
    """The same net under the records of libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = str(redact(record.getMessage()))
        record.args = ()
        return True


def configure(*, level: str = "info", style: str = "json", stream: TextIO | None = None) -> None:
    """Send all log lines to ``stream`` (standard error) as JSON, or as text for a terminal."""
    out = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_all,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=out.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    backend = logging.StreamHandler(out)
    backend.addFilter(_RedactingFilter())
    backend.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [backend]
    root.setLevel(logging.WARNING)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """Give a logger that carries the module's name."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


def where(err: BaseException) -> str:
    """Tell where an error was raised, as module and line: what is safe to log when its message is not."""
    frames = traceback.extract_tb(err.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"


bind = structlog.contextvars.bind_contextvars
clear = structlog.contextvars.clear_contextvars
