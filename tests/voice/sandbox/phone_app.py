"""A tiny application behind a telephone number, for the facts about Twilio in miniature; not the product."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from quart import Quart, Response, request, websocket
from twilio.request_validator import RequestValidator, get_signature_algorithm

from voice.sandbox import virtual
from voice.sandbox.serving import serving
from voice.sandbox.speech import Pace
from voice.sandbox.twilio.habits import Habits
from voice.sandbox.twilio.network import PhoneNetwork

PUBLIC = "https://voice.example"
NUMBER = "+14155550100"
#: Two words a second makes sums easy.
EASY = Habits(pace=Pace({"": 2.0}), synthesis_s=0.1, end_of_turn_s=0.5, recognition_s=0.1)

Answers = dict[str, str | Callable[[dict[str, str]], str | tuple[str, int]]]


@dataclass
class App:
    """Answers paths with TwiML, and sockets with coroutines; checks every signature with Twilio's own SDK."""

    answers: Answers
    sockets: dict[str, Callable] = field(default_factory=dict)
    secret: str = "sandbox-auth-token"
    got: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    unsigned: list[str] = field(default_factory=list)

    def forms(self, path: str) -> list[dict[str, str]]:
        """What was posted to a path."""
        return [form for to, form in self.got if to == path]

    def quart(self) -> Quart:
        """Make the app."""
        app = Quart("example")

        @app.route("/<path:path>", methods=["GET", "POST"])
        async def answer(path: str) -> Response:
            form = dict((await request.form).items())
            self._check(f"{PUBLIC}{request.full_path.rstrip('?')}", form, request.headers)
            self.got.append((f"/{path}", form))
            what = self.answers.get(f"/{path}", "")
            if callable(what):
                what = what(form)
                if hasattr(what, "__await__"):
                    what = await what
            text, status = what if isinstance(what, tuple) else (what, 200)
            if isinstance(text, bytes):
                return Response(text, status=status, content_type="audio/x-wav")
            return Response(twiml(text) if text else "", status=status, content_type="text/xml")

        @app.websocket("/<path:path>")
        async def talk(path: str) -> None:
            self._check(f"wss://voice.example/{path}", {}, websocket.headers)
            await self.sockets[f"/{path}"]()

        return app

    def _check(self, url: str, form: dict[str, str], headers) -> None:
        algorithm = get_signature_algorithm(headers.get("X-Twilio-Webhooks-Signature-Settings"))
        signature = headers.get("X-Twilio-Signature", "")
        if not RequestValidator(self.secret).validate(url, form, signature, algorithm):
            self.unsigned.append(url)


def twiml(verbs: str) -> str:
    """Wrap verbs into a document."""
    return (
        verbs
        if verbs.startswith("<?xml") or "<Response" in verbs
        else f"<Response>{verbs}</Response>"
    )


@asynccontextmanager
async def phone(app: App, **settings) -> AsyncIterator[PhoneNetwork]:
    """A network with one number, whose calls the app takes."""
    network = PhoneNetwork(public_url=PUBLIC, **{"habits": EASY, **settings})
    async with network.open(), serving(app.quart()) as at:
        network.connect(at)
        network.number(NUMBER)
        yield network


def play(app: App, caller=(), *, then=None, call=None, **settings):
    """Place one call on virtual time and give its report; ``then`` sees the network afterwards."""

    async def main():
        async with phone(app, **settings) as network:
            report = await network.call(to=NUMBER, caller=caller, **(call or {})).finished()
            if then:
                await then(network, report)
            return report

    report = virtual.run(main(), limit=timedelta(hours=2))
    assert app.unsigned == []
    return report


async def receive() -> dict:
    """Give the socket's next message."""
    return json.loads(await websocket.receive())


async def send(**message) -> None:
    """Send a message on the socket."""
    await websocket.send(json.dumps(message))


def spoken(report) -> list[tuple[float, float, str]]:
    """What was heard, from and until when."""
    return [(one.start_s, one.end_s, one.text) for one in report.heard]
