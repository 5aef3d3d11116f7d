"""Property values as HubSpot takes them: always strings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from connectors.record import JSON

_WITH_OFFSET = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?[+-]\d\d:?\d\d")


def property_value(value: JSON) -> str:
    """Give a value as HubSpot takes it; None becomes "", which clears the property.

    Lists become values joined by ";" (multiple checkboxes). A moment with an offset is given in
    UTC, as HubSpot asks for UTC or milliseconds. The body of a call holds only strings.
    """
    # Source: https://developers.hubspot.com/docs/api-reference/latest/crm/properties/guide.md (2026-11-22)
    if value is None:
        return ""
    if isinstance(value, str):
        return _in_utc(value) if _WITH_OFFSET.fullmatch(value) else value
    if isinstance(value, bool | int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return json.dumps(value)
    return ";".join(property_value(part) for part in value)


def property_values(fields: Mapping[str, JSON]) -> dict[str, str]:
    """Give all properties of a record as HubSpot takes them."""
    return {name: property_value(value) for name, value in fields.items()}


def moment(value: str | None) -> datetime | None:
    """Read a moment that HubSpot answered: ISO 8601, or milliseconds since 1970."""
    if not value:
        return None
    try:
        if value.isdigit():
            return datetime.fromtimestamp(int(value) / 1000, UTC)
        read = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def parts(values: Sequence[str], size: int) -> list[Sequence[str]]:
    """Cut a list into parts of at most ``size``."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def _number(value: float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if float(value).is_integer() else str(value)


def _in_utc(value: str) -> str:
    try:
        read = datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return value
    return read.isoformat(timespec="milliseconds").replace("+00:00", "Z")
