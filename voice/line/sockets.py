"""What a line needs of a WebSocket, and how long it is held: until the first of several things is over."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol


class Socket(Protocol):
    """What is needed of a WebSocket; Quart's ``websocket`` is one."""

    async def receive(self) -> str | bytes:
        """Give the next message."""

    async def send(self, data: str) -> None:
        """Send a message."""

    async def close(self, code: int, reason: str = "") -> None:
        """Close the socket."""


async def first(*work: Coroutine[Any, Any, Any]) -> None:
    """Run all until one is done, then cancel the others; raises what that one raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        if not task.cancelled() and (err := task.exception()):
            raise err
