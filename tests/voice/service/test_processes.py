"""Real processes of ``afterbeep voice``: one is killed in the middle of a call, another takes it over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from tests.voice.service.world import ACCOUNT, CALLER, NUMBER, PUBLIC, SmallHub, profile_of, text_of
from voice.sandbox.serving import serving
from voice.sandbox.speech import Pace
from voice.sandbox.twilio.caller import HangUp, Speak
from voice.sandbox.twilio.habits import Habits
from voice.sandbox.twilio.network import PhoneNetwork
from voice.seal import read_keys
from voice.store import SessionStore

pytestmark = pytest.mark.processes

_START_S = 90


def environment(folder, redis_url, hub_at, phone, **more):
    """Give the settings of a process."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AFTERBEEP_")},
        "AFTERBEEP_DATA_DIR": str(folder),
        "AFTERBEEP_VOICE_PORT": "0",
        "AFTERBEEP_VOICE_PUBLIC_URL": PUBLIC,
        "AFTERBEEP_VOICE_TOKEN": "t" * 40,
        "AFTERBEEP_HUB_URL": f"http://{hub_at}",
        "AFTERBEEP_REDIS_URL": redis_url,
        "AFTERBEEP_TWILIO_ACCOUNT_SID": ACCOUNT,
        "AFTERBEEP_TWILIO_AUTH_TOKENS": phone.auth_token,
        "AFTERBEEP_TWILIO_BASE_URL": phone.rest_url,
        **more,
    }


async def voice_process(env):
    """Start a service; gives the process and ``host:port``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub.cli", "voice", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=env,
    )
    async with asyncio.timeout(_START_S):
        told = json.loads(await process.stdout.readline())
        at = told["listens"].removeprefix("http://")
        await _ready(at)
    return process, at


async def _ready(at):
    host, _, port = at.rpartition(":")
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            head = await reader.readline()
            writer.close()
            if b" 200 " in head:
                return
        except OSError:
            pass
        await asyncio.sleep(0.2)


async def _until(is_so, looks=1200):
    for _ in range(looks):
        if is_so():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


class Balancer:
    """Passes each new connection on to the process that is chosen, as a load balancer does."""

    def __init__(self):
        """Choose nobody yet."""
        self.to = ""
        self._server = None

    async def start(self):
        """Listen; gives ``host:port``."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self):
        """Listen no more."""
        self._server.close()

    async def _pass(self, reader, writer):
        host, _, port = self.to.rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, source, sink):
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()


def played(redis_url, folder, caller, in_the_middle, **more):
    """Hold a call on the first of two processes; ``in_the_middle`` does something to it."""

    async def play():
        hub = SmallHub(profiles={NUMBER: profile_of()})
        habits = Habits(pace=Pace({"": 12.0}), stays_s=3.0)
        phone = PhoneNetwork(public_url=PUBLIC, account_sid=ACCOUNT, habits=habits)
        seal = read_keys(None, folder)
        async with phone.open(), serving(hub.app()) as hub_at:
            env = environment(folder, redis_url, hub_at, phone, **more)
            (first, at), (second, other) = await asyncio.gather(
                voice_process(env), voice_process(env)
            )
            balancer = Balancer()
            balancer.to = at
            phone.connect(await balancer.start())
            phone.number(NUMBER)
            call = phone.call(to=NUMBER, from_=CALLER, caller=caller)
            try:
                await _until(
                    lambda: "your name, please" in text_of(call.report).partition("call.")[2]
                )
                balancer.to = other
                await in_the_middle(first)
                report = await call.finished()
                await _until(lambda: report.sid in hub.events)
                store = SessionStore(redis_url, seal)
                session = await store.load(report.sid)
                await store.close()
            finally:
                balancer.stop()
                for process in (first, second):
                    if process.returncode is None:
                        process.kill()
                    await process.wait()
            return report, session, hub, first.returncode

    return asyncio.run(play())


def test_a_killed_process_loses_no_word(redis_url, tmp_path):
    """SIGKILL in the middle of a call: another process asks on, and the event has both halves."""

    async def kill(process):
        process.send_signal(signal.SIGKILL)
        await process.wait()

    report, session, hub, _ = played(
        redis_url,
        tmp_path,
        [
            Speak("My kitchen tap is leaking badly."),
            Speak("This is Dana Whitfield.", hears="say that again"),
            Speak("Yes.", hears="best one"),
            HangUp(),
        ],
        kill,
    )

    assert session.talk.slots["name"] == "Dana Whitfield"
    assert "tap" in session.talk.slots["reason"]
    assert "relay:dropped" in session.fallbacks
    assert text_of(report).count("I'm the automated assistant") == 1
    assert hub.events[report.sid]["data"]["caller"]["name"]["full"] == "Dana Whitfield"


def test_a_process_that_is_told_to_stop_hands_its_calls_over(redis_url, tmp_path):
    """SIGTERM: after the time that calls are given, the socket closes and another process goes on."""

    async def stop(process):
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await process.wait()

    _, session, _, code = played(
        redis_url,
        tmp_path,
        [
            Speak("My kitchen tap is leaking badly."),
            Speak("This is Dana Whitfield.", hears="say that again"),
            Speak("Yes.", hears="best one"),
            HangUp(),
        ],
        stop,
        AFTERBEEP_VOICE_DRAIN_S="0.2",
    )

    assert code == 0
    assert session.talk.slots["name"] == "Dana Whitfield"


def test_wrong_settings_are_one_sentence_each(tmp_path):
    """Exit code 2, and no traceback."""
    ended = subprocess.run(
        [sys.executable, "-m", "hub.cli", "voice"],
        env={
            **os.environ,
            "AFTERBEEP_VOICE_PUBLIC_URL": "ftp://x",
            "AFTERBEEP_DATA_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 2
    assert "AFTERBEEP_VOICE_PUBLIC_URL must be an https address" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_shows_examples_and_settings():
    """Whoever asks sees how it is started."""
    ended = subprocess.run(
        [sys.executable, "-m", "hub.cli", "voice", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "Examples:" in ended.stdout
    assert "AFTERBEEP_VOICE_PUBLIC_URL" in ended.stdout
