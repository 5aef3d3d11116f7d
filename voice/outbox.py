"""Gives the hub what finished calls left in the spool, until it has taken it.

Of each call first the event, then its tool calls, then its recording, then what Twilio is to forget. A call that
the hub does not take now is tried again, with growing pauses; one that it never will take is parked with the
reason and tried when somebody asks (``afterbeep outbox retry``). No call stands in another one's way.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from prometheus_client import Counter, Gauge

from mappings.event import Voicemail
from voice import clock
from voice.hub_api import HubDown, HubRefused
from voice.redaction import Gate
from voice.seal import Unreadable
from voice.session import ToolCall
from voice.settings import VoiceSettings
from voice.spool import Spool, State, Waiting
from voice.twilio_rest import CallOver, TwilioError

if TYPE_CHECKING:
    from voice.context import Context

_T = TypeVar("_T")
#: Who puts a call here tries it at once (:func:`post_now`). What is left is looked for as often as this.
_LOOK_S = 5.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
#: So many calls in a row without an answer: it is the hub, not the calls.
_IN_A_ROW = 3
_AT_ONCE = 4
_KNOWN = 409
#: A recording may be "not found" for minutes before it is there; after these attempts (some half an hour) it is gone.
_ATTEMPTS_UNFOUND, _ATTEMPTS = 80, 5_000
#: A number that nobody has may be given to a tenant after its first calls.
_OWNERLESS_S = 7 * 24 * 3600.0
_LOG = structlog.get_logger(module=__name__)


class Later(Exception):
    """This step cannot be done now. ``is_hub`` says that the hub is the reason."""

    def __init__(
        self, problem: str, *, is_hub: bool = True, retry_after_s: float | None = None
    ) -> None:
        """Say why."""
        super().__init__(problem)
        self.is_hub = is_hub
        self.retry_after_s = retry_after_s


class Never(Exception):
    """This step cannot be done at all; the message says why."""


def spool_of(context: Context) -> Spool:
    """Give the spool of an installation."""
    return Spool(folder_of(context.settings), context.seal)


def folder_of(settings: VoiceSettings) -> Path:
    """Tell where the spool is."""
    return settings.data_dir / "outbox"


async def run(context: Context) -> None:
    """Post what is in the spool, and what comes, until cancelled."""
    await Outbox(context, Figures(context.metrics.registry)).run()


async def post_now(context: Context, name: str) -> bool:
    """Try one call at once; gives whether the hub has all of it. What is left is for :func:`run`."""
    return await Outbox(context, None).post(name)


class Figures:
    """What Prometheus sees of the outbox."""

    def __init__(self, registry: Any) -> None:
        """Start in a service's registry."""
        self.oldest = Gauge(
            "afterbeep_voice_outbox_oldest_seconds",
            "How long the oldest finished call waits that is not parked",
            registry=registry,
        )
        self.parked = Gauge(
            "afterbeep_voice_outbox_parked",
            "Finished calls that the hub refused for good; somebody has to look",
            registry=registry,
        )
        self.steps = Counter(
            "afterbeep_voice_outbox_steps",
            "What was tried, by kind (event, tools, recording, delete) and how it went",
            ("kind", "result"),
            registry=registry,
        )


