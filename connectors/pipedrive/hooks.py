"""Webhooks v2: has Pipedrive report to us, and reads its reports.

They are not signed. What shows that a request is Pipedrive's is HTTP Basic with a user and a password that we made up
when we asked for the webhook.
Source: https://pipedrive.readme.io/docs/guide-for-webhooks-v2 (2026-11-22)
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.errors import Rejected
from connectors.pipedrive import paths
from connectors.pipedrive.calls import Refusal, Row, attempt, call
from connectors.pipedrive.closing import closures, converted
from connectors.pipedrive.objects import KINDS
from connectors.record import Account, Closure, RecordId, Subscription, WebhookRequest

_USER = "afterbeep"
_NAME = "Afterbeep"
#: A lead that is converted is deleted. A user may have forty webhooks.
_EVENTS = (("deal", "change"), ("activity", "change"), ("lead", "change"), ("lead", "delete"))
_GONE = frozenset({403, 404, 410})


def subscribe(account: Account, known: Subscription | None) -> Subscription:
    """Have Pipedrive report to ``account.webhook_url``; makes only the webhooks that are missing.

    Where we know of none, those that report to this address already are replaced, as nobody knows their password.
    """
    url = account.webhook_url
    if not url:
        raise Rejected("This Afterbeep has no public address to which Pipedrive could report.")
    ours = [row for row in call(account, paths.WEBHOOKS).rows if row.get("subscription_url") == url]
    kept: dict[tuple[str, str], str] = {}
    if known is not None:
        names = set(known.id.split(","))
        for row in ours:
            if str(row.get("id")) in names and row.get("is_active", 1):
                kept[str(row.get("event_object")), str(row.get("event_action"))] = str(row["id"])
    for row in ours:
        if str(row.get("id")) not in kept.values():
            _drop(account, str(row.get("id")))
    secret = known.secret if known else f"{_USER}:{secrets.token_urlsafe(32)}"
    for event in _EVENTS:
        if event not in kept:
            kept[event] = _add(account, url, event, secret)
    return Subscription(id=",".join(kept[event] for event in _EVENTS), secret=secret)


def unsubscribe(account: Account, known: Subscription) -> None:
    """End the webhooks; those that are gone already are fine."""
    for one in filter(None, known.id.split(",")):
        _drop(account, one)


def changed(request: WebhookRequest) -> list[RecordId]:
    """Verify a report and name the record that it is about, without a call."""
    report = _report(request)
    return [] if report is None else [report.record]


def webhook(account: Account, request: WebhookRequest) -> list[Closure]:
    """Verify and read a report; raises Rejected when it does not show our password or is no report.

    What a report says of its record is taken, without asking. Only a lead that is gone is asked for, since nobody says
    whether it was converted.
    """
    report = _report(request)
    if report is None:
        return []
    if report.action == "delete":
        return converted(account, [report.record]) if report.record.object == "Lead" else []
    return closures(report.record, report.row)


@dataclass(frozen=True, slots=True)
class _Report:
    """A report of a change or deletion: which record, and how it stands now (empty when it is gone)."""

    record: RecordId
    action: str
    row: Row


def _report(request: WebhookRequest) -> _Report | None:
    """Verify and read a request; None when it is about nothing that can be closed."""
    _verify(request)
    try:
        said = json.loads(request.body)
    except ValueError as err:
        raise Rejected("The webhook's body is not JSON.") from err
    meta = said.get("meta") if isinstance(said, Mapping) else None
    if not isinstance(meta, Mapping):
        raise Rejected("The webhook's body is not a report of Pipedrive's second version.")
    event = str(meta.get("entity")), str(meta.get("action"))
    row = said.get("data")
    row = row if isinstance(row, Mapping) else {}
    name = meta.get("entity_id") or row.get("id")
    if event not in _EVENTS or name is None:
        return None
    kind = next(one for one in KINDS.values() if one.word == event[0])
    return _Report(RecordId(kind.name, str(name)), event[1], row)


def _verify(request: WebhookRequest) -> None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or ":" not in request.secret:
        raise Rejected("The webhook does not show our password.")
    try:
        shown = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as err:
        raise Rejected("The webhook does not show our password.") from err
    if not hmac.compare_digest(shown, request.secret.encode()):
        raise Rejected("The webhook does not show our password.")


def _add(account: Account, url: str, event: tuple[str, str], secret: str) -> str:
    user, _, password = secret.partition(":")
    made: Row = call(
        account,
        paths.ADD_WEBHOOK,
        body={
            "subscription_url": url,
            "event_object": event[0],
            "event_action": event[1],
            "name": f"{_NAME}: {event[0]} {event[1]}",
            "version": "2.0",
            "http_auth_user": user,
            "http_auth_password": password,
        },
    ).one
    return str(made.get("id"))


def _drop(account: Account, webhook_id: str) -> None:
    made = attempt(account, paths.drop_webhook(webhook_id))
    if isinstance(made, Refusal) and made.status not in _GONE:
        raise made.error
