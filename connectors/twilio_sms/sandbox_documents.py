"""The sandbox's accounts, numbers and services, and the documents in which Twilio shows things.

Source: https://www.twilio.com/docs/messaging/api/message-resource (2026-11-22)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from flask import request

from connectors.sandbox import clock
from connectors.sandbox.oauth import SandboxAccount
from connectors.sandbox.store import Record

Document = dict[str, Any]
_API_VERSION = "2010-04-01"
_BORN = clock.seconds()


@dataclass(frozen=True, slots=True)
class Number:
    """A number of an account."""

    sid: str
    number: str
    name: str
    can_text: bool = True


@dataclass(frozen=True, slots=True)
class Service:
    """A Messaging Service: a pool of numbers, of which it chooses one for each recipient."""

    sid: str
    name: str
    pool: tuple[str, ...]


ACCOUNTS = (
    SandboxAccount("AC5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a61", "Whitfield Plumbing"),
    SandboxAccount("AC5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a62", "Lakeside Dental"),
)
_FIRST, _SECOND = (account.id for account in ACCOUNTS)
NUMBERS: dict[str, tuple[Number, ...]] = {
    _FIRST: (
        Number("PN5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a01", "+14155550100", "Front desk"),
        Number("PN5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a02", "+14155550101", "Fax", can_text=False),
    ),
    _SECOND: (
        Number("PN5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a03", "+14155550110", "Reception"),
        Number("PN5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a04", "+12125550111", "Second practice"),
    ),
}
SERVICES: dict[str, tuple[Service, ...]] = {
    _FIRST: (
        Service("MG5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a01", "Call-backs", ("+14155550100",)),
        Service("MG5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a02", "Empty pool", ()),
    ),
    _SECOND: (),
}


class RefusedError(Exception):
    """A call that Twilio refuses, in its words."""

    def __init__(self, document: Document) -> None:
        """Keep the document; it names its status."""
        super().__init__(document["message"])
        self.document, self.status = document, int(document["status"])


def error(code: int, message: str, status: int = 400) -> Document:
    """Give an error in Twilio's form."""
    return {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


def message_document(record: Record) -> Document:
    """Show a message."""
    fields = record.fields
    uri = f"/{_API_VERSION}/Accounts/{record.account}/Messages/{record.id}"
    return {
        "account_sid": record.account,
        "api_version": _API_VERSION,
        "body": fields.get("Body", ""),
        "date_created": _moment(record.created_at),
        "date_sent": _moment(fields["sent_at"]) if "sent_at" in fields else None,
        "date_updated": _moment(record.updated_at),
        "direction": fields["direction"],
        "error_code": fields.get("error_code"),
        "error_message": fields.get("error_message"),
        "from": fields.get("From"),
        "messaging_service_sid": fields.get("MessagingServiceSid"),
        "num_media": "0",
        "num_segments": str(fields.get("num_segments", 1)),
        "price": None,
        "price_unit": "USD",
        "sid": record.id,
        "status": fields["status"],
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": fields["To"],
        "uri": f"{uri}.json",
    }


def number_document(account: str, one: Number) -> Document:
    """Show a number."""
    return {
        "account_sid": account,
        "address_requirements": "none",
        "address_sid": None,
        "api_version": _API_VERSION,
        "beta": False,
        "bundle_sid": None,
        "capabilities": {"voice": True, "sms": one.can_text, "mms": one.can_text, "fax": False},
        "date_created": _moment(_BORN),
        "date_updated": _moment(_BORN),
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "friendly_name": one.name,
        "identity_sid": None,
        "origin": "twilio",
        "phone_number": one.number,
        "sid": one.sid,
        "sms_application_sid": None,
        "sms_fallback_method": "POST",
        "sms_fallback_url": None,
        "sms_method": "POST",
        "sms_url": None,
        "status": "in-use",
        "status_callback": None,
        "status_callback_method": "POST",
        "trunk_sid": None,
        "type": "local",
        "uri": f"/{_API_VERSION}/Accounts/{account}/IncomingPhoneNumbers/{one.sid}.json",
        "voice_application_sid": None,
        "voice_caller_id_lookup": False,
        "voice_fallback_method": "POST",
        "voice_fallback_url": None,
        "voice_method": "POST",
        "voice_receive_mode": "voice",
        "voice_url": None,
    }


def service_document(account: str, one: Service, *, base: str) -> Document:
    """Show a Messaging Service."""
    url = f"{base}/v1/Services/{one.sid}"
    at = datetime.fromtimestamp(_BORN, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "account_sid": account,
        "date_created": at,
        "date_updated": at,
        "friendly_name": one.name,
        "sid": one.sid,
        "smart_encoding": True,
        "url": url,
        "validity_period": 36_000,
        "links": {"phone_numbers": f"{url}/PhoneNumbers"},
    }


def account_document(account: SandboxAccount) -> Document:
    """Show an account."""
    uri = f"/{_API_VERSION}/Accounts/{account.id}"
    return {
        "auth_token": None,
        "date_created": _moment(_BORN),
        "date_updated": _moment(_BORN),
        "friendly_name": account.name,
        "owner_account_sid": account.id,
        "sid": account.id,
        "status": "active",
        "subresource_uris": {"messages": f"{uri}/Messages.json"},
        "type": "Full",
        "uri": f"{uri}.json",
    }


def page(name: str, documents: list[Document]) -> Document:
    """Give the page of a list that was asked for (``Page``, ``PageSize``)."""
    size = min(max(request.args.get("PageSize", 50, type=int), 1), 1000)
    number = max(request.args.get("Page", 0, type=int), 0)
    start = number * size
    shown = documents[start : start + size]

    def uri(index: int) -> str:
        return f"{request.path}?{_query(Page=str(index), PageSize=str(size))}"

    return {
        "end": max(start + len(shown) - 1, 0),
        "first_page_uri": uri(0),
        name: shown,
        "next_page_uri": uri(number + 1) if start + size < len(documents) else None,
        "page": number,
        "page_size": size,
        "previous_page_uri": uri(number - 1) if number else None,
        "start": start,
        "uri": uri(number),
    }


def service_page(documents: list[Document], *, base: str) -> Document:
    """Give a page as Twilio's newer APIs do; there is but one."""
    url = f"{base}{request.path}"
    return {
        "meta": {
            "first_page_url": f"{url}?PageSize=50&Page=0",
            "key": "services",
            "next_page_url": None,
            "page": 0,
            "page_size": 50,
            "previous_page_url": None,
            "url": f"{url}?PageSize=50&Page=0",
        },
        "services": documents,
    }


def _query(**changed: str) -> str:
    return urlencode({**request.args.to_dict(), **changed})


def _moment(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(at), UTC))
