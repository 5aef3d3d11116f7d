"""The batch address: takes a multipart of requests apart, and puts their answers together.

Source: https://developers.google.com/workspace/calendar/api/guides/batch (2026-11-22)
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesParser
from http.client import responses
from typing import Any

from connectors.google_calendar.sandbox_documents import Document, RefusedError

_MAX_PARTS = 1_000


@dataclass(frozen=True, slots=True)
class Part:
    """A request inside of a batch; ``name`` is its Content-ID."""

    name: str
    method: str
    target: str
    body: Any


Carry = Callable[[Part], tuple[int, Document | None]]


def run(content_type: str, body: bytes, carry: Carry) -> tuple[str, bytes]:
    """Carry out every part, and give the content type and body of the answer."""
    parts = _read(content_type, body)
    boundary = f"batch_{uuid.uuid4().hex}"
    made = b"".join(_write(part, *carry(part), boundary) for part in parts)
    return f"multipart/mixed; boundary={boundary}", made + f"--{boundary}--\r\n".encode()


def _read(content_type: str, body: bytes) -> list[Part]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + body)
    if not message.is_multipart():
        raise RefusedError(400, "badRequest", "Failed to parse batch request, error: no parts.")
    found = [_part(one) for one in message.get_payload()]
    if len(found) > _MAX_PARTS:
        text = f"The batch request contains too many calls; at most {_MAX_PARTS} are allowed."
        raise RefusedError(400, "badRequest", text)
    return found


def _part(message: Any) -> Part:
    payload = message.get_payload(decode=True).decode()
    head, _, body = payload.replace("\r\n", "\n").partition("\n\n")
    line, *_ = head.split("\n")
    try:
        method, target, _ = line.split(" ", 2)
        read = json.loads(body) if body.strip() else None
    except ValueError as err:
        raise RefusedError(400, "badRequest", "Failed to parse batch request.") from err
    if not target.startswith("/"):
        raise RefusedError(400, "badRequest", "Only paths are allowed in a batch.")
    return Part(str(message["Content-ID"] or ""), method, target, read)


def _write(part: Part, status: int, document: Document | None, boundary: str) -> bytes:
    body = b"" if document is None else json.dumps(document, ensure_ascii=False).encode()
    head = [
        f"--{boundary}",
        "Content-Type: application/http",
        f"Content-ID: <response-{part.name.removeprefix('<')}",
        "",
        f"HTTP/1.1 {status} {responses.get(status, 'Status')}",
        "Content-Type: application/json; charset=UTF-8",
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(head).encode() + body + b"\r\n"
