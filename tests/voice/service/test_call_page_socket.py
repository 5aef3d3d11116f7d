"""Calls from the hub's call page: who is let in, and a browser that speaks ConversationRelay."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hub.voice import call_pass
from tests.voice.service.world import NUMBER, profile_of, world
from voice.call_pass import Pass, Refusal, Refused, read
from voice.sandbox import virtual

TOKEN = "t" * 40
HUB = "https://hub.example"
ELSEWHERE = ("https://evil.example", "https://hub.example:8443", "null", None)
ALL = "Hi, this is Dana Whitfield, my kitchen tap is leaking, call me at 415 555 0132."


def a_pass(token: str = TOKEN, **changed) -> str:
    """Give a pass as the hub makes it."""
    usual = {
        "call_id": call_pass.new_call_id(),
        "tenant_id": "ten_1",
        "person_id": "per_1",
        "number": NUMBER,
        "caller": None,
        "at": virtual.START,
    }
    return call_pass.make(token, **{**usual, **changed})


class Browser:
    """A browser of the call page: says things and notes what comes back."""

    def __init__(self, socket) -> None:
        """Use an open socket."""
        self._socket = socket
        self.heard: list[dict] = []

    async def send(self, kind: str, **parts) -> None:
        """Send a message."""
        await self._socket.send(json.dumps({"type": kind, **parts}))

    async def say(self, text: str) -> None:
        """Type something, having read what came before."""
        await self.send("info", name="agentSpeaking", value="stop")
        await self.send("prompt", voicePrompt=text, lang="en-US", last=True)

    async def until(self, kind: str, words: str = "") -> dict:
        """Take messages up to one of this kind that holds these words."""
        while True:
            message = json.loads(await self._socket.recv())
            self.heard.append(message)
            if message["type"] == kind and words in json.dumps(message):
                return message

    async def closed(self) -> tuple[int, str]:
        """Wait for the end and give its code and reason."""
        try:
            while True:
                self.heard.append(json.loads(await self._socket.recv()))
        except ConnectionClosed as err:
            return (err.rcvd.code, err.rcvd.reason) if err.rcvd else (1006, "")

    def of(self, kind: str) -> list[dict]:
        """Give the messages of one kind."""
        return [one for one in self.heard if one["type"] == kind]


@asynccontextmanager
async def browser(made, given: str | None, *, origin: str | None = HUB):
    """Open the socket and show a pass."""
    headers = {"Origin": origin} if origin else {}
    async with connect(
        f"ws://{made.at}/browser/relay", additional_headers=headers, proxy=None
    ) as socket:
        one = Browser(socket)
        if given is not None:
            with suppress(ConnectionClosed):  # it may be refused before it is shown
                await one.send("setup", customParameters={"pass": given})
        yield one


async def landed(made, call_id: str) -> dict:
    """Wait for a call's event and give its data."""
    async with asyncio.timeout(120):
        while call_id not in made.hub.events:  # noqa: ASYNC110 - the hub in miniature tells nobody
            await asyncio.sleep(0.5)
    return made.hub.events[call_id]["data"]


async def tried(made, given: str | None, *, origin: str | None = HUB) -> tuple[int, str]:
    """Try a pass; gives how the socket was closed."""
    async with browser(made, given, origin=origin) as one:
        return await one.closed()


def test_a_call_from_a_browser_is_held_and_becomes_an_event(redis_url, tmp_path):
    """The greeting comes as text, slots come as they are known, and the event says where the call was made."""
    call_id = call_pass.new_call_id()

    async def play():
        async with world(redis_url, tmp_path, hub_public_url=HUB) as made:
            async with browser(made, a_pass(call_id=call_id, caller="+14155550177")) as one:
                await one.until("text", "Harbor Home Services")
                await one.say(ALL)
                await one.until("text")
                known = one.of("captured")[-1]
                for text in ("Yes, that's right.", "No, it is not urgent.", "No, that's all."):
                    await asyncio.sleep(1)
                    await one.say(text)
                    await one.until("text")
                await one.send("info", name="agentSpeaking", value="stop")
                code, _ = await one.closed()
            return known, code, one.heard[-1], await landed(made, call_id)

    known, code, last, data = virtual.run(play())

    assert known["slots"]["name"] == "Dana Whitfield"
    assert known["slots"]["number"] == "+14155550132"
    assert not known["is_number_confirmed"]
    assert (code, last["type"]) == (1000, "end")
    assert data["extra"]["placed_in"] == "browser"
    assert (data["call"]["from"], data["call"]["to"]) == ("+14155550177", NUMBER)
    assert data["caller"]["name"]["full"] == "Dana Whitfield"


def test_what_was_said_before_the_socket_was_lost_becomes_an_event(redis_url, tmp_path):
    """A browser that vanishes is a caller who hung up."""
    call_id = call_pass.new_call_id()

    async def play():
        async with world(redis_url, tmp_path, hub_public_url=HUB) as made:
            async with browser(made, a_pass(call_id=call_id)) as one:
                await one.until("text")
                await one.say(ALL)
                await one.until("text")
                one._socket.transport.abort()
            return await landed(made, call_id)

    data = virtual.run(play())

    assert data["callback"]["number"] == "+14155550132"
    assert "tap" in data["reason"]


