"""Serving an app with hypercorn in the loop that runs, as the voice service itself is served."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart


@asynccontextmanager
async def serving(app: Quart, port: int = 0) -> AsyncIterator[str]:
    """Serve the app on loopback while the block runs, once it has started; gives ``127.0.0.1:port``."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    host, bound = listener.getsockname()
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = config.errorlog = None
    config.graceful_timeout = 1
    stop = asyncio.Event()
    task = asyncio.create_task(
        serve(app, config, shutdown_trigger=stop.wait),
        name=f"serving {app.name}",
    )
    try:
        await _has_started(app, task)
        yield f"{host}:{bound}"
    finally:
        stop.set()
        await task


async def _has_started(app: Quart, task: asyncio.Task[None]) -> None:
    """Wait until what the app does before serving is done, or has failed."""
    started = asyncio.Event()

    async def told() -> None:
        started.set()

    app.before_serving_funcs.append(told)
    waiting = asyncio.create_task(started.wait())
    try:
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        app.before_serving_funcs.remove(told)
