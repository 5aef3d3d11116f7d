"""How values are written for people: times, numbers, telephone numbers and our own nouns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import cache
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from flask import Flask
from markupsafe import Markup, escape

from connectors.registry import CONNECTORS
from hub.alerts.words import TITLES
from hub.db.base import now
from hub.web.directions import apart
from hub.web.viewer import who

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_DAYS_IN_WORDS = 30


class Words:
    """Our nouns as people read them; a value that is not listed is shown as it is."""

    bucket: Mapping[str, str] = {
        "new_lead": "New lead",
        "existing_customer": "Existing customer",
        "appointment": "Appointment",
        "billing": "Billing",
        "support": "Support",
        "other": "Other",
        "spam": "Spam",
    }
    urgency: Mapping[str, str] = {
        "critical": "Critical",
        "high": "High",
        "normal": "Normal",
        "low": "Low",
    }
    state: Mapping[str, str] = {
        "held": "Waits for approval",
        "waiting": "Waiting",
        "sending": "Sending",
        "delivered": "Delivered",
        "parked": "Parked",
        "rejected": "Rejected",
        "dropped": "No action",
    }
    health: Mapping[str, str] = {
        "healthy": "Healthy",
        "degraded": "Degraded",
        "paused": "Paused",
        "needs_reconnect": "Needs reconnect",
        "disconnected": "Disconnected",
    }
    alert: Mapping[str, str] = {str(kind): title for kind, title in TITLES.items()}
    alert_tone: Mapping[str, str] = {
        "connection.degraded": "amber",
        "connection.needs_reconnect": "red",
        "connection.recovered": "green",
        "connection.paused": "amber",
        "connection.resumed": "green",
        "queue.old": "amber",
        "queue.recovered": "green",
        "budget.used": "amber",
        "deliveries.parked": "amber",
        "webhook.disabled": "red",
    }
    #: Spoken languages by their first part, as BCP 47 has it; others are shown as they are.
    language: Mapping[str, str] = {
        "ar": "Arabic",
        "de": "German",
        "en": "English",
        "es": "Spanish",
        "fr": "French",
        "hi": "Hindi",
        "it": "Italian",
        "ja": "Japanese",
        "ko": "Korean",
        "nl": "Dutch",
        "pl": "Polish",
        "pt": "Portuguese",
        "ru": "Russian",
        "tl": "Tagalog",
        "tr": "Turkish",
        "uk": "Ukrainian",
        "vi": "Vietnamese",
        "zh": "Chinese",
    }
    #: What came of an attempt; others are shown by their name.
    attempt: Mapping[str, str] = {
        "ambiguous": "Several records fit",
        "contract broken": "Answer not understood",
        "found": "Found written",
        "needs reconnect": "Access refused",
        "not rendered": "A value does not fit",
        "not yet": "Its time has not come",
        "rejected": "Refused",
        "taken": "The vendor is working on it",
        "throttled": "Limit reached",
        "unavailable": "Not reachable",
        "uncertain": "Answer lost",
    }
    #: What a limit counts; others are shown by their name.
    limit: Mapping[str, str] = {
        "app_minute": "Requests of everybody by this app",
        "concurrency": "Requests",
        "creates": "New incidents",
        "list_tickets": "Lists of tickets",
        "search": "Searches",
        "sender_ms": "Sending time, in ms",
        "update_tickets": "Updates of tickets",
        "user_minute": "Requests of this user",
    }
    role: Mapping[str, str] = {
        "owner": "Owner",
        "admin": "Admin",
        "mapper": "Mapper",
        "operator": "Operator",
        "viewer": "Viewer",
    }

    def connector(self, name: str | None) -> str:
        """Give the vendor's name as the vendor writes it."""
        return CONNECTORS[name][0] if name in CONNECTORS else (name or "")


def add_filters(app: Flask) -> None:
    """Make the functions below known to the templates."""
    filters = {
        "ago": ago,
        "came_of": came_of,
        "apart": apart,
        "clock": clock,
        "count": count,
        "day": day,
        "every": every,
        "is_ahead": is_ahead,
        "lasting": lasting,
        "limit": limit,
        "link": link,
        "moment": moment,
        "number": number,
        "phone": phone,
        "plain": plain,
        "span": span,
        "spoken_at": spoken_at,
    }
    app.jinja_env.filters.update(filters)


@cache
def zone(name: str) -> tzinfo:
    """Give a time zone by name; UTC when the machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _here(at: datetime) -> datetime:
    me = who()
    try:
        return at.astimezone(zone(me.timezone) if me else UTC)
    except (
        OverflowError
    ):  # the first and the last day that there is, in a zone where it is another one
        return at


def clock(at: datetime | None) -> str:
    """Write a moment in the tenant's zone, with the zone: ``Sun 22 Nov 2026, 08:46 CET``."""
    if at is None:
        return ""
    here = _here(at)
    return f"{here:%a} {here.day} {here:%b %Y, %H:%M} {here.tzname()}"


