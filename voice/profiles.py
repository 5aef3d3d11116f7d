"""Whose number was dialled: the hub is asked, but a hub that is down silences no telephone.

An answer is good for ten seconds. After that the hub is asked again, and when it does not answer the last answer
counts, however old: it is kept in this process and, sealed, in Redis. Without any answer a call is nobody's yet: it
gets :func:`nobody`, a message is taken, and the outbox finds out later whose it is.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from voice import clock
from voice.hub_api import HubApi, HubError
from voice.profile import Consent, LineKind, Profile
from voice.store import SessionStore

_LOG = structlog.get_logger(module=__name__)
_FRESH_S = 10.0
_KEPT_S = 30 * 24 * 3600.0
#: With an older answer at hand, nobody waits longer for the hub than this.
_PATIENCE_S = 1.0
#: After the hub failed, older answers are used without asking.
_PAUSE_S = 3.0
_MOST = 10_000


@dataclass(slots=True)
class _Known:
    profile: Profile | None
    at: float


def nobody(number: str) -> Profile:
    """Give the profile of a number that nobody is known to have: ``tenant_id`` is empty."""
    return Profile(
        tenant_id="",
        number=number,
        name="",
        line=LineKind.RECORD,
        consent=Consent.ANNOUNCE,
        tools=(),
    )


class Profiles:
    """The profiles of dialled numbers, as fresh as the hub allows."""

    def __init__(self, hub: HubApi, store: SessionStore) -> None:
        """Ask this hub, and remember in this store."""
        self._hub = hub
        self._store = store
        self._known: dict[str, _Known] = {}
        self._paused_until = 0.0

    async def find(self, to: str | None, forwarded_from: str | None = None) -> Profile:
        """Give the tenant's profile by the dialled number, else by the number that forwarded; else nobody's.

        Carriers put all kinds of numbers into ForwardedFrom, so that it only counts where ``to`` is nobody's.
        """
        for number in dict.fromkeys((to, forwarded_from)):
            if number and (found := await self._of(number)):
                return found
        return nobody(to or "")

    async def _of(self, number: str) -> Profile | None:
        known = self._known.get(number)
        if known and clock.elapsed() - known.at < _FRESH_S:
            return known.profile
        if known is None and (kept := await self._kept(number)):
            known = _Known(kept, float("-inf"))
        if known and clock.elapsed() < self._paused_until:
            return known.profile
        try:
            async with asyncio.timeout(_PATIENCE_S if known else None):
                fresh = await self._hub.profile(number)
        except (HubError, TimeoutError) as err:
            self._paused_until = clock.elapsed() + _PAUSE_S
            _LOG.warning("hub gave no profile", error=type(err).__name__, has_older=bool(known))
            return known.profile if known else None
        await self._keep(number, fresh)
        return fresh

    async def _keep(self, number: str, profile: Profile | None) -> None:
        before = self._known.pop(number, None)
        self._known[number] = _Known(profile, clock.elapsed())
        if len(self._known) > _MOST:
            self._known.pop(next(iter(self._known)))
        if profile and (before is None or before.profile != profile):
            await self._store.note(_name(number), profile.model_dump_json().encode(), for_s=_KEPT_S)

    async def _kept(self, number: str) -> Profile | None:
        kept = await self._store.noted(_name(number))
        try:
            return Profile.model_validate_json(kept) if kept else None
        except ValidationError:
            return None


def _name(number: str) -> str:
    """Name the note of a number; numbers do not stand in Redis' keys."""
    return f"profile:{hashlib.sha256(number.encode()).hexdigest()[:24]}"
