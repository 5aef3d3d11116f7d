"""Slows down guessing of passwords: tries are counted per account and per address, in Redis.

Without Redis every try is let through; the slow hash still stands in the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address, ip_network

from redis.exceptions import RedisError

from hub import log
from hub.context import Hub
from hub.db.people import plain_email

_WINDOW_S = 60
_log = log.get(__name__)


class TooManyTries(Exception):
    """This account or address has been tried too often; ``wait_s`` says when the next try is taken."""

    def __init__(self, wait_s: int) -> None:
        """Keep how long to wait, in seconds."""
        super().__init__(f"try again in {wait_s} seconds")
        self.wait_s = wait_s


class Try:
    """One try to sign in; ``succeed`` takes it out of the count of failures."""

    def __init__(self) -> None:
        """Begin as a failure."""
        self.is_right = False

    def succeed(self) -> None:
        """Say that the password was right."""
        self.is_right = True


@contextmanager
def counted(hub: Hub, *, email: str | None, address: str) -> Iterator[Try]:
    """Count a try before the password is looked at, so that tries at the same time count too.

    Without an ``email`` (a provider tells it later) only the address is counted. Raises TooManyTries above
    ``sign_ins_per_minute`` failures of the account or the address.
    """
    keys: tuple[str, ...] = (f"sign-in:address:{_network(address)}",)
    if email is not None:
        account = hashlib.sha256(plain_email(email).encode()).hexdigest()[:32]
        keys = (f"sign-in:account:{account}", *keys)
    for key in keys:
        _count(hub, key)
    attempt = Try()
    yield attempt
    if attempt.is_right:
        _uncount(hub, keys)


def _network(address: str) -> str:
    """Give what one sender has: an IPv4 address, or the /64 network from which IPv6 addresses are taken at will."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
    return str(found)


def _count(hub: Hub, key: str) -> None:
    try:
        with hub.redis.pipeline(transaction=True) as pipe:
            pipe.set(key, 0, ex=_WINDOW_S, nx=True)
            pipe.incr(key)
            pipe.ttl(key)
            _, tries, wait_s = pipe.execute()
    except RedisError as err:
        _log.warning("sign-in was not counted", kind=type(err).__name__)
        return
    if tries > hub.settings.sign_ins_per_minute:
        raise TooManyTries(max(int(wait_s), 1))


def _uncount(hub: Hub, keys: tuple[str, ...]) -> None:
    try:
        with hub.redis.pipeline(transaction=True) as pipe:
            for key in keys:
                pipe.set(key, 1, ex=_WINDOW_S, nx=True)
                pipe.decr(key)
            pipe.execute()
    except RedisError as err:
        _log.warning("sign-in was not counted", kind=type(err).__name__)
