"""Receivers of alerts on this machine: an HTTP server that checks signatures, and a mail server."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass
class Call:
    """A request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """Give the payload; raises WebhookVerificationError unless this secret signed it just now."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """What arrived, and what is answered next: the first of ``answers``, or 204."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    location: str | None = None

    def types(self, secret: str) -> list[str]:
        """Give the types of all verified payloads in order of arrival."""
        return [call.verified(secret)["type"] for call in self.calls]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Serve HTTP on a free port."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.calls.append(Call(self.path, headers, body))
            self.send_response(state.answers.pop(0) if state.answers else 204)
            if state.location:
                self.send_header("location", state.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/alerts"
    with _served(server):
        yield state


@dataclass
class Mailbox:
    """Mails that arrived; addresses in ``refused`` get a 550."""

    url: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    is_down: bool = False

    def to(self) -> list[str]:
        """Give whom the mails are for."""
        return sorted(str(mail["To"]) for mail in self.mails)


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Serve SMTP on a free port, as RFC 5321 has it for one plain conversation."""
    state = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("421 later" if state.is_down else "220 mail.harbor.example")
            while line := self.rfile.readline():
                word = line.strip().decode().upper()
                if word.startswith(("EHLO", "HELO")):
                    self._say("250 mail.harbor.example")
                elif word.startswith("RCPT"):
                    address = line.decode().partition("<")[2].partition(">")[0]
                    self._say("550 unknown" if address in state.refused else "250 ok")
                elif word == "DATA":
                    self._say("354 go on")
                    self._take()
                elif word == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _take(self) -> None:
            lines = []
            while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            state.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
            self._say("250 taken")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"smtp://127.0.0.1:{server.server_address[1]}"
    with _served(server):
        yield state


@contextmanager
def _served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
