"""A process that gives a call to the hub and dies at a chosen point.

Points: ``within_write``, ``after_write`` (it is on disk), ``before_answer`` (sent, nothing read), ``before_removal``
(the answer was read), ``never``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.voice.after.conftest import context_for, event_parcel
from voice import outbox
from voice.hub_api import HubApi
from voice.spool import Spool


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def post(folder, url, token, point):
    """Put the call and post it; what a process of its own runs."""
    asyncio.run(_post(folder, url, token, point))


async def _post(folder, url, token, point):
    context = context_for(Path(folder), url)
    context.hub = HubApi(url, token)
    spool = outbox.spool_of(context)
    if point == "within_write":
        Path.rename = _die
    spool.put(event_parcel("CA" + "7" * 32))
    if point == "after_write":
        _die()
    if point == "before_answer":
        context.hub._client.event_hooks = {"response": [lambda _: asyncio.sleep(0, _die())]}
    if point == "before_removal":
        Spool.taken = _die
    if not await outbox.post_now(context, "CA" + "7" * 32):
        sys.exit(3)
