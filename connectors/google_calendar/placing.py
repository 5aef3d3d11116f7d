"""Finds a free slot for each hold of a batch: free/busy is asked once for all of them.

Two holds of one batch never take the same time: what one takes is busy for the next. Google has no way to
take a slot only if it is still free; between the question and the write lies one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.errors import ConnectorError, ContractBroken, Rejected, Unavailable
from connectors.google_calendar.drafts import Draft
from connectors.google_calendar.moments import instant, is_day, read_instant, rfc3339
from connectors.google_calendar.preferences import MAX_CALENDARS, Preferences
from connectors.google_calendar.slots import Rules, Span, first_free, merged
from connectors.google_calendar.wire import Answer, Api, Refusal, batch
from connectors.record import Account

#: A hold is looked for in at most so many days; Google refuses free/busy of more than about 90 at once.
#: Source: https://github.com/calcom/cal.diy/pull/11962 (2026-11-22)
MAX_DAYS = 60
_MAX_ASKED = timedelta(days=80)
#: Local times lie within this of UTC.
_ZONES = timedelta(hours=15)
#: The largest buffer, and a bit.
_MARGIN = timedelta(hours=5)
_WRITERS = frozenset({"owner", "writer", "writerWithoutPrivateAccess"})
_NOT_FOUND = 404


class Wish(Protocol):
    """A hold that wants a slot."""

    draft: Draft
    slot: Span | None
    error: ConnectorError | None


@dataclass(frozen=True, slots=True)
class _Calendar:
    """A calendar as Google knows it: its real address, and its time zone."""

    id: str
    zone: tzinfo


class Placement:
    """The free times of one batch; ``ask`` once, then ``assign``."""

    def __init__(self, account: Account, prefs: Preferences) -> None:
        """Take the account and its settings; nothing is sent yet."""
        self._account, self._prefs = account, prefs
        self._now = datetime.now(UTC)
        self._calendars: dict[str, _Calendar] = {}
        self._busy: dict[str, list[Span]] = {}

    def ask(self, wishes: Sequence[Wish]) -> None:
        """Ask for the calendars and their busy times, in one call; wishes that cannot be get their error.

        Raises what holds for all of them.
        """
        named = list(dict.fromkeys(wish.draft.calendar for wish in wishes))
        ranges = _joined(self._roughly(wish.draft) for wish in wishes)
        asked = list(dict.fromkeys([*named, *self._prefs.busy_calendars]))
        groups = [asked[i : i + MAX_CALENDARS] for i in range(0, len(asked), MAX_CALENDARS)]
        api = Api(self._account)
        parts = [api.calendars("get", calendarId=name) for name in named]
        parts += [api.free_busy(_question(span, group)) for span in ranges for group in groups]
        answers = batch(self._account, parts)
        wrong = {
            name: problem
            for name, answer in zip(named, answers, strict=False)
            if (problem := self._read_calendar(name, answer))
        }
        # What is wrong with the calendar itself says more than that its busy times are not told.
        wrong = {**self._read_busy(answers[len(named) :], asked), **wrong}
        everyones = next(
            (wrong[name] for name in self._prefs.busy_calendars if name in wrong), None
        )
        for wish in wishes:
            wish.error = wrong.get(wish.draft.calendar) or everyones

    def assign(self, wishes: Sequence[Wish]) -> None:
        """Give each wish the first slot that is still free; one for which there is none keeps None."""
        for wish in wishes:
            if wish.error is not None or wish.slot is not None:
                continue
            try:
                starts = self._window(wish.draft)
            except Rejected as err:
                wish.error = err
                continue
            wish.slot = self._first(wish.draft, starts)
            if wish.slot is not None:
                self._busy[self._calendars[wish.draft.calendar].id].append(wish.slot)

    def release(self, wish: Wish) -> None:
        """Take back a slot that is not needed: the hold is there already."""
        if wish.slot is not None:
            self._busy[self._calendars[wish.draft.calendar].id].remove(wish.slot)
            wish.slot = None

    def times(self, wish: Wish) -> dict[str, Any]:
        """Give a wish's slot as Google takes it, in the zone of the house."""
        if wish.slot is None:
            return {}
        zone = self._zone(wish.draft)
        start, end = (moment.astimezone(zone).isoformat(timespec="seconds") for moment in wish.slot)
        named = {"timeZone": zone.key} if isinstance(zone, ZoneInfo) else {}
        return {"start": {"dateTime": start, **named}, "end": {"dateTime": end, **named}}

    def nothing_free(self, wish: Wish) -> Rejected:
        """Give the refusal of a wish for which there is no slot, in words for a person."""
        zone = self._zone(wish.draft)
        start, end = (one.astimezone(zone) for one in self._window(wish.draft))
        minutes = int(wish.draft.duration.total_seconds() // 60)
        return Rejected(
            f"No {minutes} minutes are free that start between {start:%a %d %b %Y %H:%M} and "
            f"{end:%a %d %b %Y %H:%M} ({zone}), within the opening hours. Make room in the calendar "
            "and send this again, or call back and agree on another time.",
            field="start",
            code="no_free_slot",
        )

    def _zone(self, draft: Draft) -> tzinfo:
        return self._prefs.time_zone or self._calendars[draft.calendar].zone

    def _window(self, draft: Draft) -> Span:
        """Give the first and the last moment at which it may start; raises Rejected when there is none."""
        zone, prefs = self._zone(draft), self._prefs
        start = self._now if draft.start is None else instant(draft.start, zone)
        earliest = max(start, self._now + timedelta(minutes=prefs.notice_minutes))
        until = (
            max(start, self._now) + timedelta(days=prefs.search_days)
            if draft.until is None
            else instant(draft.until, zone, is_end=is_day(draft.until))
        )
        # What is asked for from three to four may start at three and not at four.
        latest = until if until <= start else until - timedelta(seconds=1)
        if latest < earliest:
            is_over = until <= self._now
            notice = f"begins sooner than in {prefs.notice_minutes} minutes, the notice that is set"
            raise Rejected(
                f"The time that was asked for {'is over' if is_over else notice}. Call back and agree on "
                "another.",
                field="search_until",
                code="window_over" if is_over else "window_too_near",
            )
        return earliest, min(latest, earliest + timedelta(days=MAX_DAYS))

    def _roughly(self, draft: Draft) -> Span:
        """Give a span that surely holds every slot, before the calendar's time zone is known."""
        start = self._now if draft.start is None else instant(draft.start, UTC) - _ZONES
        start = min(max(start, self._now), self._now + timedelta(days=3_650))
        days = self._prefs.search_days + 1 if draft.until is None else MAX_DAYS
        most = start + timedelta(days=days) + 2 * _ZONES
        until = most if draft.until is None else instant(draft.until, UTC, is_end=True) + _ZONES
        return start - _MARGIN, max(start, min(until, most)) + draft.duration + _MARGIN

    def _first(self, draft: Draft, starts: Span) -> Span | None:
        prefs, calendar = self._prefs, self._calendars[draft.calendar]
        names = dict.fromkeys([calendar.id, *prefs.busy_calendars])
        busy = merged(span for name in names for span in self._busy.get(name, ()))
        rules = Rules(
            zone=self._zone(draft),
            openings=prefs.openings,
            step=timedelta(minutes=prefs.slot_minutes),
            buffer=timedelta(minutes=prefs.buffer_minutes),
        )
        return first_free(rules, busy, starts=starts, duration=draft.duration)

    def _read_calendar(self, name: str, answer: Answer | Refusal) -> ConnectorError | None:
        if isinstance(answer, Refusal):
            if answer.status != _NOT_FOUND:
                return answer.error
            return Rejected(
                f'The connected person has no calendar "{name}" in their list.', field="calendar"
            )
        if answer.body.get("accessRole") not in _WRITERS:
            return Rejected(
                f'The connected person may not write to the calendar "{name}".', field="calendar"
            )
        try:
            zone: tzinfo = ZoneInfo(str(answer.body.get("timeZone") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zone = UTC
        self._calendars[name] = _Calendar(str(answer.body.get("id") or name), zone)
        return None

    def _read_busy(
        self, answers: Sequence[Answer | Refusal], asked: Sequence[str]
    ) -> dict[str, ConnectorError]:
        """Keep what is busy; give the calendars of which Google does not tell it."""
        told: set[str] = set()
        wrong: dict[str, ConnectorError] = {}
        for answer in answers:
            if isinstance(answer, Refusal):
                raise answer.error
            listed = answer.body.get("calendars")
            if not isinstance(listed, Mapping):
                raise ContractBroken("Google Calendar's answer names no calendars' busy times.")
            for name, found in listed.items():
                if not isinstance(found, Mapping):
                    raise ContractBroken("Google Calendar's answer holds no busy times.")
                told.add(name)
                real = self._calendars[name].id if name in self._calendars else name
                if errors := found.get("errors"):
                    wrong[name] = _unknown_busy(name, errors)
                self._busy.setdefault(real, []).extend(_spans(found.get("busy")))
        real_names = {name: one.id for name, one in self._calendars.items()}
        for name in asked:
            if name not in told and real_names.get(name, name) not in told:
                wrong.setdefault(
                    name, ContractBroken(f'Google Calendar says nothing of "{name}" being busy.')
                )
        return wrong


def _unknown_busy(name: str, errors: object) -> ConnectorError:
    rows = errors if isinstance(errors, list) else []
    reasons = {str(one.get("reason")) for one in rows if isinstance(one, Mapping)}
    if reasons & {"internalError", "backendError"}:
        return Unavailable(f'Google Calendar cannot tell now when "{name}" is busy.')
    return Rejected(f'When the calendar "{name}" is busy cannot be read.', field="calendar")


def _spans(listed: object) -> list[Span]:
    found: list[Span] = []
    for one in listed if isinstance(listed, list) else ():
        span = one if isinstance(one, Mapping) else {}
        start, end = read_instant(span.get("start")), read_instant(span.get("end"))
        if start is None or end is None:
            raise ContractBroken("Google Calendar's answer holds a busy time that cannot be read.")
        found.append((start, end))
    return found


def _question(span: Span, calendars: Sequence[str]) -> dict[str, Any]:
    return {
        "timeMin": rfc3339(span[0]),
        "timeMax": rfc3339(span[1]),
        "items": [{"id": name} for name in calendars],
        "calendarExpansionMax": MAX_CALENDARS,
    }


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Give as few spans as hold all of these and are short enough to be asked for."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and max(end, found[-1][1]) - found[-1][0] <= _MAX_ASKED:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
