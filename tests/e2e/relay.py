"""Passes connections on from one address to another: ``python -m tests.e2e.relay FROM TO`` (host:port each).

It stands for the way from a host to a vendor, which to every host is an address on the host itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(65_536):
            target.write(piece)
            await target.drain()
    with contextlib.suppress(OSError):
        target.close()


async def _main(source: str, target: str) -> None:
    from_host, _, from_port = source.rpartition(":")
    to_host, _, to_port = target.rpartition(":")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(to_host, int(to_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    server = await asyncio.start_server(pass_on, from_host, int(from_port), backlog=256)
    print("ready", flush=True)  # noqa: T201 - who started it waits for this
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
