"""A small load client: connections that are kept open, each posting one request after the other."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Load:
    """What was answered: requests per second of the whole load, and how often each status."""

    per_s: float
    statuses: Counter[int] = field(default_factory=Counter)


def post_for(
    seconds: float, port: int, requests_of: Callable[[int], Iterator[bytes]], *, connections: int
) -> Load:
    """Post on several connections at once; ``requests_of`` gives the requests of one connection."""
    statuses: Counter[int] = Counter()
    lock = threading.Lock()
    until = time.monotonic() + seconds

    def run(number: int) -> None:
        seen: Counter[int] = Counter()
        with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in requests_of(number):
                link.sendall(request)
                seen[_status(link)] += 1
                if time.monotonic() >= until:
                    break
        with lock:
            statuses.update(seen)

    began = time.monotonic()
    threads = [threading.Thread(target=run, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(statuses.total() / (time.monotonic() - began), statuses)


def _status(link: socket.socket) -> int:
    """Read one answer to its end; gives its status."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = link.recv(65_536)
        if not more:
            raise ConnectionError("the server closed the connection")
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    name = b"content-length:"
    length = next(
        int(line[len(name) :]) for line in head.lower().split(b"\r\n") if line.startswith(name)
    )
    while len(body) < length:
        body += link.recv(65_536)
    return int(head[9:12])


def request(path: str, media_type: str, body: bytes, secret: str = "") -> bytes:
    """Write a POST request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media_type}\r\n"
        f"Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
