"""Tells what became of texts: by Twilio's reports, and by asking for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from twilio.request_validator import (
    RequestValidator,
)

from connectors.errors import ContractBroken, Rejected, Throttled
from connectors.record import Account, Closure, RecordId, WebhookRequest
from connectors.twilio_sms.calls import client, keys_of, reading
from connectors.twilio_sms.finding import OBJECT

_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
#: Source: https://www.twilio.com/docs/messaging/api/message-resource#message-status-values (2026-11-22)
_TOUCHED = frozenset({"sent", "partially_delivered"})
_DONE = frozenset({"delivered", "read"})
_LOST = frozenset({"undelivered", "failed", "canceled"})
_NOT_FOUND = 404
_MAX_PARAMETERS = 200


class _Form(dict[str, list[str]]):
    """A form as the SDK's validator wants it: a parameter may come several times."""

    def getlist(self, name: str) -> list[str]:
        """Give all values of a parameter."""
        return self[name]


def closed(account: Account, ids: Sequence[RecordId]) -> list[Closure]:
    """Ask for each text; those that arrived or were lost are closed, those on their way touched.

    When the budget ends in between, what is known so far is told; the rest is asked another time.
    """
    found: list[Closure] = []
    for place, record in enumerate(one for one in ids if one.object == OBJECT):
        if not _SID.fullmatch(record.id):
            continue
        try:
            closure = _ask(account, record)
        except Throttled:
            if place == 0:
                raise
            break
        if closure is not None:
            found.append(closure)
    return found


def webhook(account: Account, request: WebhookRequest) -> list[Closure]:
    """Verify a report and tell what became of its text.

    A caller's reply (STOP and others too) closes nothing: Twilio keeps the list of those who opted out.
    Raises Rejected when the signature is wrong.
    """
    form = _form(request)
    _verify(account, request, form)
    said = {name: values[-1] for name, values in form.items()}
    if said.get("AccountSid") != keys_of(account).account_sid:
        return []
    sid, status = said.get("MessageSid", ""), said.get("MessageStatus", "")
    if not _SID.fullmatch(sid) or not status:
        return []
    closure = _closure(
        RecordId(OBJECT, sid), status, code=said.get("ErrorCode"), at=datetime.now(UTC)
    )
    return [] if closure is None else [closure]


def _ask(account: Account, record: RecordId) -> Closure | None:
    try:
        with reading():
            message = client(account).messages(record.id).fetch()
            status, code = message.status, message.error_code
            at = message.date_updated or message.date_sent or message.date_created
    except Rejected as err:
        if err.status == _NOT_FOUND:
            return None
        raise
    if not isinstance(status, str) or not isinstance(at, datetime):
        raise ContractBroken("Twilio tells a message without its status or date.")
    return _closure(record, status, code=code, at=at if at.tzinfo else at.replace(tzinfo=UTC))


def _closure(record: RecordId, status: str, *, code: object, at: datetime) -> Closure | None:
    if status in _TOUCHED:
        return Closure(record, at, status, is_closed=False)
    if status in _DONE:
        return Closure(record, at, status)
    if status in _LOST:
        result = f"{status} ({code})" if code else status
        return Closure(record, at, result, is_success=False)
    return None


def _form(request: WebhookRequest) -> _Form:
    form = _Form()
    try:
        pairs = parse_qsl(
            request.body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError as err:
        raise Rejected("The report is not a form.") from err
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form


def _verify(account: Account, request: WebhookRequest, form: _Form) -> None:
    # Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security (2026-11-22)
    signature = request.headers.get("x-twilio-signature", "")
    token = keys_of(account).auth_token
    if not token or not signature:
        raise Rejected("The report is not signed by Twilio.")
    try:
        is_theirs = RequestValidator(token).validate(request.url, form, signature)
    except ValueError as err:
        raise Rejected("The report's signature cannot be checked.") from err
    if not is_theirs:
        raise Rejected("The report's signature is wrong.")
