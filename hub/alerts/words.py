"""How alerts are worded: a title, a sentence, and where to look. Only our own words, numbers and names.

A vendor's sentence stands on the page that the alert links to, never in the alert: it may quote a caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hub.db.alerts import Alert, AlertType

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400

TITLES: Final[Mapping[str, str]] = {
    AlertType.DEGRADED: "Degraded",
    AlertType.NEEDS_RECONNECT: "Needs reconnect",
    AlertType.RECOVERED: "Recovered",
    AlertType.PAUSED: "Paused",
    AlertType.RESUMED: "Resumed",
    AlertType.QUEUE_OLD: "Deliveries wait",
    AlertType.QUEUE_RECOVERED: "Deliveries no longer wait",
    AlertType.BUDGET_USED: "Budget is used",
    AlertType.PARKED: "Needs you",
    AlertType.WEBHOOK_DISABLED: "Webhook disabled",
    AlertType.TEST: "Test",
}
#: Types that an endpoint may choose among; a test goes to whoever is tested.
CHOOSABLE: Final = tuple(one.value for one in AlertType if one is not AlertType.TEST)


@dataclass(frozen=True, slots=True)
class About:
    """Which of the tenant's connections an alert is about, as people call it; empty where it is about none."""

    label: str = ""
    vendor: str = ""


_SENTENCES: Final[Mapping[str, str]] = {
    AlertType.DEGRADED: "{vendor} does not take our calls as it should. "
    "Nothing is lost: we keep every delivery and try again.",
    AlertType.NEEDS_RECONNECT: "{vendor} no longer accepts our authorisation. "
    "Everything waits until somebody reconnects the account.",
    AlertType.RECOVERED: "Deliveries go through again. It lasted {lasted}.",
    AlertType.PAUSED: "Somebody paused it. Everything that is due waits until it is resumed.",
    AlertType.RESUMED: "It was paused for {lasted} and sends again.",
    AlertType.QUEUE_OLD: "{waiting}; the oldest has been due for {age}.",
    AlertType.QUEUE_RECOVERED: "What had waited too long was sent.",
    AlertType.BUDGET_USED: "{percent} % of what we may use of the limit {limit} is gone: "
    "{remaining:,} of {granted:,} are left.{after}",
    AlertType.PARKED: "{new} a person; {parked:,} in all.",
    AlertType.WEBHOOK_DISABLED: "{why} Alerts no longer go to {host}.",
    AlertType.TEST: "This is a test. Nothing has happened.",
}


def sentence(kind: str, facts: Mapping[str, Any], about: About) -> str:
    """Say in one sentence or two what happened and what it means."""
    is_all = facts.get("percent") == 100  # noqa: PLR2004 - all of it
    return _SENTENCES[kind].format(
        vendor=about.vendor or "The vendor",
        lasted=lasting(facts.get("lasted_s")),
        age=lasting(facts.get("age_s")),
        waiting=_count(facts.get("waiting", 0), "delivery waits", "deliveries wait"),
        percent=facts.get("percent"),
        limit=str(facts.get("limit", "")).replace("_", " "),
        remaining=facts.get("remaining", 0),
        granted=facts.get("granted", 0),
        after=" What is due waits until the vendor's period frees some." if is_all else "",
        new=_count(facts.get("new", 0), "more delivery needs", "more deliveries need"),
        parked=facts.get("parked", 0),
        why=facts.get("why", ""),
        host=facts.get("host", ""),
    )


def subject(alert: Alert, about: About) -> str:
    """Give one line for a list or a mail's subject."""
    title = TITLES.get(alert.type, alert.type)
    return f"{about.label}: {title}" if about.label else title


def path(alert: Alert) -> str:
    """Give the path of the page where a person sees more."""
    if alert.type == AlertType.PARKED:
        return "/needs-you"
    if alert.connection_id is None:
        return "/notifications"
    return f"/connections#{alert.connection_id}"


def mail_text(alert: Alert, about: About, *, tenant: str, base_url: str) -> str:
    """Give a mail's plain text."""
    lines = [alert.reason, ""]
    if about.label:
        lines.append(f"Connection: {about.label} ({about.vendor})")
    lines += [
        f"Company: {tenant}",
        f"Since: {_moment(alert.since)}",
        "",
        f"See: {base_url}{path(alert)}",
        f"Who gets these mails is set at {base_url}/notifications",
    ]
    return "\n".join(lines) + "\n"


def payload(
    alert: Alert, about: About, *, tenant: str, connector: str | None, base_url: str
) -> dict[str, Any]:
    """Give what a webhook is sent: ``type``, ``timestamp`` and ``data``, as Standard Webhooks recommends."""
    connection = alert.connection_id and {
        "id": alert.connection_id,
        "label": about.label,
        "connector": connector,
    }
    return {
        "type": alert.type,
        "timestamp": _moment(alert.created_at),
        "data": {
            "id": alert.id,
            "tenant": tenant,
            "connection": connection,
            "since": _moment(alert.since),
            "reason": alert.reason,
            "facts": alert.facts,
            "url": base_url + path(alert),
        },
    }


def lasting(seconds: Any) -> str:
    """Write a span of time in its largest unit: ``41 seconds``, ``5 minutes``, ``3 hours``."""
    span = max(0.0, float(seconds or 0))
    for length, one, many in (
        (_DAY_S, "day", "days"),
        (_HOUR_S, "hour", "hours"),
        (_MINUTE_S, "minute", "minutes"),
    ):
        if span >= length:
            return _count(int(span // length), one, many)
    return _count(int(span), "second", "seconds")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
