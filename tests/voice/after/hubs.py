"""A hub in miniature on a real socket: keeps what it is sent, answers as it is told, can be down."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

PORT_ANY = 0
#: Those that were started, for whoever closes them.
OPEN = []


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(eq=False)
class SmallHub:
    """``answer`` gives a status, headers and perhaps a body, or None to cut the line; without it all is taken once."""

    answer: Callable[[Request], tuple | None] | None = None
    port: int = PORT_ANY
    asked: list[Request] = field(default_factory=list)
    events: dict[str, bytes] = field(default_factory=dict)
    tools: dict[str, list[dict]] = field(default_factory=dict)
    recordings: dict[str, bytes] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _writers: set = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> SmallHub:
        """Answer, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        if self not in OPEN:
            OPEN.append(self)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Answer nobody any more."""
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0)

    async def _serve(self, reader, writer) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while request := await self._request(reader):
                self.asked.append(request)
                said = self.answer(request) if self.answer else (self._take(request), {})
                if said is None:
                    break
                status, headers, *given = said
                usual = b'{"type":"about:blank","title":"made up"}' if status >= 400 else b"{}"
                body = given[0] if given else usual
                lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    async def _request(self, reader) -> Request | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, path, headers, body)

    def _take(self, request: Request) -> int:
        parts = request.path.split("/")
        if request.path == "/v1/events":
            name = json.loads(request.body)["id"]
            before = self.events.setdefault(name, request.body)
            return 202 if before is request.body else 200 if before == request.body else 409
        if request.path.endswith("/tools"):
            self.tools[parts[4]] = json.loads(request.body)["calls"]
        elif request.path.endswith("/recording"):
            self.recordings[parts[4]] = request.body
        return 200

    take = _take
