"""Tells which records have been closed, from HubSpot's webhooks and by asking."""

from __future__ import annotations

import hmac
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hubspot.utils.signature import Signature

from connectors.errors import Rejected
from connectors.hubspot import paths
from connectors.hubspot.calls import call
from connectors.hubspot.finding import Properties, read
from connectors.hubspot.objects import KINDS, object_of
from connectors.hubspot.values import moment
from connectors.record import JSON, Account, Closure, RecordId, WebhookRequest

_STAGES = {
    "deals": ("dealstage", "closedate"),
    "tickets": ("hs_pipeline_stage", "closed_date"),
    "tasks": ("hs_task_status", "hs_task_completion_date"),
}
_CHANGED = "hs_lastmodifieddate"
#: Signatures older than this are refused.
#: Source: https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
#: seen 2026-11-22
_MAX_AGE_S = 300
_MILLISECONDS = re.compile(r"[0-9]{1,15}")


def closed(account: Account, ids: Sequence[RecordId]) -> list[Closure]:
    """Tell which of these records are closed: deals won or lost, tickets closed, tasks done."""
    found: list[Closure] = []
    for object_name, (stage, closed_at) in _STAGES.items():
        wanted = {one.id: one for one in ids if one.object == object_name}
        if not wanted:
            continue
        result_of = _results(account, object_name)
        for hit in read(account, object_name, list(wanted), (stage, closed_at, _CHANGED)):
            result = result_of(hit.values.get(stage) or "")
            if result and hit.id in wanted:
                at = _first_moment(hit.values, (closed_at, _CHANGED))
                found.append(Closure(wanted[hit.id], at, result, is_success=result != "lost"))
    return found


def webhook(account: Account, request: WebhookRequest) -> list[Closure]:
    """Verify a webhook and tell which of its records are closed now.

    HubSpot is asked for the present state, since events come late, twice and in any order. Raises
    Rejected when the signature is wrong.
    """
    return closed(account, changed(account, request))


def changed(account: Account, request: WebhookRequest) -> list[RecordId]:
    """Verify a webhook and name the records of this account whose stage has changed, without a call.

    Raises Rejected when the signature is wrong.
    """
    _verify(request)
    portal = str(account.settings.get("hub_id", account.id))
    found: dict[tuple[str, str], RecordId] = {}
    for event in _events(request):
        record = _changed(event) if str(event.get("portalId")) == portal else None
        if record is not None:
            found[record.object, record.id] = record
    return list(found.values())


def accounts_of(request: WebhookRequest) -> list[str]:
    """Name the accounts that a webhook speaks of; its signature is not checked here.

    Raises Rejected when it is not one of HubSpot's.
    """
    return list(dict.fromkeys(str(event.get("portalId")) for event in _events(request)))


def _events(request: WebhookRequest) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(request.body)
    except ValueError as err:
        raise Rejected("The webhook's body is not JSON.") from err
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(event, dict) for event in listed):
        raise Rejected("The webhook's body is not a list of events.")
    return listed


def _changed(event: Mapping[str, Any]) -> RecordId | None:
    """Give the record whose stage an event says has changed."""
    # "deal.propertyChange", or "object.propertyChange" with an objectTypeId.
    # Source: https://developers.hubspot.com/docs/api-reference/latest/webhooks/guide (2026-11-22)
    word, _, what = str(event.get("subscriptionType")).partition(".")
    if what != "propertyChange":
        return None
    named = {kind.label.lower(): kind.name for kind in KINDS.values()}
    object_name = named.get(word) or object_of(str(event.get("objectTypeId") or ""))
    stage = _STAGES.get(object_name)
    if stage is None or event.get("propertyName") != stage[0]:
        return None
    return RecordId(object_name, str(event.get("objectId")))


def _verify(request: WebhookRequest) -> None:
    signature = request.headers.get("x-hubspot-signature-v3", "")
    timestamp = request.headers.get("x-hubspot-request-timestamp", "")
    if not request.secret or not signature or not _MILLISECONDS.fullmatch(timestamp):
        raise Rejected("The webhook is not signed by HubSpot.")
    if abs(time.time() - int(timestamp) / 1000) > _MAX_AGE_S:
        raise Rejected("The webhook's signature is older than five minutes.")
    try:
        body = request.body.decode()
    except UnicodeDecodeError as err:
        raise Rejected("The webhook's body is not text.") from err
    expected = Signature.get_signature(
        client_secret=request.secret,
        request_body=body,
        signature_version="v3",
        http_uri=request.url,
        http_method=request.method,
        timestamp=timestamp,
    )
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise Rejected("The webhook's signature is wrong.")


def _results(account: Account, object_name: str) -> Callable[[str], str | None]:
    """Give a function from a stage to what it means: None while open."""
    if object_name == "tasks":
        return {"COMPLETED": "done"}.get
    stages: dict[str, str | None] = {}
    for pipeline in call(account, "GET", paths.pipelines(object_name)).results:
        for stage in pipeline.get("stages") or []:
            stages[str(stage.get("id"))] = _stage_result(stage.get("metadata") or {})
    return stages.get


def _stage_result(metadata: Mapping[str, JSON]) -> str | None:
    # Source: https://developers.hubspot.com/docs/api-reference/latest/crm/pipelines/guide.md (2026-11-22)
    if str(metadata.get("ticketState")) == "CLOSED":
        return "closed"
    if str(metadata.get("isClosed")).lower() != "true":
        return None
    probability = metadata.get("probability")
    if probability is None:
        return "closed"
    return "won" if str(probability) in {"1", "1.0"} else "lost"


def _first_moment(values: Properties, names: Sequence[str]) -> datetime:
    for name in names:
        at = moment(values.get(name))
        if at is not None:
            return at
    return datetime.now(UTC)
