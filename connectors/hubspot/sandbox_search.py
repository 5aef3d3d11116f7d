"""The sandbox's search: filter groups, limits and pages as HubSpot documents them.

Source: https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.hubspot.sandbox_documents import RefusedError, error
from connectors.hubspot.sandbox_schema import Property
from connectors.sandbox.store import Record, Store

_MAX_GROUPS, _MAX_IN_GROUP, _MAX_FILTERS = 5, 6, 18
_MAX_VALUES = 100
_MAX_PAGE, _DEFAULT_PAGE, _MAX_RESULTS = 200, 10, 10_000

Filter = Mapping[str, Any]


def search(
    store: Store,
    account: str,
    object_name: str,
    *,
    asked: Mapping[str, Any],
    properties: Mapping[str, Property],
) -> tuple[list[Record], int, str | None]:
    """Give a page of records, how many there are, and where the next page begins."""
    groups = [group.get("filters") or [] for group in asked.get("filterGroups") or []]
    _check(groups, properties)
    limit, start = int(asked.get("limit") or _DEFAULT_PAGE), int(asked.get("after") or 0)
    if limit > _MAX_PAGE or start + limit > _MAX_RESULTS:
        raise _refuse(f"limit must be at most {_MAX_PAGE}, and only {_MAX_RESULTS} can be paged")
    found: dict[str, Record] = {}
    for filters in groups or [[]]:
        for record in _candidates(store, account, object_name, filters):
            if all(_fits(record, one) for one in filters):
                found[record.id] = record
    records = sorted(found.values(), key=lambda record: int(record.id))
    more = str(start + limit) if len(records) > start + limit else None
    return records[start : start + limit], len(records), more


def _check(groups: Sequence[Sequence[Filter]], properties: Mapping[str, Property]) -> None:
    filters = [one for group in groups for one in group]
    if len(groups) > _MAX_GROUPS:
        raise _refuse(f"too many filterGroups: at most {_MAX_GROUPS}")
    if len(filters) > _MAX_FILTERS or any(len(group) > _MAX_IN_GROUP for group in groups):
        raise _refuse(f"too many filters: at most {_MAX_FILTERS}, {_MAX_IN_GROUP} in a group")
    for one in filters:
        name, operator = str(one.get("propertyName")), str(one.get("operator"))
        if name not in properties:
            raise _refuse(f"There was a problem with the request: unknown property {name}")
        if operator not in _OPERATORS:
            raise _refuse(f"unknown operator {operator}")
        if operator in {"IN", "NOT_IN"}:
            values = one.get("values") or []
            if not values or len(values) > _MAX_VALUES:
                raise _refuse(f"operator {operator} needs 1 to {_MAX_VALUES} values")
            if properties[name].type == "string" and any(v != str(v).lower() for v in values):
                raise _refuse(f"operator {operator} needs values in lower case")


def _candidates(
    store: Store, account: str, object_name: str, filters: Sequence[Filter]
) -> list[Record]:
    """Give the records that one equality leaves, or all."""
    for one in filters:
        name = str(one["propertyName"])
        name = "id" if name == "hs_object_id" else name
        if one["operator"] == "IN":
            return store.find_any(account, object_name, name, [str(v) for v in one["values"]])
        if one["operator"] == "EQ":
            return store.find_any(account, object_name, name, [str(one.get("value"))])
    return store.scan(account, object_name)


def _held(record: Record, one: Filter) -> str:
    name = str(one["propertyName"])
    return record.id if name == "hs_object_id" else str(record.fields.get(name) or "")


def _fits(record: Record, one: Filter) -> bool:
    return _OPERATORS[str(one["operator"])](_held(record, one).lower(), one)


def _value(one: Filter, name: str = "value") -> str:
    return str(one.get(name, "")).lower()


def _values(one: Filter) -> set[str]:
    return {str(value).lower() for value in one.get("values") or ()}


def _compared(held: str, value: str) -> int:
    """Compare as numbers where both are, else as text: ISO moments then compare well too."""
    try:
        left, right = float(held), float(value)
    except ValueError:
        return (held > value) - (held < value)
    return (left > right) - (left < right)


_OPERATORS: dict[str, Callable[[str, Filter], bool]] = {
    "EQ": lambda held, one: held == _value(one),
    "NEQ": lambda held, one: held != _value(one),
    "IN": lambda held, one: held in _values(one),
    "NOT_IN": lambda held, one: held not in _values(one),
    "HAS_PROPERTY": lambda held, _one: bool(held),
    "NOT_HAS_PROPERTY": lambda held, _one: not held,
    "CONTAINS_TOKEN": lambda held, one: _value(one).strip("*") in held,
    "NOT_CONTAINS_TOKEN": lambda held, one: _value(one).strip("*") not in held,
    "GT": lambda held, one: bool(held) and _compared(held, _value(one)) > 0,
    "GTE": lambda held, one: bool(held) and _compared(held, _value(one)) >= 0,
    "LT": lambda held, one: bool(held) and _compared(held, _value(one)) < 0,
    "LTE": lambda held, one: bool(held) and _compared(held, _value(one)) <= 0,
    "BETWEEN": lambda held, one: (
        bool(held)
        and _compared(held, _value(one)) >= 0
        and _compared(held, _value(one, "highValue")) <= 0
    ),
}


def _refuse(message: str) -> RefusedError:
    return RefusedError(400, error("VALIDATION_ERROR", message))
