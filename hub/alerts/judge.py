"""What is worth telling: what is, compared with what was last told. Pure: no database, no clock.

Each function gets the last :class:`Told` of one subject (None when all was well) and gives a :class:`Verdict`: what
holds as told from now on, and the news, where there is some. Asked again with what it gave, it has no news.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from hub.db.alerts import AlertType
from hub.db.connections import Health

#: Parts of a budget, in percent, that are told when they are used.
BUDGET_PERCENT: Final = (50, 70, 90, 100)
PARKED_EVERY: Final = timedelta(hours=1)
#: Rows of one batch are parked together: so long is waited that the first alert counts them all.
PARKED_SETTLES: Final = timedelta(seconds=10)
_PROBLEMS: Final = {
    Health.DEGRADED.value: AlertType.DEGRADED,
    Health.NEEDS_RECONNECT.value: AlertType.NEEDS_RECONNECT,
}
_ONSET: Final = "onset"


@dataclass(frozen=True, slots=True)
class Told:
    """What was last told of a subject: the level, since when it holds, and when it was told."""

    level: str
    since: datetime
    told_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell. ``facts`` are numbers and moments (ISO 8601) that go into the alert."""

    type: AlertType
    since: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds as told from now on (None: all is well), and the news where there is some."""

    told: Told | None
    news: News | None = None


@dataclass(frozen=True, slots=True)
class HealthNow:
    """The health of a connection as the database has it."""

    health: str
    health_at: datetime
    last_success_at: datetime | None
    retry_at: datetime | None = None


def health(is_now: HealthNow, told: Told | None, at: datetime, *, steady_s: float) -> Verdict:
    """Tell a problem at once, and recovery after a real success and ``steady_s`` seconds without a problem.

    A connection that falls ill again meanwhile has not recovered, so that flapping is told once.
    """
    kind = _PROBLEMS.get(is_now.health)
    if kind is not None:
        onset = is_now.health_at.isoformat()
        if told is not None and told.level == is_now.health:
            same = told.facts.get(_ONSET) == onset
            facts = {**told.facts, _ONSET: onset}
            return Verdict(told if same else Told(told.level, told.since, told.told_at, facts))
        retry = {"retry_at": is_now.retry_at and is_now.retry_at.isoformat()}
        return Verdict(
            Told(is_now.health, is_now.health_at, at, {_ONSET: onset}),
            News(kind, is_now.health_at, retry),
        )
    if told is None or is_now.health == Health.DISCONNECTED.value:
        return Verdict(None)  # a person disconnected it, and knows
    is_steady = (at - is_now.health_at).total_seconds() >= steady_s
    if not (is_steady and _succeeded(is_now, told)):
        return Verdict(told)
    lasted_s = max(0.0, (is_now.health_at - told.since).total_seconds())
    past: dict[str, Any] = {
        "problem": told.level,
        "problem_since": told.since.isoformat(),
        "lasted_s": lasted_s,
    }
    return Verdict(None, News(AlertType.RECOVERED, is_now.health_at, past))


def _succeeded(is_now: HealthNow, told: Told) -> bool:
    """Tell whether something was delivered since: after reconnecting, or after the last onset of the problem."""
    if is_now.last_success_at is None:
        return False
    if told.level == Health.NEEDS_RECONNECT.value:
        return is_now.last_success_at >= is_now.health_at
    return is_now.last_success_at > datetime.fromisoformat(str(told.facts[_ONSET]))


def pause(paused_at: datetime | None, told: Told | None, at: datetime) -> Verdict:
    """Tell at once that an operator paused a connection, or resumed it."""
    if paused_at is not None:
        if told is not None:
            return Verdict(told)
        return Verdict(Told(Health.PAUSED.value, paused_at, at), News(AlertType.PAUSED, paused_at))
    if told is None:
        return Verdict(None)
    lasted_s = (at - told.since).total_seconds()
    return Verdict(None, News(AlertType.RESUMED, at, {"lasted_s": lasted_s}))


@dataclass(frozen=True, slots=True)
class QueueNow:
    """What waits for a connection and is due: how many, and since when the oldest."""

    waiting: int = 0
    oldest_at: datetime | None = None
    last_success_at: datetime | None = None


def queue_age(
    is_now: QueueNow, told: Told | None, at: datetime, *, thresholds_s: Sequence[float]
) -> Verdict:
    """Tell each age once until the queue clears: until the oldest is half as old as the first age.

    Recovered is told only when something was delivered since; a queue that ended otherwise is told by what ended it.
    """
    age_s = (at - is_now.oldest_at).total_seconds() if is_now.oldest_at else 0.0
    reached = max((one for one in thresholds_s if age_s >= one), default=0.0)
    told_s = float(told.level) if told else 0.0
    if is_now.oldest_at is not None and reached > told_s:
        facts = {"age_s": round(age_s), "threshold_s": reached, "waiting": is_now.waiting}
        since = told.since if told else is_now.oldest_at
        return Verdict(
            Told(str(reached), since, at), News(AlertType.QUEUE_OLD, is_now.oldest_at, facts)
        )
    if told is None or age_s >= thresholds_s[0] / 2:
        return Verdict(told)
    has_success = bool(
        is_now.last_success_at and told.told_at and is_now.last_success_at > told.told_at
    )
    if not has_success:
        return Verdict(None)
    cleared: dict[str, Any] = {"problem_since": told.since.isoformat(), "waiting": is_now.waiting}
    return Verdict(None, News(AlertType.QUEUE_RECOVERED, at, cleared))


@dataclass(frozen=True, slots=True)
class BudgetNow:
    """Where an account stands with a limit that lasts a day, in the limit's units."""

    limit: str
    granted: int
    used: int
    remaining: int
    period_s: float

    @property
    def percent(self) -> float:
        """How much of what was granted is gone, whoever of the account's apps used it."""
        if self.granted <= 0:
            return 0.0  # nothing was granted, so nothing runs out
        return 100.0 * (1 - max(0, self.remaining) / self.granted)


