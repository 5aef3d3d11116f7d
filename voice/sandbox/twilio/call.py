"""One telephone call: fetches TwiML, performs it, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

from voice import clock
from voice.sandbox.twilio import verbs
from voice.sandbox.twilio.caller import Action, CallerSide, Impatient
from voice.sandbox.twilio.flow import Go, HungUp
from voice.sandbox.twilio.media import MediaStream
from voice.sandbox.twilio.recording import Recording
from voice.sandbox.twilio.report import Posted, Problem, Report
from voice.sandbox.twilio.sound import Sound
from voice.sandbox.twilio.transcription import Transcription
from voice.sandbox.twilio.twiml import BadTwiml, Verb, parse
from voice.sandbox.twilio.web import Web

if TYPE_CHECKING:
    from voice.sandbox.twilio.network import Number, PhoneNetwork

T = TypeVar("T")

RETRIEVAL_FAILURE = 11200
APOLOGY = "We're sorry, an application error has occurred. Goodbye."
_OK = range(200, 300)


class _Failed(Exception):
    """There is no TwiML to perform."""


@dataclass(frozen=True, slots=True)
class _Page:
    url: str
    verbs: tuple[Verb, ...]


@dataclass(frozen=True, slots=True)
class Replacement:
    """What the REST API wants to be performed instead."""

    twiml: str | None = None
    url: str | None = None
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialling:
    """Who calls whom, as the network knows it."""

    to: str
    from_: str
    forwarded_from: str | None = None
    caller_name: str | None = None
    stir_verstat: str | None = "TN-Validation-Passed-A"
    language: str = "en-US"


class Call:
    """A call from its placing to its end. Verbs (in other modules) perform on it."""

    def __init__(  # noqa: D107 - the class says it
        self,
        network: PhoneNetwork,
        number: Number,
        dialling: Dialling,
        script: Sequence[Action],
        *,
        sid: str | None = None,
    ) -> None:
        self.network = network
        self.habits = network.habits
        self.faults = network.faults
        self.number = number
        self.dialling = dialling
        self.sid = sid or network.new_sid("CA")
        self.report = Report(self.sid, status="ringing")
        self.sound = Sound(self.report, self.habits.pace)
        self.web = Web(network.route, network.signer, network.faults, self.sound, self.report)
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.transcriptions: dict[str, Transcription] = {}
        #: Streams beside the call (<Start><Stream>).
        self.streams: list[MediaStream] = []
        self.url = number.voice_url
        self._script = script
        self._side = CallerSide(
            self.sound,
            script,
            language=dialling.language,
            patience_s=self.habits.patience_s,
            stays_s=self.habits.stays_s,
        )
        self._caller: asyncio.Task[None] | None = None
        self._program: asyncio.Task[None] | None = None
        self._replacement: Replacement | None = None
        self._background: set[asyncio.Task[Any]] = set()
        self._events = 0
        self._task = asyncio.create_task(self._run(), name=f"call {self.sid}")

    async def finished(self) -> Report:
        """Wait until the call is over and all that Twilio posts after it is posted."""
        await self._task
        return self.report

    # What verbs use.

    @property
    def is_over(self) -> bool:
        """Whether somebody has hung up."""
        return self.over.done()

    def form(self, **more: str | None) -> dict[str, str]:
        """Give the parameters that every request about this call has, and more."""
        who = self.dialling
        form = {
            "CallSid": self.sid,
            "AccountSid": self.network.account_sid,
            "From": who.from_,
            "To": who.to,
            "Caller": who.from_,
            "Called": who.to,
            "CallStatus": self.report.status,
            "ApiVersion": "2010-04-01",
            "Direction": "inbound",
            "ForwardedFrom": who.forwarded_from,
            "CallerName": who.caller_name,
            "StirVerstat": who.stir_verstat,
            **_place("From", who.from_),
            **_place("To", who.to),
        }
        return {name: value for name, value in {**form, **more}.items() if value is not None}

    def absolute(self, url: str) -> str:
        """Resolve an address against that of the document."""
        return urljoin(self.url, url)

    def problem(self, number: int, message: str) -> None:
        """Write an error down, as in Twilio's debugger."""
        self.report.errors.append(Problem(self.sound.now, number, message))

    def later(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Do something beside the call, even after its end."""
        task = asyncio.create_task(coroutine)
        self._background.add(task)

    def tell(self, why: str, url: str, method: str = "POST", **form: str | None) -> None:
        """Post a callback."""
        self.later(self.web.tell(why, self.absolute(url), self.form(**form), method))

    async def until(self, awaitable: Awaitable[T]) -> T:
        """Wait for something, or raise :class:`HungUp` when the call is over before."""
        if self.is_over:
            _close(awaitable)
            raise HungUp
        task = asyncio.ensure_future(awaitable)
        try:
            both: set[asyncio.Future[Any]] = {task, self.over}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if task.cancelled() or self.is_over:
            raise HungUp
        return task.result()

    def hang_up(self, by: str) -> None:
        """End the call."""
        if not self.over.done():
            self.report.ended_by = by
            self.report.ended_s = self.sound.now
            self.report.status = "completed"
            self.over.set_result(by)

    def answer(self) -> None:
        """Take the call off the hook; the caller's script begins."""
        if self.report.answered_s is None and not self.is_over:
            self.report.answered_s = self.sound.now
            self.report.status = "in-progress"
            self._status_event("answered")
            self.sound.listeners.append(self._side)
            self._caller = asyncio.create_task(self._play_caller(), name=f"caller {self.sid}")

    def replace(self, replacement: Replacement) -> None:
        """Perform something else from now on."""
        self._replacement = replacement
        if self._program:
            self._program.cancel()

    def refuse(self, status: str) -> None:
        """End the call without answering it: busy or no-answer."""
        self.hang_up("twilio")
        self.report.status = status

    def start_recording(
        self, verb: Verb, source: str, *, channels: int, track: str = "both"
    ) -> Recording:
        """Begin a recording by a verb's attributes (callback, events)."""
        callback = verb.get("recordingStatusCallback")
        return self.network.recordings.start(
            self,
            Recording(
                sid=self.network.new_sid("RE"),
                call_sid=self.sid,
                account_sid=self.network.account_sid,
                source=source,
                channels=channels,
                track=track,
                start_s=self.sound.now,
                callback=self.absolute(callback) if callback else None,
                callback_method=verb.get("recordingStatusCallbackMethod") or "POST",
                events=frozenset((verb.get("recordingStatusCallbackEvent") or "completed").split()),
            ),
        )

    # The call itself.

    async def _run(self) -> None:
        self._status_event("initiated")
        self._status_event("ringing")
        program = self._first()
        while True:
            self._program = asyncio.create_task(program, name=f"program {self.sid}")
            await asyncio.wait({self._program})
            replacement, self._replacement = self._replacement, None
            if replacement is None or self.is_over:
                break
            program = self._replaced(replacement)
        self.hang_up("twilio")
        await self._finish()
        if not self._program.cancelled():
            self._program.result()

    async def _first(self) -> None:
        await self._go(Go(self.number.voice_url, {}, self.number.voice_method, "voice"))

    async def _replaced(self, replacement: Replacement) -> None:
        if replacement.url:
            await self._go(Go(replacement.url, {}, replacement.method, "update"))
            return
        try:
            verbs_ = self._parse(replacement.twiml or "")
        except BadTwiml as error:
            self.problem(error.number, error.message)
            await self._apologise()
            return
        await self._go(None, _Page(self.url, verbs_))

    async def _go(self, go: Go | None, page: _Page | None = None) -> None:
        try:
            while go or page:
                page = page or await self._fetch(go)  # type: ignore[arg-type]  # go is set when page is not
                self.url = page.url
                go, page = await self._perform(page.verbs), None
            self.hang_up("twilio")
        except HungUp:
            return
        except _Failed:
            await self._apologise()

    async def _perform(self, document: tuple[Verb, ...]) -> Go | None:
        for verb in document:
            if self.is_over:
                raise HungUp
            if verb.name != "Reject" and not verb.is_on("answerOnBridge"):
                self.answer()
            if go := await verbs.perform(self, verb):
                return go
        return None

    async def _fetch(self, go: Go) -> _Page:
        url = self.absolute(go.url)
        try:
            return self._page(await self._ask(go.why, url, self.form(**go.form), go.method))
        except BadTwiml as error:
            self.problem(error.number, error.message)
            failed = error
        if not self.number.fallback_url:
            raise _Failed
        form = self.form(**go.form, ErrorCode=str(failed.number), ErrorUrl=url)
        try:
            return self._page(await self._ask("fallback", self.number.fallback_url, form, "POST"))
        except BadTwiml as error:
            self.problem(error.number, error.message)
            raise _Failed from error

    async def _ask(self, why: str, url: str, form: dict[str, str], method: str) -> Posted:
        # A request that is under way when the caller hangs up is not taken back.
        task = asyncio.create_task(self.web.ask(why, url, form, method))
        self._background.add(task)
        return await self.until(asyncio.shield(task))

    def _page(self, posted: Posted) -> _Page:
        if posted.status is None or posted.status not in _OK:
            got = "nothing in time" if posted.status is None else f"HTTP {posted.status}"
            raise BadTwiml(RETRIEVAL_FAILURE, f"Got {got} from {posted.url}.")
        return _Page(posted.url, self._parse(posted.answer))

    def _parse(self, document: str) -> tuple[Verb, ...]:
        return parse(document, allow_plain_sockets=self.network.allow_plain_sockets)

    async def _apologise(self) -> None:
        self.answer()
        try:
            await self.until(
                self.sound.play(APOLOGY, language="en-US", voice="man", source="twilio")
            )
        except HungUp:
            return
        self.hang_up("twilio")

    async def _play_caller(self) -> None:
        try:
            await self._side.run()
        except Impatient as error:
            self.problem(0, str(error))
        self.hang_up("caller")

    async def _finish(self) -> None:
        if self._caller:
            self._caller.cancel()
            await asyncio.wait({self._caller})
            if not self._caller.cancelled():
                self._caller.result()
        for transcription in list(self.transcriptions.values()):
            transcription.stop()
        for stream in list(self.streams):
            stream.stop()
        self.network.recordings.finish_all(self)
        self._status_event("completed")
        while self._background:
            done, self._background = self._background, set()
            await asyncio.gather(*done)
        await self.web.close()

    def _status_event(self, event: str) -> None:
        if not self.number.status_callback or event not in self.number.status_events:
            return
        ended = {}
        if event == "completed":
            seconds = round(self.report.duration_s)
            ended = {"CallDuration": str(seconds), "Duration": str(-(-seconds // 60))}
        status = {"initiated": "initiated", "ringing": "ringing", "answered": "in-progress"}
        form = self.form(
            CallStatus=status.get(event, self.report.status),
            SequenceNumber=str(self._events),
            CallbackSource="call-progress-events",
            Timestamp=format_datetime(clock.now()),
            **ended,
        )
        self._events += 1
        self.later(self.web.tell("status", self.number.status_callback, form))


def _place(whose: str, number: str) -> dict[str, str]:
    # Twilio knows where a number was given out; here that is San Francisco, or not known.
    if not number.startswith("+1415"):
        return {}
    where = {"City": "SAN FRANCISCO", "State": "CA", "Zip": "94105", "Country": "US"}
    return {whose + name: value for name, value in where.items()}


def _close(awaitable: Awaitable[Any]) -> None:
    if asyncio.iscoroutine(awaitable):
        awaitable.close()
