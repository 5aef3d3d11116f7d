"""ConversationRelay, Twilio's side: the session on its socket.

Source: https://www.twilio.com/docs/voice/conversationrelay/websocket-messages (2026-11-30). Shapes
of ``info`` messages as seen by four public applications, two of them Twilio's own; they are not in the documents.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice import clock
from voice.sandbox.twilio.flow import Go, HungUp
from voice.sandbox.twilio.relay_ear import RelayEar
from voice.sandbox.twilio.relay_messages import BadMessage, check
from voice.sandbox.twilio.relay_mouth import RelayMouth, Utterance, interruptible_by
from voice.sandbox.twilio.socket import CannotOpen, Socket, open_socket
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call

CANNOT_CONNECT, SOCKET_ENDED, INVALID_MESSAGE, CONNECTION_FAILED = 64102, 64105, 64107, 39001
_TOO_MANY = 10


@dataclass(slots=True)
class _Outcome:
    status: str
    handoff: str | None = None
    number: int | None = None
    message: str | None = None


async def connect_relay(call: Call, verb: Verb) -> Go | None:
    """Perform <Connect><ConversationRelay>: the action with how it ended, else the next verb."""
    session = _Session(call, verb.children[0])
    began = call.sound.now
    try:
        outcome = await call.until(session.run())
    except HungUp:
        await session.close()
        outcome = _Outcome("completed")
    if outcome.number:
        call.problem(outcome.number, outcome.message or "")
    action = verb.get("action")
    if action:
        form = {
            "SessionId": session.sid,
            "SessionStatus": outcome.status,
            "SessionDuration": str(round(call.sound.now - began)),
            "HandoffData": outcome.handoff,
            "ErrorCode": str(outcome.number) if outcome.number else None,
            "ErrorMessage": outcome.message,
        }
        given = {name: value for name, value in form.items() if value is not None}
        go = Go(call.absolute(action), given, verb.get("method") or "POST")
        if not call.is_over:
            return go
        call.later(call.web.ask("action", go.url, call.form(**go.form), go.method))
    if call.is_over:
        raise HungUp
    return None


class _Session:
    def __init__(self, call: Call, verb: Verb) -> None:
        self.sid = call.network.new_sid("VX")
        self._call = call
        self._verb = verb
        self._socket: Socket | None = None
        self._mouth = RelayMouth(call, verb, self._send)
        self._ear = RelayEar(call, verb, self._mouth, self._send)
        self._ended: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
        self._unknown = 0

    async def run(self) -> _Outcome:
        try:
            self._socket = await open_socket(
                self._call, self._call.absolute(self._verb.get("url") or ""), "twilio.relay"
            )
        except CannotOpen as error:
            await self.close()
            return _Outcome("failed", None, CANNOT_CONNECT, f"Unable to connect: {error}")
        try:
            self._send(self._setup())
            self._call.sound.listeners.append(self._ear)
            self._greet()
            reader = asyncio.create_task(self._read(self._socket))
            both: set[asyncio.Future[Any]] = {reader, self._ended}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            reader.cancel()
            if self._ended.done():
                return self._ended.result()
            reader.result()
            return self._dropped()
        finally:
            await self.close()

    async def close(self) -> None:
        """Fall silent and let go of the socket."""
        self._mouth.stop()
        self._ear.stop()
        if self._ear in self._call.sound.listeners:
            self._call.sound.listeners.remove(self._ear)
        socket, self._socket = self._socket, None
        if socket:
            self._call.later(socket.close())

    def _dropped(self) -> _Outcome:
        if self._socket and self._socket.is_cut:
            return _Outcome(
                "failed", None, CONNECTION_FAILED, "Network connection to WebSocket server failed."
            )
        return _Outcome("failed", None, SOCKET_ENDED, "WebSocket ended by the application.")

    def _send(self, message: dict[str, Any]) -> None:
        if self._socket:
            if message["type"] == "info":
                message = {**message, "ts": round(clock.now().timestamp() * 1000)}
            self._socket.send(message)

    def _setup(self) -> dict[str, Any]:
        who = self._call.dialling
        return {
            "type": "setup",
            "sessionId": self.sid,
            "accountSid": self._call.network.account_sid,
            "parentCallSid": "",
            "callSid": self._call.sid,
            "from": who.from_,
            "to": who.to,
            "forwardedFrom": who.forwarded_from or "",
            "callType": "PSTN",
            "callerName": who.caller_name or "",
            "direction": "inbound",
            "callStatus": "RINGING",
            "customParameters": self._verb.parameters(),
        }

    def _greet(self) -> None:
        if greeting := self._verb.get("welcomeGreeting"):
            allowed = self._verb.get("welcomeGreetingInterruptible")
            self._mouth.say(Utterance(greeting, interruptible=interruptible_by(allowed)), last=True)

    async def _read(self, socket: Socket) -> None:
        while (raw := await socket.receive()) is not None:
            try:
                message = check(raw)
            except BadMessage as error:
                socket.note(raw)
                self._refuse(str(error), is_unknown=error.is_unknown)
                if self._unknown >= _TOO_MANY:
                    await self._give_up(socket)
                    return
                continue
            self._unknown = 0
            socket.note(message)
            self._take(message)

    def _refuse(self, why: str, *, is_unknown: bool) -> None:
        self._unknown += is_unknown
        self._call.problem(INVALID_MESSAGE, why)
        self._send({"type": "error", "description": f"Invalid message received: {why}"})

    async def _give_up(self, socket: Socket) -> None:
        reason = "Too many consecutive malformed messages"
        await socket.close(1007, reason)
        if not self._ended.done():
            self._ended.set_result(_Outcome("failed", None, SOCKET_ENDED, reason))

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "text":
                self._mouth.take_text(message)
            case "play":
                self._mouth.take_play(message)
            case "sendDigits":
                self._mouth.take_digits(message["digits"])
            case "language":
                self._mouth.switch(message.get("ttsLanguage"))
                self._ear.switch(message.get("transcriptionLanguage"))
            case _:
                # Nothing says that what is being said is finished first; so it is not.
                handoff = message.get("handoffData")
                if not self._ended.done():
                    self._ended.set_result(_Outcome("ended", handoff))