class Outbox:
    """Works on one spool with one hub."""

    def __init__(self, context: Context, figures: Figures | None) -> None:
        """Use the context's hub and Twilio."""
        self._context = context
        self._spool = spool_of(context)
        self._figures = figures
        self._failed_in_a_row = 0
        self._rounds_failed = 0
        self._rests_until = 0.0

    async def run(self) -> None:
        """Go round until cancelled. What goes wrong in a round is logged; the next one begins afresh."""
        await _blocking(self._spool.sweep)
        while True:
            try:
                rest = await self.round()
            except OSError as err:
                _LOG.error("outbox could not be read", errno=err.errno)
                rest = _LONGEST_WAIT_S
            await asyncio.sleep(rest)

    async def round(self) -> float:
        """Try every call that is due, oldest first; gives how long to rest."""
        waiting = await _blocking(self._spool.waiting)
        self._show(waiting)
        at = clock.now().timestamp()
        due = iter([one for one in waiting if one.state.parked is None and one.state.due <= at])
        self._failed_in_a_row = 0
        self._rests_until = 0.0
        await asyncio.gather(*(self._work(due) for _ in range(_AT_ONCE)))
        if self._failed_in_a_row < _IN_A_ROW and not self._rests_until:
            self._rounds_failed = 0
            return _LOOK_S
        self._rounds_failed += 1
        asked = self._rests_until - clock.elapsed()
        return max(_LOOK_S, asked, _pause(self._rounds_failed))

    async def post(self, name: str) -> bool:
        """Do all steps of a call that can be done now; gives whether none is left."""
        with self._spool.held(name) as is_mine:
            if not is_mine:
                return False
            while (found := await _blocking(self._spool.one, name)) is not None:
                if found.state.parked:
                    return False
                if not found.steps:
                    await _blocking(self._spool.taken, name, "0-nothing")
                elif not await self._step(found, found.steps[0]):
                    return False
        return True

    async def _work(self, due: Any) -> None:
        for one in due:
            if self._failed_in_a_row >= _IN_A_ROW or self._rests_until:
                return
            await self.post(one.name)

    async def _step(self, call: Waiting, step: str) -> bool:
        kind = step.split("-")[1]
        state = call.state
        try:
            await self._done(call, step, kind)
        except Later as err:
            self._put_off(state, err)
            self._told("later", call, kind, state)
        except Never as err:
            state.parked = f"{kind}: {err}"
            self._told("parked", call, kind, state)
        except Exception as err:  # noqa: BLE001 - whatever is wrong with one call must not stop the others
            self._put_off(state, Later(f"our fault: {type(err).__name__}", is_hub=False))
            self._told("later", call, kind, state)
        else:
            self._failed_in_a_row = 0
            await _blocking(self._spool.taken, call.name, step)
            state.attempts, state.problem = 0, None
            self._told("done", call, kind, state)
            return True
        await _blocking(self._spool.note, call.name, state)
        return False

    def _put_off(self, state: State, why: Later) -> None:
        state.attempts += 1
        state.problem = str(why)
        pause = max(_pause(state.attempts), why.retry_after_s or 0.0)
        state.due = clock.now().timestamp() + pause
        if why.is_hub:
            self._failed_in_a_row += 1
            if why.retry_after_s:
                self._rests_until = clock.elapsed() + why.retry_after_s

    async def _done(self, call: Waiting, step: str, kind: str) -> None:
        try:
            content = await _blocking(self._spool.step, call.name, step)
        except Unreadable as err:
            raise Never(str(err)) from err
        works: Mapping[str, Callable[[Waiting, str, bytes], Coroutine[Any, Any, None]]] = {
            "owner": self._owner,
            "event": self._event,
            "tools": self._tools,
            "recording": self._recording,
            "delete": self._delete,
        }
        if kind not in works:
            raise Never("this version does not know what to do with it")
        try:
            await works[kind](call, step, content)
        except HubDown as err:
            raise Later(str(err), retry_after_s=err.retry_after_s) from err
        except HubRefused as err:
            if err.status != _KNOWN:
                raise Never(str(err)) from err
            # Another process made the event too, from what it knew. The hub keeps the first; so do we.
            _LOG.warning("hub had another event of this call", call=call.call_id, step=kind)

    async def _owner(self, call: Waiting, _step: str, content: bytes) -> None:
        """Find out whose number was dialled, which nobody could tell during the call."""
        asked = json.loads(content)
        for number in filter(None, (asked["to"], asked["forwarded_from"])):
            profile = await self._context.hub.profile(number)
            if profile is None:
                continue
            if profile.is_phi:
                await self._close(call)
            await _blocking(self._spool.assign, call.name, profile.tenant_id)
            return
        if clock.now().timestamp() - call.at > _OWNERLESS_S:
            raise Never("no tenant has the dialled number")
        raise Later("no tenant has the dialled number yet", is_hub=False)

    async def _close(self, call: Waiting) -> None:
        """Treat a call as one with health data, which nobody knew: redact it, and let Twilio forget it."""
        if "1-event" in call.steps:
            document = json.loads(await _blocking(self._spool.step, call.name, "1-event"))
            data = Voicemail.model_validate(document["data"])
            closed = await _blocking(Gate(is_closed=True).event, data)
            document["data"] = closed.model_dump(mode="json", by_alias=True, exclude_none=True)
            changed = json.dumps(document, ensure_ascii=False).encode()
            await _blocking(self._spool.replace, call.name, "1-event", changed)
        for step in call.steps:
            if step.startswith("3-recording-"):
                sid = step.removeprefix("3-recording-")
                about = json.dumps({"sid": sid}).encode()
                await _blocking(self._spool.replace, call.name, f"4-delete-{sid}", about)

    async def _event(self, call: Waiting, _step: str, content: bytes) -> None:
        await self._context.hub.post_event(call.tenant_id, json.loads(content))

    async def _tools(self, call: Waiting, _step: str, content: bytes) -> None:
        calls = [
            ToolCall(**(one | {"at": datetime.fromisoformat(one["at"])}))
            for one in json.loads(content)
        ]
        await self._context.hub.log_tools(call.tenant_id, call.call_id, calls)

    async def _recording(self, call: Waiting, step: str, content: bytes) -> None:
        head, _, audio = content.partition(b"\n")
        about = json.loads(head)
        if not audio:
            audio = await self._downloaded(call, about)
            # The hub may be down for longer than Twilio keeps it.
            await _blocking(self._spool.replace, call.name, step, head + b"\n" + audio)
        await self._context.hub.put_recording(
            call.tenant_id, call.call_id, audio, content_type=about["type"]
        )

    async def _downloaded(self, call: Waiting, about: Mapping[str, Any]) -> bytes:
        try:
            return await self._context.twilio.download(about["url"], channels=about["channels"])
        except TwilioError as err:
            most = _ATTEMPTS_UNFOUND if isinstance(err, CallOver) else _ATTEMPTS
            if call.state.attempts >= most:
                raise Never(f"Twilio does not give the recording {about['sid']}") from err
            raise Later("Twilio does not give the recording yet", is_hub=False) from err

    async def _delete(self, _call: Waiting, _step: str, content: bytes) -> None:
        try:
            await self._context.twilio.delete_recording(json.loads(content)["sid"])
        except TwilioError as err:
            raise Later("Twilio did not delete the recording", is_hub=False) from err

    def _told(self, result: str, call: Waiting, kind: str, state: State) -> None:
        if self._figures:
            self._figures.steps.labels(kind, result).inc()
        if result == "parked":
            _LOG.error("hub refused a call for good", call=call.call_id, reason=state.parked)
        elif result == "later":
            _LOG.warning(
                "hub did not take a call yet",
                call=call.call_id,
                step=kind,
                attempts=state.attempts,
                reason=state.problem,
            )
        else:
            _LOG.info("hub took a call", call=call.call_id, step=kind)

    def _show(self, waiting: list[Waiting]) -> None:
        open_ = [one for one in waiting if one.state.parked is None]
        self._context.metrics.outbox_depth.set(len(open_))
        if self._figures:
            oldest = min((one.at for one in open_), default=None)
            age = 0.0 if oldest is None else max(0.0, clock.now().timestamp() - oldest)
            self._figures.oldest.set(age)
            self._figures.parked.set(len(waiting) - len(open_))


def _pause(attempts: int) -> float:
    """Give a pause that doubles up to half a minute, anywhere in its upper half, so that nobody keeps step."""
    longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(attempts, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


async def _blocking(work: Callable[..., _T], *arguments: Any) -> _T:
    """Do what waits for the disk beside the calls."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)
