"""The log lines of the voice service: JSON on standard error, ids and counts, never what anybody said.

Errors are told by their class and their places: a message may quote a caller. What looks like a telephone number or a
secret is blotted out of every value, as a second net.
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
    r"\+\d(?:[\s().\-/]{0,3}\d){6,14}|(?<![\w:.])\(?\d(?:[\s()\-/]{0,3}\d){8,14}(?!\w)|(?<![^\s@])[^\s@]++@\S+"
    r"|\b(?:Bearer|Basic)\s+[^\s\"',]+|\b(?:\w*token|\w*secret|password)=[^\s&\"',]+",
    re.IGNORECASE,
)
_SECRET = frozenset(
    {
        "authorization",
        "body",
        "password",
        "phone",
        "secret",
        "summary",
        "text",
        "token",
        "transcript",
    }
)
_LONGEST_CHARS = 2_000
_FRAMES = 5


def configure(*, level: str, style: str, stream: TextIO | None = None) -> None:
    """Send all log lines to ``stream`` (standard error) as JSON, or as text for a terminal."""
    out = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_message,
        _redacted,
    ]
    renderer: Any = structlog.processors.JSONRenderer()
    if style == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    backend = logging.StreamHandler(out)
    backend.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [backend]
    root.setLevel(logging.WARNING)


def _without_message(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    err = given[1] if isinstance(given, tuple) else given
    if isinstance(err, BaseException):
        event.setdefault("error", type(err).__name__)
        frames = traceback.extract_tb(err.__traceback__)[-_FRAMES:]
        event["where"] = [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames]
    return event


def _redacted(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key.lower() in _SECRET:
            event[key] = "[redacted]"
        elif isinstance(value, str) and key not in {"timestamp", "level"}:
            event[key] = _PERSONAL.sub("[redacted]", value[:_LONGEST_CHARS])
    return event
