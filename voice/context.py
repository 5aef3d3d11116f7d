"""What a running voice service holds, passed to whatever answers a webhook or a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from voice.hub_api import HubApi
from voice.metrics import Metrics
from voice.model import Model
from voice.profiles import Profiles
from voice.seal import Seal
from voice.settings import VoiceSettings
from voice.store import SessionStore
from voice.twilio_rest import TwilioRest

_LOG = structlog.get_logger(module=__name__)


@dataclass(slots=True)
class Context:
    """Settings and the things made of them. ``model`` is None where no key is set."""

    settings: VoiceSettings
    seal: Seal
    store: SessionStore
    hub: HubApi
    profiles: Profiles
    twilio: TwilioRest
    metrics: Metrics
    model: Model | None = None
    #: Set when the service was asked to stop: no new work, calls may end.
    is_stopping: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set when sockets must close now, so that another process takes their calls.
    is_closing: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run something beside the answer that is being given; an error of it is logged, never raised."""
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (err := task.exception()):
            _LOG.error("background work failed", task=task.get_name(), exc_info=err)