def budget(is_now: BudgetNow, told: Told | None, at: datetime) -> Verdict:
    """Tell each part of a budget once in its period; that it is free again is told by nobody."""
    reached = max((one for one in BUDGET_PERCENT if is_now.percent >= one), default=0)
    told_percent = int(told.level) if told else 0
    if reached > told_percent:
        facts = {
            "limit": is_now.limit,
            "percent": reached,
            "used": is_now.used,
            "granted": is_now.granted,
            "remaining": is_now.remaining,
            "period_s": is_now.period_s,
        }
        return Verdict(Told(str(reached), at, at), News(AlertType.BUDGET_USED, at, facts))
    if told is None or reached == told_percent:
        return Verdict(told)
    if (at - told.since).total_seconds() < is_now.period_s:
        return Verdict(told)
    return Verdict(Told(str(reached), at, told.told_at) if reached else None)


@dataclass(frozen=True, slots=True)
class ParkedNow:
    """What is parked for a connection: how many, when the last came, and since when there are new ones.

    ``fresh`` counts rows that came after ``facts["seen"]`` of what was told, and ``fresh_at`` is when the first of
    them did.
    """

    total: int
    newest_at: datetime | None = None
    fresh: int = 0
    fresh_at: datetime | None = None


def parked(is_now: ParkedNow, told: Told | None, at: datetime) -> Verdict:
    """Tell that rows need a person: how many came and how many there are, at most once an hour."""
    if told is None and is_now.total == 0:
        return Verdict(None)
    before = int(told.level) if told else 0
    # Rows that were parked before the last look but written after it are found by counting.
    new = max(is_now.total - before, is_now.fresh)
    if new <= 0 or is_now.newest_at is None:
        return Verdict(_lowered(is_now, told, at))
    since = is_now.fresh_at or is_now.newest_at
    is_quiet = told is not None and told.told_at is not None and at - told.told_at < PARKED_EVERY
    if is_quiet or at - since < PARKED_SETTLES:
        return Verdict(_lowered(is_now, told, at))
    facts = {"new": new, "parked": is_now.total}
    seen = {"seen": is_now.newest_at.isoformat()}
    return Verdict(Told(str(is_now.total), since, at, seen), News(AlertType.PARKED, since, facts))


def _lowered(is_now: ParkedNow, told: Told | None, at: datetime) -> Told | None:
    """Take note when people have dealt with some, so that as many new ones are noticed."""
    if told is None or is_now.total >= int(told.level):
        return told
    was_told_lately = told.told_at is not None and at - told.told_at < PARKED_EVERY
    if is_now.total == 0 and not was_told_lately:
        return None
    return Told(str(is_now.total), told.since, told.told_at, told.facts)
