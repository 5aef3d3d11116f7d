"""The telephone network: numbers, the people behind them, and calls."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from voice.sandbox.faults import Faults
from voice.sandbox.serving import serving
from voice.sandbox.twilio.call import Call, Dialling
from voice.sandbox.twilio.caller import Action
from voice.sandbox.twilio.habits import Habits, Staff
from voice.sandbox.twilio.recordings import Recordings
from voice.sandbox.twilio.rest import rest_app
from voice.sandbox.twilio.signing import SharedKey, Signer
from voice.sandbox.twilio.web import Route

#: Where faults can happen, and what each place knows.
PLACES: Mapping[str, str] = {
    "twilio.webhook": "a request for TwiML: refuse, duplicate (for_s later), stall (its answer, for_s)",
    "twilio.callback": "a callback: stop (lost), stall (late), duplicate",
    "twilio.relay.connect": "the opening of a ConversationRelay socket: refuse",
    "twilio.relay.voice": "a text to be spoken: error (this session's voice is not heard any more)",
    "twilio.relay": "a message to the application: disconnect, stall, malformed, duplicate",
    "twilio.media.connect": "the opening of a media socket: refuse",
    "twilio.media": "a frame to the application: disconnect, stall, malformed, duplicate",
    "twilio.mark": "a mark that is echoed: stop (lost), stall (late)",
    "twilio.rest": "a request to the REST API: error (status), stall",
    "twilio.recording": "a recording's file: error (status; 404 is “not ready”), stall",
}


@dataclass(frozen=True, slots=True)
class Number:
    """A telephone number of the account and where its calls go."""

    voice_url: str
    voice_method: str = "POST"
    fallback_url: str | None = None
    status_callback: str | None = None
    #: Numbers tell of the end only; calls placed by the API may tell of more.
    status_events: frozenset[str] = frozenset({"completed"})


@dataclass
class PhoneNetwork:
    """Twilio, as far as an application sees it. Use it as ``async with PhoneNetwork(...).open() as phone``."""

    public_url: str = "https://voice.example"
    account_sid: str = "AC" + "0" * 31 + "1"
    auth_token: str = "sandbox-auth-token"  # noqa: S105 - of a sandbox
    shared_key: SharedKey | None = None
    habits: Habits = field(default_factory=Habits)
    faults: Faults = field(default_factory=Faults)
    staff: dict[str, Staff] = field(default_factory=dict)
    #: Sids are made from it; by default they are new each time, as Redis outlives a simulation.
    seed: str = field(default_factory=lambda: uuid.uuid4().hex)
    allow_plain_sockets: bool = False
    numbers: dict[str, Number] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    recordings: Recordings = field(default_factory=Recordings)
    rest_url: str = ""
    _at: str = ""
    _sids: int = 0

    @asynccontextmanager
    async def open(self, port: int = 0) -> AsyncIterator[PhoneNetwork]:
        """Serve the REST API while the block runs; ``rest_url`` is then its address."""
        async with serving(rest_app(self), port) as at:
            self.rest_url = self.recordings.rest_url = f"http://{at}"
            yield self
            for call in list(self.calls.values()):
                await call.finished()

    def connect(self, at: str) -> None:
        """Say on which loopback ``host:port`` the application at the public address is."""
        self._at = at

    @property
    def route(self) -> Route:
        """How the application is reached."""
        return Route(self.public_url, self._at)

    @property
    def signer(self) -> Signer:
        """How requests are signed."""
        return Signer(self.auth_token, self.shared_key)

    def number(self, number: str, path: str = "/twilio/voice") -> Number:
        """Buy a number and direct it to the usual addresses of the application."""
        bought = Number(
            voice_url=self.public_url + path,
            fallback_url=self.public_url + "/twilio/fallback",
            status_callback=self.public_url + "/twilio/status",
        )
        self.numbers[number] = bought
        return bought

    def call(
        self,
        *,
        to: str,
        from_: str = "+14155550132",
        caller: Sequence[Action] = (),
        forwarded_from: str | None = None,
        caller_name: str | None = None,
        language: str = "en-US",
        sid: str | None = None,
    ) -> Call:
        """Place a call. It goes on by itself; ``await call.finished()`` gives its report.

        ``sid`` names it; otherwise it gets one of its own.
        """
        dialling = Dialling(
            to=to,
            from_=from_,
            forwarded_from=forwarded_from,
            caller_name=caller_name,
            language=language,
        )
        call = Call(self, self.numbers[to], dialling, caller, sid=sid)
        self.calls[call.sid] = call
        return call

    def new_sid(self, prefix: str) -> str:
        """Make a sid."""
        self._sids += 1
        digest = hashlib.sha256(f"{self.seed}:{prefix}:{self._sids}".encode()).hexdigest()
        return prefix + digest[:32]
