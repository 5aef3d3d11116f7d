"""When people call, and with what: a day's missed calls with a realistic hourly curve."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mappings.event import EVENT_TYPE, Event

#: Missed calls by the hour of the day, as parts of a whole: few at night, most at mid-morning, more again after work.
CURVE = (0.6, 0.4, 0.3, 0.3, 0.4, 0.8, 1.8, 4.0, 7.0, 9.0, 9.2, 8.6, 7.6, 7.2, 7.4, 7.6, 7.8, 7.0, 5.2, 3.4, 2.4,
         1.8, 1.2, 0.8)  # fmt: skip
SPAM = 0.08
URGENT = 0.02
KNOWN = 0.15


@dataclass(frozen=True, slots=True)
class Call:
    """A missed call of one tenant."""

    at: datetime
    tenant: int
    event: Event
    is_urgent: bool


def day(start: datetime, *, calls: int, others: int, seed: int) -> list[Call]:
    """Give the calls of the first tenant and of three others, in order of time."""
    dice = random.Random(seed)
    found = [_call(dice, start, number, tenant=0) for number in range(calls)]
    found += [_call(dice, start, calls + number, tenant=1 + number % 3) for number in range(others)]
    return sorted(found, key=lambda call: call.at)


def _call(dice: random.Random, start: datetime, number: int, *, tenant: int) -> Call:
    hour = dice.choices(range(24), weights=CURVE)[0]
    at = start + timedelta(hours=hour, seconds=dice.uniform(0, 3_600))
    is_urgent = dice.random() < URGENT
    is_spam = not is_urgent and dice.random() < SPAM
    caller = dice.randrange(number + 1) if dice.random() < KNOWN else number
    return Call(
        at, tenant, _event(number, caller, at, is_urgent=is_urgent, is_spam=is_spam), is_urgent
    )


def _event(number: int, caller: int, at: datetime, *, is_urgent: bool, is_spam: bool) -> Event:
    phone = f"+1{200 + caller // 100}55501{caller % 100:02d}"
    data: dict[str, Any] = {
        "call": {"id": f"CA{number:032d}", "from": phone, "started_at": at.isoformat()},
        "caller": {
            "name": {"full": f"Dana Whitfield {caller}", "family": f"Whitfield {caller}"},
            "phone": phone,
        },
        "bucket": "spam" if is_spam else "new_lead",
        "urgency": {"score": 80, "level": "high"}
        if is_urgent
        else {"score": 30, "level": "normal"},
        "summary": f"Wants a quote, call {number}",
    }
    return Event.model_validate(
        {
            "specversion": "1.0",
            "id": f"call-{number}",
            "source": "/day",
            "type": EVENT_TYPE,
            "time": at.isoformat(),
            "data": data,
        }
    )


def hours(calls: list[Call], start: datetime) -> Iterator[int]:
    """Count the first tenant's calls by hour."""
    for hour in range(24):
        begin = start + timedelta(hours=hour)
        yield sum(
            1
            for call in calls
            if call.tenant == 0 and begin <= call.at < begin + timedelta(hours=1)
        )
