"""Lists free times for a caller to choose from, by the same rules by which holds are placed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.errors import ConnectorError, Rejected
from connectors.google_calendar.drafts import Draft
from connectors.google_calendar.placing import Placement
from connectors.google_calendar.preferences import preferences
from connectors.google_calendar.slots import Span
from connectors.record import Account

#: What the placement says of a window in which nothing can begin any more.
_OVER = frozenset({"window_over", "window_too_near"})


@dataclass(slots=True)
class _Wish:
    draft: Draft
    slot: Span | None = None
    error: ConnectorError | None = None


def free_times(account: Account, starts: Span, duration: timedelta, *, most: int) -> list[datetime]:
    """Give the first free starts in this span, in UTC, in order; raises what keeps the calendar from being asked."""
    prefs = preferences(account.settings)
    wish = _Wish(Draft(prefs.calendar, duration=duration, start=starts[0], until=starts[1]))
    placement = Placement(account, prefs)
    placement.ask([wish])
    found: list[datetime] = []
    while wish.error is None and len(found) < most:
        # What was found is busy for the next round, so that the times do not overlap.
        wish.slot = None
        placement.assign([wish])
        if wish.slot is None:
            break
        found.append(wish.slot[0])
    if wish.error is not None and not (
        isinstance(wish.error, Rejected) and wish.error.code in _OVER
    ):
        raise wish.error
    return found
