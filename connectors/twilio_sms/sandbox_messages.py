"""The sandbox's texts: what is refused, what waits at a sender, who has opted out, what persons reply."""

from __future__ import annotations

import hashlib
import operator
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.sandbox.kit import Sandbox
from connectors.sandbox.store import Record
from connectors.twilio_sms.sandbox_documents import NUMBERS, SERVICES, RefusedError, error
from connectors.twilio_sms.sandbox_reports import Carrier

_NUMBER = re.compile(r"\+[1-9]\d{6,14}")
_MAX_CHARS, _MAX_VALIDITY_S = 1600, 36_000
#: The signs of the small alphabet, as the standard lists them (3GPP TS 23.038).
_SMALL = re.compile(
    r"[A-Za-z0-9 \r\n@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,\-./:;<=>?¡ÄÖÑÜ§¿äöñüà\f^{}\\\[~\]|€]*"
)
_DOUBLE = re.compile(r"[\f^{}\\\[~\]|€]")
#: Source: https://www.twilio.com/docs/iam/test-credentials#test-sms-messages (2026-11-22)
_MAGIC: Mapping[str, tuple[int, str]] = {
    "+15005550001": (21211, "Invalid 'To' Phone Number: +1500555XXXX"),
    "+15005550002": (
        21612,
        "Message cannot be sent with the current combination of 'To' and/or 'From'",
    ),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region"),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}
_BY_DAY: Mapping[str, Callable[[str, str], bool]] = {
    "DateSent": operator.eq,
    "DateSent<": operator.le,
    "DateSent>": operator.ge,
}
#: Source: https://help.twilio.com/articles/223134027 (2026-11-22)
_STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
_START = frozenset({"START", "YES", "UNSTOP"})


class Messages:
    """Creates, lists and receives texts."""

    def __init__(self, sandbox: Sandbox, carrier: Carrier) -> None:
        """Work on the sandbox's store; the carrier takes what is created."""
        self._sandbox, self._store, self._carrier = sandbox, sandbox.store, carrier
        sandbox.store.index("To")

    def create(self, account: str, form: Mapping[str, str]) -> Record:
        """Take a text, or raise what Twilio would refuse it with."""
        to, body = form.get("To", ""), form.get("Body", "")
        validity_s = self._check(form)
        sender = self._sender(account, form)
        self._check_recipient(account, sender, to)
        parts = _parts(body)
        wait_s = self._carrier.wait_s(sender)
        is_full = wait_s > self._carrier.setting("queue_s")
        if is_full and not form.get("MessagingServiceSid"):
            text = f"Account exceeded the number of queued messages for 'From' number {sender}"
            raise RefusedError(error(21611, text, 429))
        fields = {
            "To": to,
            "From": sender,
            "Body": body,
            "MessagingServiceSid": form.get("MessagingServiceSid"),
            "StatusCallback": form.get("StatusCallback"),
            "ValidityPeriod": validity_s,
            "direction": "outbound-api",
            "num_segments": parts,
            "same_text": f"{to} {hashlib.sha256(body.encode()).hexdigest()[:16]}",
            "status": "queued",
        }
        sid = f"SM{secrets.token_hex(16)}"
        record = self._store.insert(account, "message", sid, fields)
        self._carrier.take(record, parts=parts, is_full=is_full, expires_s=validity_s)
        return record

    def find(self, account: str, args: Mapping[str, str]) -> Sequence[Record]:
        """List messages newest first, filtered by To, From and the day of DateSent."""
        found = [
            *self._store.find(
                account, "message", {n: args[n] for n in ("To", "From") if args.get(n)}
            ),
            *self._store.find(
                account, "inbound", {n: args[n] for n in ("To", "From") if args.get(n)}
            ),
        ]
        for name, fits in _BY_DAY.items():
            if args.get(name):
                # A text that was not sent yet has no such day.
                found = [one for one in found if (d := _day(one)) and fits(d, args[name][:10])]
        return sorted(found, key=lambda one: one.created_at, reverse=True)

    def receive(self, *, sender: str, to: str, body: str) -> str | None:
        """Take what a person texts to a number; give what is wrong with it."""
        account = next(
            (a for a, numbers in NUMBERS.items() if to in {one.number for one in numbers}), None
        )
        if account is None or not _NUMBER.fullmatch(sender):
            return "from must be a number, and to one of the accounts' numbers"
        word = body.strip().upper()
        if word in _STOP:
            self._store.keep(f"opted_out:{account}", f"{sender} {to}", {})
        elif word in _START:
            self._store.forget(f"opted_out:{account}", f"{sender} {to}")
        fields = {
            "To": to,
            "From": sender,
            "Body": body,
            "direction": "inbound",
            "status": "received",
        }
        record = self._store.insert(account, "inbound", f"SM{secrets.token_hex(16)}", fields)
        self._carrier.tell_inbound(record)
        return None

    def _check(self, form: Mapping[str, str]) -> int:
        if not form.get("To"):
            raise RefusedError(error(21604, "A 'To' phone number is required."))
        if not form.get("From") and not form.get("MessagingServiceSid"):
            raise RefusedError(error(21603, "A 'From' phone number is required."))
        if not form.get("Body"):
            raise RefusedError(error(21602, "Message body is required."))
        if len(form["Body"]) > _MAX_CHARS:
            text = "The concatenated message body exceeds the 1600 character limit"
            raise RefusedError(error(21617, text))
        callback = form.get("StatusCallback", "")
        if callback and urlsplit(callback).scheme not in {"http", "https"}:
            raise RefusedError(
                error(21609, f"The 'StatusCallback' URL {callback} is not a valid URL.")
            )
        validity = form.get("ValidityPeriod", str(_MAX_VALIDITY_S))
        if not validity.isdecimal() or not 1 <= int(validity) <= _MAX_VALIDITY_S:
            raise RefusedError(error(20422, "Invalid Parameter: ValidityPeriod"))
        return int(validity)

    def _sender(self, account: str, form: Mapping[str, str]) -> str:
        service_sid, sender = form.get("MessagingServiceSid"), form.get("From")
        if service_sid:
            pools = {one.sid: one.pool for one in SERVICES[account]}
            if service_sid not in pools:
                text = f"The Messaging Service SID {service_sid} is invalid"
                raise RefusedError(error(21701, text, 404))
            if not pools[service_sid]:
                raise RefusedError(error(21703, "The Messaging Service does not have any senders"))
            return sender or pools[service_sid][0]
        own = {one.number for one in NUMBERS[account] if one.can_text}
        if sender not in own:
            text = (
                f"The 'From' phone number provided ({sender}) is not a valid message-capable number"
            )
            raise RefusedError(error(21606, text))
        return str(sender)

    def _check_recipient(self, account: str, sender: str, to: str) -> None:
        if to in _MAGIC:
            raise RefusedError(error(*_MAGIC[to]))
        if not _NUMBER.fullmatch(to):
            raise RefusedError(error(21211, f"The 'To' number {to} is not a valid phone number."))
        if to == sender:
            raise RefusedError(error(21266, "'To' and 'From' number cannot be the same"))
        if self._store.kept(f"opted_out:{account}", f"{to} {sender}") is not None:
            raise RefusedError(error(21610, "Attempt to send to unsubscribed recipient"))


def _parts(body: str) -> int:
    """Count parts as Twilio charges them."""
    if _SMALL.fullmatch(body):
        size, one, each = len(body) + len(_DOUBLE.findall(body)), 160, 153
    else:
        size, one, each = len(body.encode("utf-16-le")) // 2, 70, 67
    return 1 if size <= one else -(-size // each)


def _day(record: Record) -> str | None:
    sent_at: Any = record.fields.get("sent_at")
    return None if sent_at is None else f"{datetime.fromtimestamp(sent_at, UTC):%Y-%m-%d}"
