"""Values as Pipedrive takes and gives them: strict JSON types, lists of telephone numbers, options by id."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import phonenumbers

from connectors.errors import Rejected
from connectors.pipedrive.objects import Kind, Shape, Standard
from connectors.record import JSON, FieldType

_WHOLE = re.compile(r"[+-]?\d{1,18}")
_CODE = re.compile(r"[0-9a-f]{40}")

#: Custom fields that we can fill, by Pipedrive's type. The others need two values or a currency.
#: Source: https://pipedrive.readme.io/docs/core-api-concepts-custom-fields (2026-11-22)
CUSTOM_TYPES: Mapping[str, tuple[FieldType, Shape]] = {
    "varchar": ("string", "plain"),
    "varchar_auto": ("string", "plain"),
    "text": ("text", "plain"),
    "double": ("number", "number"),
    "int": ("integer", "whole"),
    "boolean": ("boolean", "boolean"),
    "phone": ("phone", "plain"),
    "date": ("date", "plain"),
    "enum": ("picklist", "whole"),
    "set": ("multipicklist", "numbers"),
    "address": ("string", "address"),
    "org": ("reference", "whole"),
    "people": ("reference", "whole"),
    "user": ("integer", "whole"),
}


def is_custom(name: str) -> bool:
    """Say whether this is the code of a custom field."""
    return bool(_CODE.fullmatch(name))


def body_of(kind: Kind, fields: Mapping[str, JSON], customs: Mapping[str, str]) -> dict[str, JSON]:
    """Give a record's JSON; *customs* is the type of each custom field by its code.

    A field that nobody knows is passed on for Pipedrive to refuse, and so is a value that is not of
    its type: Pipedrive says better what is wrong. None clears.
    """
    body: dict[str, JSON] = {}
    own: dict[str, JSON] = {}
    for name, value in fields.items():
        standard = kind.standard_field(name)
        if standard is not None:
            _put(body, standard, value)
        elif is_custom(name):
            _, shape = CUSTOM_TYPES.get(customs.get(name, ""), ("string", "plain"))
            # An empty list is refused where a list is to be cleared; null clears.
            own[name] = _SHAPES[shape](value) if value not in (None, [], ()) else None
        else:
            body[name] = value
    if kind.name == "Lead":
        _join_amount(body)
    if own and kind.is_v1:
        return {**body, **own}
    return {**body, "custom_fields": own} if own else body


def _put(body: dict[str, JSON], standard: Standard, value: JSON) -> None:
    if standard.shape == "due":
        body.update(_due(value))
    elif value is None:
        body[standard.key] = [] if standard.shape in {"contacts", "person", "numbers"} else None
    else:
        body[standard.key] = _SHAPES[standard.shape](value)


def _join_amount(body: dict[str, JSON]) -> None:
    """Join a lead's value and currency into the one object that v1 takes."""
    if "value" not in body and "currency" not in body:
        return
    amount, currency = body.pop("value", None), body.pop("currency", None)
    if (amount is None) != (currency is None):
        raise Rejected("A lead's value needs a currency, and a currency a value.", field="value")
    body["value"] = None if amount is None else {"amount": amount, "currency": currency}


def _whole(value: JSON) -> JSON:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: JSON) -> JSON:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _boolean(value: JSON) -> JSON:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _listed(value: JSON) -> list[JSON]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _numbers(value: JSON) -> JSON:
    return [_whole(one) for one in _listed(value)]


def _contacts(value: JSON) -> JSON:
    return [
        {"value": one, "primary": place == 0, "label": "work"}
        for place, one in enumerate(_listed(value))
    ]


def _person(value: JSON) -> JSON:
    # In v2 the person of an activity is its primary participant.
    # Source: https://pipedrive.readme.io/docs/pipedrive-api-v2-migration-guide (2026-11-22)
    return [{"person_id": _whole(value), "primary": True}]


