"""Push channels: has Google tell us that a calendar has changed, and reads what did.

A message has no body and no signature: the channel's token, which only Google and we know, shows who sends it. It
does not say what has changed, so that our events that changed lately are listed.
Source: https://developers.google.com/workspace/calendar/api/guides/push (2026-11-22)
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from connectors.errors import ContractBroken, Rejected
from connectors.google_calendar import closing
from connectors.google_calendar.naming import PRIMARY
from connectors.google_calendar.preferences import preferences
from connectors.google_calendar.wire import Api, Refusal, attempt
from connectors.record import JSON, Account, Closure, Subscription, WebhookRequest

#: How long a channel is asked for; Google may give less, and never renews one.
_LIFETIME_S = 7 * 86_400
#: A channel that lives longer than this still, is left as it is.
_FRESH = timedelta(days=2)
#: How far back a message is taken to reach: Google gathers changes and repeats messages that failed.
_BACK = timedelta(minutes=15)
_NOT_UNIQUE = "channelIdNotUnique"
_ATTEMPTS = 3
_GONE = frozenset({404, 410})


def subscribe(account: Account, known: Subscription | None) -> Subscription:
    """Open a channel for the connection's calendar, or keep the one that is fresh; then end the old one.

    Channels cannot be made longer, so a renewal is a new channel. Their ids are derived: one whose answer was lost
    is taken for what it is by the next, and ended.
    """
    if account.webhook_url is None:
        raise Rejected("Google Calendar cannot reach this hub: it has no public https address.")
    calendar = preferences(account.settings).calendar
    target = _target(account, calendar)
    if known is not None and _is_fresh(known, target):
        return known
    number = int(str(known.state.get("number", 0))) + 1 if known is not None else 1
    lost: list[str] = []
    for attempt_ in range(_ATTEMPTS):
        # Ids of channels that were ended are used up too, so that the last attempt takes a new one.
        salt = "" if attempt_ < _ATTEMPTS - 1 else secrets.token_hex(8)
        channel = hashlib.sha256(f"{target}:{number}{salt}".encode()).hexdigest()[:48]
        made = _open(account, calendar, channel)
        if made is not None:
            found, resource = made
            state: dict[str, JSON] = {
                "calendar": calendar,
                "target": target,
                "number": number,
                "resource": resource,
            }
            for name in lost:
                _stop(account, name, resource)
            if known is not None:
                unsubscribe(account, known)
            return Subscription(found.id, found.secret, found.expires_at, state)
        lost.append(channel)
        number += 1
    raise ContractBroken("Google Calendar refuses every channel id that we have.")


def unsubscribe(account: Account, known: Subscription) -> None:
    """End a channel; one that has ended already is fine."""
    _stop(account, known.id, str(known.state.get("resource", "")))


def webhook(account: Account, request: WebhookRequest) -> list[Closure]:
    """Verify a message and tell what became of our events that changed lately.

    Raises Rejected when the channel's token is wrong.
    """
    token = request.headers.get("x-goog-channel-token", "")
    if not request.secret or not hmac.compare_digest(token.encode(), request.secret.encode()):
        raise Rejected("The message does not carry the token of our Google Calendar channel.")
    if request.headers.get("x-goog-resource-state") == "sync":
        # The first message of a channel only says that it is open.
        return []
    calendar = str(request.state.get("calendar") or preferences(account.settings).calendar)
    return closing.changed(account, calendar, _sent_at(request.headers) - _BACK)


def _sent_at(headers: Mapping[str, str]) -> datetime:
    """Give when a message was sent, as far as it says so; not later than now."""
    now = datetime.now(UTC)
    try:
        sent = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return now
    aware = sent if sent.tzinfo else sent.replace(tzinfo=UTC)
    return min(aware.astimezone(UTC), now)


def _target(account: Account, calendar: str) -> str:
    words = f"{account.id}\n{calendar or PRIMARY}\n{account.webhook_url}"
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def _is_fresh(known: Subscription, target: str) -> bool:
    if known.state.get("target") != target or known.expires_at is None:
        return False
    return known.expires_at - datetime.now(UTC) > _FRESH


def _open(account: Account, calendar: str, channel: str) -> tuple[Subscription, str] | None:
    """Open a channel; None when Google has one of this id already."""
    token = secrets.token_urlsafe(32)
    body = {
        "id": channel,
        "type": "web_hook",
        "address": account.webhook_url,
        "token": token,
        "params": {"ttl": str(_LIFETIME_S)},
    }
    made = attempt(
        account, Api(account).events("watch", calendarId=calendar, body=body), is_write=True
    )
    if isinstance(made, Refusal):
        if made.reason == _NOT_UNIQUE:
            return None
        raise made.error
    resource = made.body.get("resourceId")
    try:
        expires_at = datetime.fromtimestamp(int(str(made.body.get("expiration"))) / 1000, UTC)
    except (ValueError, OverflowError, OSError) as err:
        raise ContractBroken("Google Calendar does not say until when its channel lives.") from err
    if not isinstance(resource, str):
        raise ContractBroken("Google Calendar does not say what its channel watches.")
    return Subscription(channel, token, expires_at), resource


def _stop(account: Account, channel: str, resource: str) -> None:
    if not resource:
        return
    made = attempt(
        account, Api(account).stop({"id": channel, "resourceId": resource}), is_write=True
    )
    if isinstance(made, Refusal) and made.status not in _GONE:
        raise made.error
