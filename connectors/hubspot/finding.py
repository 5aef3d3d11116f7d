"""Finds records: by our key and other unique values in batches, by other values with a search.

Reading by a unique property sees what was written a moment ago and costs one call for a hundred;
a search sees it seconds later and may be done only five times a second, so it comes last.
Source: https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import phonenumbers

from connectors.hubspot import paths
from connectors.hubspot.calls import call
from connectors.hubspot.objects import KEY, KINDS, label_of
from connectors.hubspot.values import parts, property_value
from connectors.record import Account, Candidate, Found, Lookup, RecordId

_MAX_READ = 100
#: A search: five groups, of which one must hold; its filters must all hold. IN takes 100 values.
_MAX_GROUPS = 5
_MAX_FILTERS = 18
_MAX_VALUES = 100
_PAGE = 200
_MAX_PAGES = 5

_ID = "hs_object_id"
_MORE_EMAILS = "hs_additional_emails"

Properties = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that HubSpot gave."""

    id: str
    values: Properties


def find(account: Account, lookups: Sequence[Lookup]) -> list[Found]:
    """Answer every lookup; answer i belongs to lookup i."""
    found: list[Found] = [Found()] * len(lookups)
    for object_name in dict.fromkeys(lookup.object for lookup in lookups):
        asked = [(i, one) for i, one in enumerate(lookups) if one.object == object_name]
        hits = _hits(account, object_name, [lookup for _, lookup in asked])
        for (index, lookup), own in zip(asked, hits, strict=True):
            found[index] = Found(tuple(_candidate(lookup, hit) for hit in own))
    return found


def read(
    account: Account,
    object_name: str,
    ids: Sequence[str],
    properties: Iterable[str],
    *,
    by: str | None = None,
) -> list[Hit]:
    """Read the records with these ids, or these values of a unique property; missing ones are left out."""
    found: list[Hit] = []
    for part in parts(list(dict.fromkeys(ids)), _MAX_READ):
        body: dict[str, Any] = {
            "inputs": [{"id": one} for one in part],
            "properties": list(properties),
            "propertiesWithHistory": [],
        }
        if by is not None:
            body["idProperty"] = by
        answer = call(account, "POST", paths.batch(object_name, "read"), body=body)
        found += [_hit(result) for result in answer.results]
    return found


def _hits(account: Account, object_name: str, lookups: Sequence[Lookup]) -> list[list[Hit]]:
    properties = _properties(object_name, lookups)
    hits: dict[str, Hit] = {}
    searched: list[Lookup] = []
    unique: dict[str | None, list[str]] = {}
    for lookup in lookups:
        how = _unique(object_name, lookup)
        if how is None:
            searched.append(lookup)
        else:
            unique.setdefault(how[0], []).append(how[1])
    for by, values in unique.items():
        hits.update({hit.id: hit for hit in read(account, object_name, values, properties, by=by)})
    for groups in _requests(object_name, searched):
        hits.update({hit.id: hit for hit in _search(account, object_name, groups, properties)})
    return [[hit for hit in hits.values() if _fits(object_name, lookup, hit)] for lookup in lookups]


def _unique(object_name: str, lookup: Lookup) -> tuple[str | None, str] | None:
    """Give the property and value by which a lookup can be read; None when it must be searched."""
    if lookup.key is not None:
        return KEY, lookup.key
    if len(lookup.by) == 1:
        ((name, value),) = lookup.by.items()
        if name == _ID:
            return None, property_value(value)
        if name == KEY or (object_name, name) == ("contacts", "email"):
            return name, property_value(value).lower() if name == "email" else property_value(value)
    return None


def _properties(object_name: str, lookups: Sequence[Lookup]) -> list[str]:
    kind = KINDS.get(object_name)
    wanted = [KEY, *(kind.label_from if kind else ())]
    for lookup in lookups:
        wanted += [*lookup.by, *lookup.read]
        if "email" in lookup.by:
            wanted.append(_MORE_EMAILS)
    return list(dict.fromkeys(wanted))


