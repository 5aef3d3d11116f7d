"""Tells which tickets were solved or first taken up: by asking for a hundred a call, and from webhooks."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.errors import Rejected
from connectors.record import Account, Closure, RecordId, WebhookRequest
from connectors.zendesk.finding import show
from connectors.zendesk.objects import TICKET

#: Solved may be opened again by an answer of the requester; closed is for good.
#: Source: https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/#json-format (2026-11-22)
_ENDED = frozenset({"solved", "closed"})
_TAKEN_UP = frozenset({"open", "pending", "hold"})
EVENT = "zen:event-type:ticket.status_changed"
#: Zendesk tries for a while to deliver, and names no age at which a signature ends.
_MAX_AGE = timedelta(hours=1)


def closed(account: Account, ids: Sequence[RecordId]) -> list[Closure]:
    """Tell which of these tickets are solved or closed, and which somebody has taken up."""
    wanted = {one.id: one for one in ids if one.object == TICKET}
    if not wanted:
        return []
    found: list[Closure] = []
    # Where the account keeps ticket metrics, they tell the moments; else there is only the last change.
    # Source: https://developer.zendesk.com/documentation/ticketing/using-the-zendesk-api/side_loading/ (2026-11-22)
    for ticket in show(account, TICKET, list(wanted), include="metric_sets"):
        record = wanted.get(str(ticket.get("id")))
        closure = _closure(record, ticket) if record else None
        if closure is not None:
            found.append(closure)
    return found


def _closure(record: RecordId, ticket: Mapping[str, Any]) -> Closure | None:
    status = str(ticket.get("status"))
    metrics = ticket.get("metric_set")
    moments: Mapping[str, Any] = metrics if isinstance(metrics, Mapping) else {}
    changed = _moment(ticket.get("updated_at"))
    if status in _ENDED:
        at = _moment(moments.get("solved_at")) or _moment(moments.get("status_updated_at"))
        return Closure(record, at or changed or datetime.now(UTC), status)
    if status not in _TAKEN_UP:
        return None
    made = _moment(ticket.get("created_at"))
    at = _moment(moments.get("status_updated_at")) or changed
    if at is None or made is None or at - made < timedelta(seconds=1):
        return None  # It began so: nobody has touched it.
    return Closure(record, at, status, is_closed=False)


def webhook(request: WebhookRequest) -> list[Closure]:
    """Verify a webhook and tell what it says; raises Rejected when the signature is wrong.

    Source: https://developer.zendesk.com/documentation/webhooks/verifying/ (2026-11-22)
    """
    _verify(request)
    try:
        event = json.loads(request.body)
    except ValueError as err:
        raise Rejected("The webhook's body is not JSON.") from err
    if not isinstance(event, Mapping) or event.get("type") != EVENT:
        return []
    detail, change = event.get("detail"), event.get("event")
    if not isinstance(detail, Mapping) or not isinstance(change, Mapping):
        raise Rejected("The webhook does not say what has changed.")
    number = str(detail.get("id") or "")
    now, before = (str(change.get(name) or "").lower() for name in ("current", "previous"))
    if not number.isdecimal():
        raise Rejected("The webhook does not say which ticket has changed.")
    record = RecordId(TICKET, number)
    at = _moment(event.get("time")) or datetime.now(UTC)
    if now in _ENDED:
        return [Closure(record, at, now)]
    if before == "new" and now in _TAKEN_UP:
        return [Closure(record, at, now, is_closed=False)]
    return []


def _verify(request: WebhookRequest) -> None:
    signature = request.headers.get("x-zendesk-webhook-signature", "")
    timestamp = request.headers.get("x-zendesk-webhook-signature-timestamp", "")
    sent = _moment(timestamp)
    if not request.secret or not signature or sent is None:
        raise Rejected("The webhook is not signed by Zendesk.")
    if abs(datetime.now(UTC) - sent) > _MAX_AGE:
        raise Rejected("The webhook's signature is older than an hour.")
    digest = hmac.digest(request.secret.encode(), timestamp.encode() + request.body, "sha256")
    if not hmac.compare_digest(b64encode(digest), signature.encode(errors="replace")):
        raise Rejected("The webhook's signature is wrong.")


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)