def day(at: datetime | None) -> str:
    """Write a moment's day and hour without the year where it is this one."""
    if at is None:
        return ""
    here = _here(at)
    year = "" if here.year == _here(now()).year else f" {here.year}"
    return f"{here.day} {here:%b}{year}, {here:%H:%M}"


def span(window: Mapping[str, str]) -> str:
    """Write a span of an event, such as when to call back: ``20 Nov, 14:00 to 16:00 PST``."""
    try:
        start = datetime.fromisoformat(window["start"])
        end = datetime.fromisoformat(window["end"]) if window.get("end") else None
    except (KeyError, ValueError):
        return ""
    if end is None:
        return f"{day(start)} {_here(start).tzname()}"
    is_same_day = _here(end).date() == _here(start).date()
    until = f"{_here(end):%H:%M}" if is_same_day else day(end)
    return f"{day(start)} to {until} {_here(end).tzname()}"


def ago(at: datetime | None) -> Markup:
    """Write how long ago a moment was (or how far it is), with the full time as its title."""
    if at is None:
        return Markup("")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.astimezone(UTC).isoformat(timespec="seconds"), clock(at), _distance(at)
    )


def moment(at: datetime | None) -> Markup:
    """Write a moment to the second, with the zone, for where the order and the gaps count."""
    if at is None:
        return Markup("")
    here = _here(at)
    year = "" if here.year == _here(now()).year else f" {here.year}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.astimezone(UTC).isoformat(timespec="seconds"),
        _distance(at),
        f"{here.day} {here:%b}{year}, {here:%H:%M:%S} {here.tzname()}",
    )


def plain(value: object) -> str:
    """Write a value of a tenant's own fields: a yes or no as such, all else as it is."""
    return {True: "Yes", False: "No"}[value] if isinstance(value, bool) else str(value)


def is_ahead(at: datetime | None) -> bool:
    """Tell whether a moment is still to come."""
    return at is not None and at > now()


def _distance(at: datetime) -> str:
    seconds = (now() - at).total_seconds()
    span = abs(seconds)
    if span < _MINUTE_S * 0.75:
        return "just now" if seconds >= 0 else "in a moment"
    if span >= _DAYS_IN_WORDS * _DAY_S:
        return day(at)
    if span < _HOUR_S:
        text = f"{max(round(span / _MINUTE_S), 1)} min"
    elif span < _DAY_S:
        text = f"{round(span / _HOUR_S)} h"
    else:
        text = count(round(span / _DAY_S), "day", "days")
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def lasting(seconds: float | None) -> str:
    """Write a span of time: ``41 s``, ``3 min``, ``2 h``."""
    if seconds is None:
        return ""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        minutes, rest = divmod(round(seconds), _MINUTE_S)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{seconds / _HOUR_S:.0f} h"


def came_of(outcome: str) -> str:
    """Say what came of an attempt: ``Created``, ``Refused``, ``Answer lost``."""
    return Words.attempt.get(outcome, outcome.replace("_", " ").capitalize())


def limit(name: str) -> str:
    """Say what a limit of a vendor counts: ``Requests``, ``Searches``."""
    return Words.limit.get(name, name.replace("_", " ").capitalize())


def every(seconds: float) -> str:
    """Write a period: ``day``, ``hour``, ``10 seconds``."""
    names = {1: "second", _MINUTE_S: "minute", _HOUR_S: "hour", _DAY_S: "day"}
    return names.get(round(seconds)) or count(round(seconds), "second", "seconds")


def spoken_at(seconds: float | None) -> str:
    """Write a place in a recording: ``0:07``."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), _MINUTE_S)
    return f"{minutes}:{rest:02d}"


def number(value: float | None) -> str:
    """Write a number with its thousands apart."""
    return "" if value is None else f"{value:,.0f}"


def count(value: int, one: str, many: str) -> str:
    """Write a number with its noun: ``1 delivery``, ``1,204 deliveries``."""
    return f"{value:,} {one if value == 1 else many}"


def phone(value: str | None) -> Markup:
    """Write a telephone number as people do, kept in one piece and left to right."""
    if not value:
        return Markup("")
    try:
        parsed = phonenumbers.parse(value)
        text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    except phonenumbers.NumberParseException:
        text = value
    return Markup('<bdi class="phone" dir="ltr">{}</bdi>').format(escape(text))


def link(url: str | None) -> str | None:
    """Give a vendor's address when a browser may follow it, else None."""
    try:
        is_safe = bool(url) and urlsplit(url).scheme in {"https", "http"}
    except ValueError:  # such as https://[
        return None
    return url if is_safe else None