def _search(
    account: Account,
    object_name: str,
    groups: Sequence[Mapping[str, Any]],
    properties: Sequence[str],
) -> list[Hit]:
    found: list[Hit] = []
    body: dict[str, Any] = {"filterGroups": groups, "properties": properties, "limit": _PAGE}
    for _ in range(_MAX_PAGES):
        answer = call(account, "POST", paths.search(object_name), body=body, limit="search")
        found += [_hit(result) for result in answer.results]
        paging = answer.body.get("paging")
        after = paging.get("next", {}).get("after") if isinstance(paging, Mapping) else None
        if not after:
            break
        body["after"] = after
    return found


def _requests(object_name: str, lookups: Sequence[Lookup]) -> list[list[dict[str, Any]]]:
    """Give the filter groups of each search that answers these lookups."""
    values: dict[str, list[str]] = {}
    groups: list[dict[str, Any]] = []
    for lookup in lookups:
        if len(lookup.by) > 1:
            groups.append(
                {"filters": [_equal(name, property_value(v)) for name, v in lookup.by.items()]}
            )
            continue
        for name, value in lookup.by.items():
            for spelled_name, spelled in _spellings(object_name, name, property_value(value)):
                values.setdefault(spelled_name, []).append(spelled)
    for name, all_values in values.items():
        # IN compares strings in lower case, and wants its values so.
        for part in parts(list(dict.fromkeys(v.lower() for v in all_values)), _MAX_VALUES):
            filters = [{"propertyName": name, "operator": "IN", "values": list(part)}]
            groups.append({"filters": filters})
    return _packed(groups)


def _packed(groups: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    requests: list[list[dict[str, Any]]] = []
    filters = 0
    for group in groups:
        more = len(group["filters"])
        if not requests or len(requests[-1]) == _MAX_GROUPS or filters + more > _MAX_FILTERS:
            requests.append([])
            filters = 0
        requests[-1].append(group)
        filters += more
    return requests


def _equal(name: str, value: str) -> dict[str, str]:
    return {"propertyName": name, "operator": "EQ", "value": value}


def _spellings(object_name: str, name: str, value: str) -> list[tuple[str, str]]:
    """Give the properties and values under which a record with this value may be found.

    People write telephone numbers in many ways; ``_fits`` then keeps exactly the number asked for.
    """
    kind = KINDS.get(object_name)
    digits = dict(kind.phones).get(name) if kind else None
    number = _number(value, None) if digits else None
    if digits is None or number is None:
        return [(name, value)]
    forms = phonenumbers.PhoneNumberFormat
    written = {
        phonenumbers.format_number(number, form)
        for form in (forms.E164, forms.NATIONAL, forms.INTERNATIONAL)
    }
    national = phonenumbers.national_significant_number(number)
    return [*((name, one) for one in sorted({value, *written})), (digits, national)]


def _fits(object_name: str, lookup: Lookup, hit: Hit) -> bool:
    """Say whether a record really has what the lookup asks for."""
    if lookup.key is not None:
        return hit.values.get(KEY) == lookup.key
    return all(_equals(object_name, hit, name, property_value(v)) for name, v in lookup.by.items())


def _equals(object_name: str, hit: Hit, name: str, asked: str) -> bool:
    held = hit.id if name == _ID else hit.values.get(name) or ""
    if held.casefold() == asked.casefold():
        return True
    if name == "email":
        others = (hit.values.get(_MORE_EMAILS) or "").casefold().split(";")
        return asked.casefold() in others
    kind = KINDS.get(object_name)
    if kind is None or name not in dict(kind.phones):
        return False
    number = _number(asked, None)
    return (
        number is not None and _number(held, phonenumbers.region_code_for_number(number)) == number
    )


def _number(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    # Extensions and how a number was written do not make it another one.
    return phonenumbers.PhoneNumber(
        country_code=number.country_code,
        national_number=number.national_number,
        italian_leading_zero=number.italian_leading_zero,
        number_of_leading_zeros=number.number_of_leading_zeros,
    )


def _hit(result: Mapping[str, Any]) -> Hit:
    return Hit(str(result.get("id")), dict(result.get("properties") or {}))


def _candidate(lookup: Lookup, hit: Hit) -> Candidate:
    return Candidate(
        record=RecordId(lookup.object, hit.id),
        label=label_of(lookup.object, hit.values),
        values={name: hit.values.get(name) or None for name in lookup.read},
    )