def test_an_interruption_cuts_what_was_said_to_what_was_heard(redis_url, tmp_path):
    """The event's transcript ends where the browser stopped speaking."""
    call_id = call_pass.new_call_id()

    async def play():
        async with (
            world(redis_url, tmp_path, hub_public_url=HUB) as made,
            browser(made, a_pass(call_id=call_id)) as one,
        ):
            greeting = (await one.until("text"))["token"]
            heard = " ".join(greeting.split()[:3])
            await one.send("info", name="agentSpeaking", value="start")
            await one.send("interrupt", utteranceUntilInterrupt=heard, durationUntilInterruptMs=700)
            await one.say(ALL)
            await one.until("text")
            session = await made.session(call_id)
            return heard, session.turns[0].heard

    heard, kept = virtual.run(play())

    assert kept == heard


def test_a_call_that_is_put_through_goes_on_as_if_nobody_answered(redis_url, tmp_path):
    """The browser is told, and the agent takes the message on the same socket."""
    profile = profile_of(staff={"transfer_to": "+14155550111"})

    async def play():
        async with (
            world(redis_url, tmp_path, profile=profile, hub_public_url=HUB) as made,
            browser(made, a_pass()) as one,
        ):
            await one.until("text")
            await one.say("I want to talk to a real person, please.")
            await one.until("text")
            await one.send("info", name="agentSpeaking", value="stop")
            await one.until("unanswered")
            return (await one.until("text"))["token"]

    assert virtual.run(play()).strip()


REFUSED = {
    "none came": ("", Refusal.NO_PASS),
    "no pass at all": ("what?", Refusal.NOT_OURS),
    "of another hub": (a_pass("x" * 40), Refusal.NOT_OURS),
    "its payload changed": (
        a_pass(number="+14155550101").partition(".")[0] + "." + a_pass().partition(".")[2],
        Refusal.NOT_OURS,
    ),
    "its mac is cut": (a_pass()[:-1], Refusal.NOT_OURS),
    "too late": (a_pass(at=virtual.START - timedelta(minutes=2)), Refusal.EXPIRED),
    "good for too long": (a_pass(at=virtual.START + timedelta(minutes=5)), Refusal.NOT_OURS),
    "of a telephone company's call": (a_pass(call_id="CA" + "0" * 32), Refusal.NOT_OURS),
    "no number": (a_pass(number="911;"), Refusal.NOT_OURS),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_pass_that_is_not_good_allows_nothing(case):
    """Whatever is wrong with it, and whoever made it."""
    given, why = REFUSED[case]

    with pytest.raises(Refused) as refused:
        read(given, TOKEN, virtual.START)

    assert refused.value.why is why


def test_a_pass_is_read_as_the_hub_made_it():
    """Hub and voice service agree without a line in common."""
    call_id = call_pass.new_call_id()

    found = read(a_pass(call_id=call_id, caller="+14155550177"), TOKEN, virtual.START)

    assert found == Pass(call_id, "ten_1", "per_1", NUMBER, "+14155550177")


def test_each_refusal_has_a_close_code_of_its_own(redis_url, tmp_path):
    """Nobody gets in without a pass, with a bad one, for another company's number, twice, or from another site."""
    once = a_pass()

    async def play():
        async with world(redis_url, tmp_path, hub_public_url=HUB) as made:
            codes = [
                await tried(made, None),
                await tried(made, a_pass("x" * 40)),
                await tried(made, a_pass(at=virtual.START - timedelta(minutes=2))),
                await tried(made, a_pass(tenant_id="ten_2")),
            ]
            codes += [await tried(made, a_pass(), origin=origin) for origin in ELSEWHERE]
            calls = await made.context.store.open_calls()
            async with browser(made, once) as one:
                await one.until("text")
            codes.append(await tried(made, once))
            return codes, calls

    codes, calls = virtual.run(play())

    expected = [
        *(Refusal.NO_PASS, Refusal.NOT_OURS, Refusal.EXPIRED, Refusal.NUMBER),
        *(Refusal.ORIGIN,) * 4,
        Refusal.USED,
    ]
    assert codes == [(why.code, why.reason) for why in expected]
    assert calls == ()


def test_a_company_holds_few_calls_at_once(redis_url, tmp_path):
    """The fourth is told that there are too many; one that ends makes room."""

    async def play():
        async with (
            world(redis_url, tmp_path, hub_public_url=HUB) as made,
            browser(made, a_pass()) as first,
            browser(made, a_pass()) as second,
        ):
            await first.until("text")
            await second.until("text")
            async with browser(made, a_pass()) as third:
                await third.until("text")
                code = await tried(made, a_pass())
            await asyncio.sleep(1)
            async with browser(made, a_pass()) as fifth:
                return code, await fifth.until("text")

    code, text = virtual.run(play())

    assert code == (Refusal.BUSY.code, Refusal.BUSY.reason)
    assert text["token"]


def test_no_call_is_made_while_nobody_can_tell_whether_a_pass_was_used(tmp_path):
    """Without Redis calls from browsers are refused."""

    async def play():
        async with world(f"unix://{tmp_path}/none.sock", tmp_path, hub_public_url=HUB) as made:
            return await tried(made, a_pass())

    assert virtual.run(play())[0] == Refusal.AWAY.code


def test_a_pass_does_not_open_twilios_sockets(redis_url, tmp_path):
    """There the signature counts, and nothing else."""

    async def play():
        async with world(redis_url, tmp_path, hub_public_url=HUB) as made:
            try:
                async with connect(
                    f"ws://{made.at}/twilio/relay",
                    additional_headers={"Origin": HUB},
                    proxy=None,
                ) as socket:
                    await socket.send(
                        json.dumps({"type": "setup", "customParameters": {"pass": a_pass()}})
                    )
                    await socket.recv()
            except Exception as err:  # noqa: BLE001 - whichever way it is refused
                return type(err).__name__
            return "let in"

    assert virtual.run(play()) in {"InvalidStatus", "ConnectionClosedError"}
