"""The transport below the SDKs, against a server that misbehaves on the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from connectors.errors import ConnectorError, ContractBroken, Unavailable, Uncertain
from connectors.http import Transport, redacted
from connectors.record import Account

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def _server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one connection by *answer*, after its request's head has been read."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(timeout=10)
        listener.close()


def _session(base_url: str, **parts: object) -> requests.Session:
    account = Account("a", base_url, "secret-token", read_timeout_s=5.0, **parts)
    return Transport("Acme", cost=lambda _request: {"requests": 1}).session(account)


def _error(method: str, answer: Callable[[socket.socket], None]) -> ConnectorError:
    with _server(answer) as url, pytest.raises(ConnectorError) as caught:
        _session(url).request(method, url + "/x", data="{}" if method != "GET" else None)
    return caught.value


def _cut(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def _cut_in_the_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n[{")


def _redirect(connection: socket.socket) -> None:
    connection.sendall(
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://evil.example/\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize("answer", [_cut, _cut_in_the_body])
def test_a_cut_connection(answer):
    """The answer to a write is lost: Uncertain; of a read: Unavailable."""
    assert isinstance(_error("POST", answer), Uncertain)
    assert isinstance(_error("PATCH", answer), Uncertain)
    assert isinstance(_error("GET", answer), Unavailable)


def test_redirects_are_not_followed():
    """A token never goes where an answer points."""
    assert isinstance(_error("GET", _redirect), ContractBroken)


def test_no_other_host_is_reached():
    """A session serves the account's address and nothing else."""
    with pytest.raises(requests.exceptions.InvalidSchema):
        _session("http://127.0.0.1:9").get("http://127.0.0.1:10/x")
    with pytest.raises(requests.exceptions.InvalidSchema):
        _session("https://a.salesforce.com").get("https://a.salesforce.com.evil.example/")


def test_unknown_hosts_are_unavailable():
    """Nothing was sent, so a write may be sent again."""
    with pytest.raises(Unavailable):
        _session("http://nobody.invalid").post("http://nobody.invalid/x", data="{}")


def test_every_answer_is_told():
    """Status, lower-case headers and a duration reach the observer."""
    seen = []

    def observe(status: int, headers: dict[str, str], ms: float) -> None:
        seen.append((status, headers["x-left"], ms >= 0))

    with _server(lambda c: c.sendall(GOOD.replace(b"\r\n\r\n", b"\r\nX-Left: 7\r\n\r\n"))) as url:
        _session(url, observe=observe).get(url + "/x")

    assert seen == [(200, "7", True)]


@pytest.mark.parametrize(
    ("sentence", "values", "expected"),
    [
        (
            "Last Name: data value too large: Dana (max)",
            ["Dana"],
            "Last Name: data value too large: … (max)",
        ),
        ("invalid email address: dana@whitfield.example", [], "invalid email address: …"),
        ("call +1 415 555 0132 back", [], "call … back"),
        ("Bearer abc.def is bad", [], "… is bad"),
        ("bad value: b", ["b"], "bad value: b"),
    ],
)
def test_redaction(sentence, values, expected):
    """Vendors quote what was sent; the sentence for people does not."""
    assert redacted(sentence, values) == expected