def _due(value: JSON) -> dict[str, JSON]:
    """Split a moment into the date and the time, which Pipedrive keeps in UTC; a date has no time."""
    if not isinstance(value, str):
        return {"due_date": value, "due_time": None}
    at = moment(value)
    if at is None or "T" not in value:
        return {"due_date": value}
    at = at.astimezone(UTC)
    return {"due_date": at.strftime("%Y-%m-%d"), "due_time": at.strftime("%H:%M")}


_SHAPES: Mapping[Shape, Callable[[JSON], JSON]] = {
    "plain": lambda value: value,
    "whole": _whole,
    "number": _number,
    "boolean": _boolean,
    "contacts": _contacts,
    "address": lambda value: {"value": value} if isinstance(value, str) else value,
    "numbers": _numbers,
    "words": lambda value: _listed(value),  # noqa: PLW0108 - a list is a JSON value only to the reader
    "person": _person,
    "amount": _number,
    "currency": lambda value: value,
    "due": lambda value: value,
}


def value_of(kind: Kind, record: Mapping[str, Any], name: str) -> JSON:
    """Give a field of a record as a mapping wrote it; None when it holds nothing."""
    standard = kind.standard_field(name)
    if standard is None:
        held = record.get("custom_fields") if not kind.is_v1 else record
        value = held.get(name) if isinstance(held, Mapping) else None
        return _plain(value)
    if standard.shape == "contacts":
        return next(iter(contacts_of(record, standard.key)), None)
    if standard.shape == "due":
        return _due_of(record)
    if standard.shape in {"amount", "currency"}:
        value = record.get("value")
        part = "amount" if standard.shape == "amount" else "currency"
        return _plain(value.get(part)) if isinstance(value, Mapping) else None
    return _plain(record.get(standard.name, record.get(standard.key)))


def contacts_of(record: Mapping[str, Any], key: str) -> list[str]:
    """Give a person's numbers or addresses, the primary one first; a search gives them as plain text."""
    held = record.get(key)
    if not isinstance(held, list):
        return []
    rows = [one if isinstance(one, Mapping) else {"value": one} for one in held]
    rows.sort(key=lambda row: not row.get("primary"))
    return [str(row["value"]) for row in rows if row.get("value")]


def _plain(value: Any) -> JSON:
    if isinstance(value, Mapping):
        return _plain(value.get("value", value.get("id")))
    if isinstance(value, list):
        return [_plain(one) for one in value] or None
    return value if isinstance(value, str | int | float | bool) and value != "" else None


def _due_of(record: Mapping[str, Any]) -> JSON:
    day, at = record.get("due_date"), record.get("due_time")
    if not isinstance(day, str) or not day:
        return None
    return f"{day}T{at}Z" if isinstance(at, str) and at else day


def moment(value: object) -> datetime | None:
    """Read a moment that Pipedrive gave: RFC 3339 in v2, "2020-01-31 10:20:30" in UTC in v1."""
    if not isinstance(value, str) or not value:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def phone(text: str, region: str | None = None) -> phonenumbers.PhoneNumber | None:
    """Read a telephone number without its extension; *region* is for numbers without a country code."""
    try:
        read = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.PhoneNumber(
        country_code=read.country_code,
        national_number=read.national_number,
        italian_leading_zero=read.italian_leading_zero,
        number_of_leading_zeros=read.number_of_leading_zeros,
    )


def is_same_contact(name: str, held: str, asked: str) -> bool:
    """Say whether two telephone numbers, or two e-mail addresses, are the same however they are written."""
    if held.strip().casefold() == asked.strip().casefold():
        return True
    if name != "phone":
        return False
    number, other = phone(asked), phone(held)
    # One of the two may lack its country; it is then taken for the other's.
    if number is not None:
        return phone(held, phonenumbers.region_code_for_number(number)) == number
    return other is not None and phone(asked, phonenumbers.region_code_for_number(other)) == other
