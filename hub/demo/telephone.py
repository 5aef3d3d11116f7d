"""The demonstration's telephone: the voice service, a telephone network in miniature, and the samples' callers.

The network is a process of its own and is spoken to in JSON Lines. Each sample has a call id for good, so that a second
run finds its event and places no second call.
"""

from __future__ import annotations

import hashlib
import json
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from hub.context import Hub
from hub.demo.house import House
from hub.demo.vendors import port_for
from hub.settings import PREFIX
from hub.voice import numbers
from hub.voice.settings import VoiceSettings, save, voice_settings

NUMBER: Final = "+14155550100"
SOURCE: Final = "/voice"
_ACCOUNT: Final = "AC" + "0" * 31 + "1"
_HOST: Final = "127.0.0.1"
_START_S = 30.0


class NoTelephone(Exception):
    """The telephone network did not start, or has ended; the message says what it said last."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the voice service and the network's REST API listen, as in the run before."""

    voice: int
    rest: int

    @classmethod
    def of(cls, folder: Path) -> Ports:
        """Give the ports, kept beside those of the vendors."""
        return cls(port_for(folder, "voice"), port_for(folder, "telephone"))

    @property
    def voice_url(self) -> str:
        """The voice service's address, which is the public one too."""
        return f"http://{_HOST}:{self.voice}"


@dataclass(frozen=True, slots=True)
class Line:
    """What voice service and network agree on."""

    ports: Ports
    auth_token: str

    @classmethod
    def of(cls, folder: Path) -> Line:
        """Make it anew for each run; the token goes with it."""
        return cls(Ports.of(folder), secrets.token_hex(16))

    def variables(self) -> Mapping[str, str]:
        """Give the settings by which the voice service answers this network's calls."""
        return {
            f"{PREFIX}RUN_VOICE": "1",
            f"{PREFIX}VOICE_HOST": _HOST,
            f"{PREFIX}VOICE_PORT": str(self.ports.voice),
            f"{PREFIX}VOICE_PUBLIC_URL": self.ports.voice_url,
            f"{PREFIX}TWILIO_ACCOUNT_SID": _ACCOUNT,
            f"{PREFIX}TWILIO_AUTH_TOKENS": self.auth_token,
            f"{PREFIX}TWILIO_BASE_URL": f"http://{_HOST}:{self.ports.rest}",
        }


def connect(hub: Hub, home: House) -> None:
    """Give the sample tenant its number, and let its agent ask whether texts are welcome."""
    numbers.put(hub, home.tenant_id, NUMBER, label="Main line", actor="command")
    kept = voice_settings(hub, home.tenant_id)
    # What is recorded here are words in the shape of sound; nobody would like to hear them.
    wanted = kept.settings.model_dump(mode="json") | {
        "consent": "none",
        "records": False,
        "asks_sms_consent": True,
    }
    save(
        hub,
        home.tenant_id,
        VoiceSettings.model_validate(wanted),
        revision=None,
        actor="command",
    )


def call_id(sample: Mapping[str, Any]) -> str:
    """Give a sample's call id: the same for the same words."""
    digest = hashlib.sha256(json.dumps(sample, sort_keys=True).encode()).hexdigest()
    return f"CA{digest[:32]}"


class Network:
    """The telephone network as a process. Use it as a context manager."""

    def __init__(self, line: Line) -> None:
        """Start nothing yet."""
        self._line = line
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Self:
        """Start the process and wait until it is there; raises NoTelephone."""
        words = ["--service", f"{_HOST}:{self._line.ports.voice}"]
        words += ["--public-url", self._line.ports.voice_url, "--number", NUMBER]
        words += ["--auth-token", self._line.auth_token, "--rest-port", str(self._line.ports.rest)]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "voice.sandbox.calls", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=[self._process], daemon=True).start()
        self._hear(_START_S)
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the process."""
        if self._process:
            self._process.kill()
            self._process.communicate()

    def place(self, samples: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Place all calls, some at the same time; gives what came of each, as they end. Raises NoTelephone."""
        for sample in samples:
            self._say({**sample, "call_id": call_id(sample)})
        for _ in samples:
            yield self._hear(_LONGEST_CALL_S)

    def _say(self, what: Mapping[str, Any]) -> None:
        process = self._process
        if process and process.stdin:
            with suppress(BrokenPipeError):  # what is read next tells that it has ended
                process.stdin.write(json.dumps(what) + "\n")
                process.stdin.flush()

    def _read(self, process: subprocess.Popen[str]) -> None:
        if process.stdout:
            for line in process.stdout:
                self._lines.put(line)
        self._lines.put("")

    def _hear(self, within_s: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=within_s)
        except queue.Empty:
            raise NoTelephone(f"The telephone network was silent for {within_s:.0f} s.") from None
        if not line:
            said = (
                self._process.stderr.read().strip()
                if self._process and self._process.stderr
                else ""
            )
            last = said.splitlines()[-1] if said else "?"
            raise NoTelephone(f"The telephone network has ended: {last}")
        found: dict[str, Any] = json.loads(line)
        return found


#: A call that lasts longer has gone wrong.
_LONGEST_CALL_S = 180.0
