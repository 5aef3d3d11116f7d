"""Posting to addresses that tenants choose, so that nothing inside our own network can be reached through us.

The name is looked up once, every address it stands for must be a public one, and the connection goes to exactly what
was looked at: a second look-up could give another answer. Redirects and proxies are not followed, and the whole call
has a deadline, however slowly the other side drips.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import httpcore

CONNECT_S: Final = 5.0
READ_S: Final = 15.0
WHOLE_S: Final = 20.0
LONGEST_URL: Final = 2_000
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotAllowed(Exception):
    """The address is none that we post to; the message says why."""


class NoAnswer(Exception):
    """The other side did not answer; the message says how, without anything that it sent."""


def check(url: str, *, allow_loopback: bool) -> SplitResult:
    """Check what can be seen of an address without looking it up; raises NotAllowed."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise NotAllowed("This is not an address.") from None
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise NotAllowed("This is not an address.")
    if not host or parts.scheme not in {"https", "http"}:
        raise NotAllowed("The address must begin with https://.")
    if parts.username is not None or parts.password is not None:
        raise NotAllowed("The address must not hold a name or a password.")
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        literal = None
    if literal is not None:
        _check_all([literal], allow_loopback=allow_loopback)
    is_here = literal.is_loopback if literal else host == "localhost"
    if parts.scheme == "http" and not (allow_loopback and is_here):
        raise NotAllowed("The address must begin with https://.")
    return parts


def _check_all(found: Iterable[Address], *, allow_loopback: bool) -> None:
    for one in found:
        if allow_loopback and one.is_loopback:
            continue
        if any(not _is_public(inner) for inner in (one, *_inside(one))):
            raise NotAllowed("The address leads into a private network.")


def _is_public(address: Address) -> bool:
    """Tell whether an address is anybody's in the internet: not one that is kept for networks of their own.

    Among the reserved ones are 64:ff9b:1::/48, which leads to the IPv4 addresses of one network (RFC 8215), and forms
    that are no longer in use, such as ::127.0.0.1. Only the well-known prefix of that kind leads to public ones.
    """
    if isinstance(address, ipaddress.IPv6Address) and (
        address.is_site_local or (address.is_reserved and address not in _NAT64)
    ):
        return False
    return address.is_global and not address.is_multicast


def _inside(address: Address) -> Iterable[ipaddress.IPv4Address]:
    """Give the IPv4 addresses that an IPv6 address is another spelling of."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return [one for one in found if one is not None]


def _look_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as err:
        raise NoAnswer("The name cannot be found.") from err
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class _Stream(httpcore.NetworkStream):
    """A connection that is given up at a moment, whatever single steps may take."""

    def __init__(self, inner: httpcore.NetworkStream, until: float) -> None:
        self._inner, self._until = inner, until

    def _left_s(self, timeout: float | None) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if timeout is None else min(left, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left_s(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left_s(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._left_s(timeout))
        return _Stream(inner, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to public addresses only; asks for a name once."""

    def __init__(self, *, allow_loopback: bool, needs_loopback: bool, until: float) -> None:
        self._allow_loopback, self._needs_loopback = allow_loopback, needs_loopback
        self._until = until
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        found = _look_up(host, port)
        addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in found]
        _check_all(addresses, allow_loopback=self._allow_loopback)
        if self._needs_loopback and not all(one.is_loopback for one in addresses):
            raise NotAllowed("The address must begin with https://.")
        stream = self._plain.connect_tcp(found[0], port, timeout, local_address, socket_options)
        return _Stream(stream, self._until)


@cache
def _trust() -> ssl.SSLContext:
    return httpcore.default_ssl_context()


@dataclass(frozen=True, slots=True)
class Outside:
    """The way out. ``allow_loopback`` lets tests and demos post to this machine, also without TLS.

    ``trust`` replaces the usual certificate authorities; ``whole_s`` is how long, in seconds, a call may take in all.
    """

    allow_loopback: bool = False
    trust: ssl.SSLContext | None = field(default=None, repr=False)
    whole_s: float = WHOLE_S

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post once and give the status; the answer's body is not read. Raises NotAllowed or NoAnswer."""
        parts = check(url, allow_loopback=self.allow_loopback)
        backend = _Backend(
            allow_loopback=self.allow_loopback,
            needs_loopback=parts.scheme == "http",
            until=time.monotonic() + self.whole_s,
        )
        limits = {"connect": CONNECT_S, "read": READ_S, "write": READ_S, "pool": CONNECT_S}
        pool = httpcore.ConnectionPool(
            ssl_context=self.trust or _trust(), network_backend=backend, max_connections=1
        )
        try:
            with (
                pool,
                pool.stream(
                    "POST",
                    url,
                    headers=list(headers.items()),
                    content=body,
                    extensions={"timeout": limits},
                ) as answer,
            ):
                status: int = answer.status
                return status
        except httpcore.ConnectError as err:
            is_tls = isinstance(err.__cause__, ssl.SSLError) or "SSL" in str(err)
            told = "Its certificate is not valid." if is_tls else "No connection could be made."
            raise NoAnswer(told) from err
        except httpcore.TimeoutException as err:
            raise NoAnswer("It did not answer in time.") from err
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as err:
            raise NoAnswer("It broke off without an answer.") from err
