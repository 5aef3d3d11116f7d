"""Structured logs: a constant past-tense event, facts as keywords, ids and never contents.

The redactor is a second net: whatever looks like a telephone number, an e-mail address or a token
is blotted out of every value before a line is written.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

_PERSONAL = re.compile(
    r"""
    (?<![^\s@])[^\s@]++@\S+                  # e-mail address, or an address with a password
    | \+\d(?:[\s().\-/]{0,3}\d){6,14}          # international telephone number
    | (?<!\w)\(?\d(?:[\s()\-/]{0,3}\d){8,14}(?!\w)  # national telephone number
    | \(?\b\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}\b   # North American telephone number
    | \b(?:Bearer|Basic)\s+[^\s"',]+         # authorisation header
    | \bab_(?:live|test)_[A-Za-z0-9_-]+       # our own API keys
    | \beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?       # JSON web token
    | \b00D\w{9,15}![\w.]+                   # session of a Salesforce org
    # a secret in an address or a form
    | \b(?:\w*token|\w*secret|password|code|state|code_verifier)=[^\s&"',]+
    """,
    re.VERBOSE | re.IGNORECASE,
)
#: Longer text is cut: nobody reads it, and looking through what a stranger sent must not take long.
_LONGEST_CHARS = 4_000
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

#: Loggers that bring handlers of their own, whose lines would pass beside the net.
_OTHER_WRITERS = ("gunicorn.access", "gunicorn.error", "rq.worker")
#: So many places of an error are logged.
_FRAMES = 5


def redact(value: object) -> object:
    """Blot out personal data and secrets in text, also inside of tables and lists; other values pass unchanged."""
    if isinstance(value, str):
        cut = value if len(value) <= _LONGEST_CHARS else f"{value[:_LONGEST_CHARS]} [cut]"
        return _PERSONAL.sub("[redacted]", cut)
    if isinstance(value, Mapping):
        return {key: _redact_named(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(inner) for inner in value]
    if isinstance(value, BaseException):
        return type(value).__name__  # its message may quote anything
    return value


def _redact_named(name: object, value: object) -> object:
    return "[redacted]" if str(name).lower() in _SECRET_KEYS else redact(value)


def _without_message(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Tell an error by its class and its places: its message may quote what a caller said."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    err = given[1] if isinstance(given, tuple) else given
    if isinstance(err, BaseException):
        event.setdefault("error", type(err).__name__)
        event.setdefault("where", places(err))
    return event


def _redact_all(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _redact_named(key, value) if key != "timestamp" else value
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
        _without_message,
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
    for name in _OTHER_WRITERS:
        other = logging.getLogger(name)
        other.handlers.clear()
        other.propagate = True


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """Give a logger that carries the module's name."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


def places(err: BaseException) -> list[str]:
    """Give the innermost places of an error, the place where it was raised last."""
    frames = traceback.extract_tb(err.__traceback__)[-_FRAMES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


bind = structlog.contextvars.bind_contextvars
clear = structlog.contextvars.clear_contextvars
