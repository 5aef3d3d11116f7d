"""The way out reaches public addresses only, follows nothing, and gives up in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from hub.alerts import outside
from hub.alerts.outside import NoAnswer, NotAllowed, Outside
from tests.alerts.receiving import Receiver


@pytest.mark.parametrize(
    "url",
    [
        "http://alerts.harbor.example/",
        "ftp://alerts.harbor.example/",
        "https://",
        "https://user:secret@alerts.harbor.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://224.0.0.1/",
        "https://alerts.harbor.example/a b",
        "https://alerts.harbor.example/\nx",
        "https://[::1",
        "https://alerts.harbor.example:99999/",
        f"https://alerts.harbor.example/{'x' * 2_000}",
    ],
)
def test_what_leads_inside_is_refused(url: str) -> None:
    """Before anything is looked up or connected to."""
    with pytest.raises(NotAllowed):
        outside.check(url, allow_loopback=False)
    with pytest.raises(NotAllowed):
        Outside().post(url, {}, b"")


@pytest.mark.parametrize("url", ["https://alerts.harbor.example/x?y=z", "https://[2606:4700::1]/"])
def test_public_addresses_are_fine(url: str) -> None:
    """A name is judged when it is looked up."""
    assert outside.check(url, allow_loopback=False).hostname


def test_a_name_that_leads_inside_is_refused() -> None:
    """The name is public in its looks; what counts is what it stands for."""
    with pytest.raises(NotAllowed, match="private network"):
        Outside().post("https://localhost:9/", {}, b"")


def test_other_spellings_of_this_machine_are_refused() -> None:
    """As the resolver reads them, so they are judged."""
    for host in ("127.1", "2130706433", "0x7f000001"):
        with pytest.raises((NotAllowed, NoAnswer)):
            Outside().post(f"https://{host}:9/", {}, b"")


def test_loopback_allows_no_private_network() -> None:
    """What an operator allows for sandboxes is this machine, nothing else."""
    with pytest.raises(NotAllowed):
        outside.check("https://10.0.0.1/", allow_loopback=True)
    with pytest.raises(NotAllowed):
        outside.check("http://10.0.0.1/", allow_loopback=True)


def test_the_status_is_given(received: Receiver) -> None:
    """Whatever it is; the meaning is the caller's."""
    received.answers += [204, 500]
    way = Outside(allow_loopback=True)

    assert [way.post(received.url, {"content-type": "text/plain"}, b"x") for _ in range(2)] == [
        204,
        500,
    ]


def test_redirects_are_not_followed(received: Receiver) -> None:
    """A 302 is an answer like any other, so that nobody is led inside by one."""
    received.answers.append(302)
    received.location = received.url

    assert Outside(allow_loopback=True).post(received.url, {}, b"") == 302
    assert len(received.calls) == 1


def test_a_proxy_of_the_environment_is_not_used(
    received: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look the name up again."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert Outside(allow_loopback=True).post(received.url, {}, b"") == 204


def test_nobody_there_is_said() -> None:
    """A closed port, without TLS and with it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NoAnswer, match="No connection"):
        Outside(allow_loopback=True).post(f"http://127.0.0.1:{port}/", {}, b"")


@pytest.fixture
def dripping() -> Iterator[int]:
    """A server that sends a byte of its answer now and then, for good."""
    server = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000:
                try:
                    connection.send(bytes([byte]))
                except OSError:
                    return
                if stop.wait(0.05):
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    stop.set()
    thread.join()
    server.close()


def test_a_drip_is_given_up(dripping: int) -> None:
    """Each byte comes in time; the whole answer does not."""
    way = Outside(allow_loopback=True, whole_s=0.5)

    with pytest.raises(NoAnswer, match="in time"):
        way.post(f"http://127.0.0.1:{dripping}/", {}, b"")
