"""Tells the one object that mappings can write, a message, with the account's own senders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.errors import NeedsReconnect, Rejected
from connectors.record import Account, Choice, Field, FieldType, Object, Todo
from connectors.twilio_sms.calls import client, reading
from connectors.twilio_sms.finding import OBJECT
from connectors.twilio_sms.rules import Rules, rules_of
from connectors.twilio_sms.segments import MAX_CHARS

_MAX_NUMBERS = 1_000
_MAX_SERVICES = 100


@dataclass(frozen=True, slots=True)
class Numbers:
    """The account's numbers that can send texts, in E.164, with their names for people."""

    sms: tuple[str, ...]
    labels: tuple[str, ...]


def numbers(account: Account) -> Numbers:
    """List the account's numbers that can send texts."""
    with reading():
        found = [
            (str(one.phone_number), str(one.friendly_name or one.phone_number))
            for one in client(account).incoming_phone_numbers.list(
                limit=_MAX_NUMBERS, page_size=_MAX_NUMBERS
            )
            if one.phone_number and _can_text(one.capabilities)
        ]
    return Numbers(tuple(number for number, _ in found), tuple(label for _, label in found))


def senders(account: Account) -> list[Choice]:
    """List what texts can come from: numbers, then Messaging Services."""
    found = numbers(account)
    return [*_choices(found.sms, found.labels), *_services(account)]


def describe_objects() -> list[Object]:
    """List what can be written: one thing."""
    return [Object(OBJECT, "Text message")]


def describe_fields(account: Account, object_name: str) -> list[Field]:
    """List the fields of a text; raises Rejected when the object is another."""
    if object_name != OBJECT:
        raise Rejected(f'Twilio has no object "{object_name}".')
    return message_fields(numbers(account), _services(account), rules_of(account.settings))


def message_fields(found: Numbers, services: tuple[Choice, ...], rules: Rules) -> list[Field]:
    """List the fields of a text, of an account with these senders and settings."""
    return [
        _field(
            "To",
            "To",
            "phone",
            is_required=True,
            text="Who gets the text, with + and country code.",
        ),
        _field(
            "Body",
            "Text",
            "text",
            is_required=True,
            max_chars=MAX_CHARS,
            text="160 letters a part, 70 if one of them is not in the GSM alphabet; each part is charged.",
        ),
        _field(
            "From",
            "From",
            "picklist",
            choices=_choices(found.sms, found.labels),
            text="The sender. Without it: the connection's sender, or the account's only number.",
        ),
        _field(
            "MessagingServiceSid",
            "Messaging Service",
            "picklist",
            choices=services,
            is_restricted=bool(services),
            text="Chooses the sender out of a pool.",
        ),
        _field(
            "ValidityPeriod",
            "Valid for (seconds)",
            "integer",
            text="A text that could not be sent in this time is dropped. Without it: 14400 (4 hours).",
        ),
        _field(
            "consent",
            "The caller agreed to texts",
            "boolean",
            is_required=rules.needs_consent,
            text="Never sent to Twilio. Without it nothing is sent, unless the connection assumes consent.",
        ),
    ]


def prepare(account: Account) -> list[Todo]:
    """List what keeps texts from being sent; nothing is made in the account."""
    found = numbers(account).sms
    if rules_of(account.settings).sender:
        return []
    if not found:
        return [
            Todo(
                "Get a number that can send texts",
                "In Twilio's console: Phone Numbers, Buy a number, with the capability SMS. In the USA also "
                "register it (A2P 10DLC), or carriers will block its texts.",
            )
        ]
    if len(found) > 1:
        return [
            Todo(
                "Choose the number that sends texts",
                'The account has several. Set the connection\'s "sender", or From in each mapping.',
                is_blocking=False,
            )
        ]
    return []


def _services(account: Account) -> tuple[Choice, ...]:
    """List the Messaging Services; an API key that may not see them has none."""
    try:
        with reading():
            found = client(account).messaging.v1.services.list(
                limit=_MAX_SERVICES, page_size=_MAX_SERVICES
            )
            return tuple(
                Choice(str(one.sid), str(one.friendly_name or one.sid)) for one in found if one.sid
            )
    except NeedsReconnect:
        return ()


def _can_text(capabilities: object) -> bool:
    # The answer has them as {"sms": true} or {"SMS": true}.
    # Source: https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource (2026-11-22)
    if not isinstance(capabilities, dict):
        return False
    return bool(capabilities.get("sms", capabilities.get("SMS")))


def _choices(values: Sequence[str], labels: Sequence[str]) -> tuple[Choice, ...]:
    return tuple(Choice(value, label) for value, label in zip(values, labels, strict=True))


def _field(
    name: str,
    label: str,
    kind: FieldType,
    *,
    text: str,
    is_required: bool = False,
    max_chars: int | None = None,
    choices: tuple[Choice, ...] = (),
    is_restricted: bool = False,
) -> Field:
    """Make a field that is set once and by which nothing is looked up."""
    return Field(
        name,
        label,
        kind,
        is_required=is_required,
        max_chars=max_chars,
        choices=choices,
        is_restricted=is_restricted,
        can_update=False,
        can_match=False,
        help=text,
    )
