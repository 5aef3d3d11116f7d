"""Tells which incidents were taken up and resolved, by asking and from webhooks (v3).

Incidents cannot be asked for by several ids, so the newest are listed, a hundred a call, for as long as
a page holds at least two of those asked for; the rest are read one by one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.errors import ContractBroken, Rejected
from connectors.pagerduty.calls import PAGE, Body, ask, call, one, rows, segment
from connectors.pagerduty.incidents import INCIDENT
from connectors.record import Account, Closure, RecordId, WebhookRequest

_WORTH_A_PAGE = 2
#: Offset and limit together may not pass this.
#: Source: https://developer.pagerduty.com/docs/pagination (2026-11-22)
_MAX_LISTED = 10_000
_VERSION = "v1="
#: The events that we have PagerDuty report.
#: Source: https://developer.pagerduty.com/docs/webhooks-overview (2026-11-22)
ACKNOWLEDGED, RESOLVED = "incident.acknowledged", "incident.resolved"


def closed(account: Account, ids: Sequence[RecordId]) -> list[Closure]:
    """Tell which incidents are resolved, and which are acknowledged (touched, not closed)."""
    wanted = {one.id: one for one in ids if one.object == INCIDENT}
    found = _listed(account, set(wanted))
    for record_id in wanted:
        if record_id not in found:
            answer = ask(account, f"/incidents/{segment(record_id)}")
            if answer is not None:
                found[record_id] = one(answer, "incident")
    closures = (
        _closure(wanted[record_id], incident)
        for record_id, incident in found.items()
        if record_id in wanted
    )
    return [closure for closure in closures if closure is not None]


def webhook(request: WebhookRequest) -> list[Closure]:
    """Verify a webhook and tell what it reports; raises Rejected when the signature is wrong.

    Each webhook holds one event. It may come more than once, and has no time that could be checked: what it
    tells is the same every time.
    """
    _verify(request)
    try:
        said = json.loads(request.body)
    except ValueError as err:
        raise Rejected("The webhook's body is not JSON.") from err
    event = said.get("event") if isinstance(said, Mapping) else None
    if not isinstance(event, Mapping):
        raise ContractBroken("PagerDuty's webhook holds no event.")
    kind, incident = event.get("event_type"), event.get("data")
    if kind not in {ACKNOWLEDGED, RESOLVED}:
        return []
    if not isinstance(incident, Mapping) or not isinstance(incident.get("id"), str):
        raise ContractBroken("PagerDuty's webhook names no incident.")
    at = _moment(event.get("occurred_at"))
    if at is None:
        raise ContractBroken("PagerDuty's webhook does not say when it happened.")
    url = incident.get("html_url")
    record = RecordId(INCIDENT, incident["id"], url if isinstance(url, str) else None)
    if kind == ACKNOWLEDGED:
        return [Closure(record, at, "acknowledged", is_closed=False)]
    return [_resolved(record, at, by=event.get("agent"), reason=incident.get("resolve_reason"))]


def _listed(account: Account, wanted: set[str]) -> dict[str, Body]:
    """Read from the list of incidents what it is cheaper to read there."""
    found: dict[str, Body] = {}
    offset = 0
    while len(wanted) >= _WORTH_A_PAGE and offset + PAGE <= _MAX_LISTED:
        params = {
            "date_range": "all",
            "sort_by": "created_at:desc",
            "limit": PAGE,
            "offset": offset,
        }
        answer = call(account, "GET", "/incidents", params=params)
        page = {str(row["id"]): row for row in rows(answer, "incidents") if row.get("id")}
        hits = wanted & set(page)
        found.update({record_id: page[record_id] for record_id in hits})
        wanted -= hits
        offset += PAGE
        if answer.get("more") is not True or len(hits) < _WORTH_A_PAGE:
            break
    return found


def _closure(record: RecordId, incident: Body) -> Closure | None:
    status = incident.get("status")
    if status == "resolved":
        at = _first(incident, ("resolved_at", "last_status_change_at", "updated_at"))
        by, reason = incident.get("last_status_change_by"), incident.get("resolve_reason")
        return _resolved(record, at, by=by, reason=reason)
    if status == "acknowledged":
        listed = incident.get("acknowledgements")
        moments = [
            moment
            for each in (listed if isinstance(listed, list) else [])
            if isinstance(each, Mapping) and (moment := _moment(each.get("at"))) is not None
        ]
        names = ("last_status_change_at", "updated_at")
        taken_at = min(moments) if moments else _first(incident, names)
        return Closure(record, taken_at, "acknowledged", is_closed=False)
    return None


def _resolved(record: RecordId, at: datetime, *, by: Any, reason: Any) -> Closure:
    """Tell of a resolved incident. One that its service resolved, because nobody did in time, helped nobody."""
    # Source: AgentReference and ResolveReason in PagerDuty/api-schema @ 91a06fb, and auto_resolve_timeout
    # of a service (2026-11-22)
    if isinstance(reason, Mapping) and reason.get("type") == "merge_resolve_reason":
        return Closure(record, at, "merged")
    if isinstance(by, Mapping) and str(by.get("type")).startswith("service"):
        return Closure(record, at, "timed out", is_success=False)
    return Closure(record, at, "resolved")


def _verify(request: WebhookRequest) -> None:
    # Source: https://developer.pagerduty.com/docs/webhook-signatures, PagerDuty/developer-docs
    # docs/webhooks/04-Signatures.md (2026-11-22)
    header = request.headers.get("x-pagerduty-signature", "")
    given = [part.strip() for part in header.split(",")]
    signatures = [part.removeprefix(_VERSION) for part in given if part.startswith(_VERSION)]
    if not request.secret or not signatures:
        raise Rejected("The webhook is not signed by PagerDuty.")
    expected = hmac.new(request.secret.encode(), request.body, hashlib.sha256).hexdigest()
    # Several signatures come while PagerDuty changes the secret; one that fits is enough.
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in signatures):
        raise Rejected("The webhook's signature is wrong.")


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def _first(incident: Body, names: Sequence[str]) -> datetime:
    for name in names:
        at = _moment(incident.get(name))
        if at is not None:
            return at
    raise ContractBroken("PagerDuty does not say when this incident changed.")
