"""A socket to the application: messages go out in order, and are written down; what goes wrong goes wrong here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from voice.sandbox.faults import Do
from voice.sandbox.twilio.report import Frame

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call

_LONGEST_SHOWN = 2000


class CannotOpen(Exception):
    """The application did not take the socket."""


async def open_socket(call: Call, url: str, place: str) -> Socket:
    """Open a socket; ``place`` is where faults are looked up (``place.connect`` for the opening)."""
    fault = call.faults.take(f"{place}.connect")
    if fault and fault.do is Do.REFUSE:
        raise CannotOpen(f"HTTP {fault.status or 503}")
    try:
        connection = await call.web.open(url)
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise CannotOpen(str(error)) from error
    return Socket(call, connection, place)


class Socket:
    """One socket of a call."""

    def __init__(self, call: Call, connection: ClientConnection, place: str) -> None:  # noqa: D107 - the class says it
        self._call = call
        self._connection = connection
        self._place = place
        self._out: asyncio.Queue[tuple[Mapping[str, Any], bool]] = asyncio.Queue()
        self._sender = asyncio.create_task(self._send_all(), name=f"{place} {call.sid}")
        #: Whether the network has cut it.
        self.is_cut = False

    def send(self, message: Mapping[str, Any], *, note: bool = True) -> None:
        """Send a message after those before it."""
        self._out.put_nowait((message, note))

    async def receive(self) -> str | bytes | None:
        """Give the next message, or None when the socket is closed."""
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            return None

    def note(self, message: object, *, is_ours: bool = False) -> None:
        """Write a message down."""
        shown = message if isinstance(message, dict) else {"raw": str(message)[:_LONGEST_SHOWN]}
        self._call.report.frames.append(Frame(self._call.sound.now, is_ours, shown))

    def cut(self) -> None:
        """Cut the connection, as a network does."""
        self.is_cut = True
        self._connection.transport.abort()

    async def close(self, code: int = 1000, reason: str = "", *, flush: bool = True) -> None:
        """Send what waits, then close."""
        if flush and not self.is_cut:
            await self._out.join()
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)
        await self._connection.close(code, reason)

    async def _send_all(self) -> None:
        while True:
            message, note = await self._out.get()
            try:
                await self._send(message, note=note)
            except ConnectionClosed:
                pass
            finally:
                self._out.task_done()

    async def _send(self, message: Mapping[str, Any], *, note: bool) -> None:
        fault = self._call.faults.take(self._place)
        text = json.dumps(message)
        match fault.do if fault else None:
            case Do.DISCONNECT:
                self.cut()
                return
            case Do.STALL:
                await asyncio.sleep(fault.for_s if fault else 0)
            case Do.MALFORMED:
                text = text[: len(text) // 2]
            case Do.DUPLICATE:
                await self._connection.send(text)
            case _:
                pass
        if note:
            self.note(dict(message), is_ours=True)
        await self._connection.send(text)
