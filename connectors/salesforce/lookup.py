"""Answers lookups with few queries: by our key, by field values, and whether records are closed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import phonenumbers

from connectors.errors import Rejected
from connectors.record import JSON, Candidate, Closure, Found, Lookup, RecordId
from connectors.salesforce import soql
from connectors.salesforce.calls import Calls
from connectors.salesforce.refusals import record_url

#: Our key at Salesforce: an external id on each object that we write.
KEY_FIELD = "Afterbeep_Key__c"
#: The field by which people know a record; other objects have a Name.
_LABELS = {"Task": "Subject", "Event": "Subject", "Case": "Subject"}
#: A converted lead is history and refuses updates (CANNOT_UPDATE_CONVERTED_LEAD).
_ONLY = {"Lead": "IsConverted = false"}
_MAX_CANDIDATES = 10

#: Object to the fields that tell of closing: a boolean, and the moment, if there is one.
_CLOSED_BY: Mapping[str, tuple[str, str | None]] = {
    "Lead": ("IsConverted", "ConvertedDate"),
    "Task": ("IsClosed", "CompletedDateTime"),
    "Case": ("IsClosed", "ClosedDate"),
    "Opportunity": ("IsClosed", None),
}


def find(calls: Calls, base_url: str, lookups: Sequence[Lookup]) -> list[Found]:
    """Answer lookup i with answer i; one query for each object and set of fields where it fits."""
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
    for place, lookup in enumerate(lookups):
        names = (KEY_FIELD,) if lookup.key is not None else tuple(sorted(lookup.by))
        groups[lookup.object, names].append(place)
    answers: list[Found] = [Found()] * len(lookups)
    for (object_name, names), places in groups.items():
        asked = [lookups[place] for place in places]
        rows = _rows(calls, object_name, names, asked)
        for place, lookup in zip(places, asked, strict=True):
            wanted = _wanted(lookup)
            hits = [row for row in rows if _fits(row, wanted)][:_MAX_CANDIDATES]
            answers[place] = Found(tuple(_candidate(row, lookup, base_url) for row in hits))
    return answers


def _rows(
    calls: Calls, object_name: str, names: tuple[str, ...], lookups: Sequence[Lookup]
) -> list[Mapping[str, Any]]:
    label = _LABELS.get(object_name, "Name")
    read = [name for lookup in lookups for name in lookup.read]
    columns = ["Id", label, *names, *read]
    only = _ONLY.get(object_name) if names != (KEY_FIELD,) else None
    rows: dict[str, Mapping[str, Any]] = {}
    try:
        spent = len(quote_plus(soql.select(object_name, columns, only or "", newest_first=True)))
        for where in _conditions(names, [_wanted(lookup) for lookup in lookups], spent + 100):
            whole = f"({where}) AND {only}" if only else where
            query = soql.select(object_name, columns, whole, newest_first=True)
            rows.update((str(row["Id"]), row) for row in calls.query(query))
    except (TypeError, ValueError) as err:
        raise Rejected(f"Salesforce cannot be asked for this: {err}.", code="bad_lookup") from err
    return list(rows.values())


def _conditions(
    names: tuple[str, ...], wanted: Sequence[Mapping[str, tuple[JSON, ...]]], spent: int
) -> list[str]:
    if len(names) == 1:
        field = soql.name(names[0])
        values = dict.fromkeys(soql.literal(v) for one in wanted for v in one[names[0]])
        return [
            f"{field} IN ({', '.join(part)})" for part in soql.in_pieces(list(values), spent=spent)
        ]
    each = [
        "(" + " AND ".join(soql.any_of(field, values) for field, values in one.items()) + ")"
        for one in wanted
    ]
    return [" OR ".join(part) for part in soql.in_pieces(list(dict.fromkeys(each)), spent=spent)]


def _wanted(lookup: Lookup) -> Mapping[str, tuple[JSON, ...]]:
    """Give, for each field, the values that count as equal."""
    if lookup.key is not None:
        return {KEY_FIELD: (lookup.key,)}
    return {field: _forms(value) for field, value in lookup.by.items()}


def _forms(value: JSON) -> tuple[JSON, ...]:
    """Give a telephone number in the ways in which people type it; other values as they are.

    Salesforce compares phone fields as text, and its screens write US numbers as (415) 555-0132.
    """
    if not (isinstance(value, str) and value.startswith("+") and value[1:].isdigit()):
        return (value,)
    try:
        number = phonenumbers.parse(value)
    except phonenumbers.NumberParseException:
        return (value,)
    styles = phonenumbers.PhoneNumberFormat
    national = str(number.national_number)
    forms = [
        value,
        value[1:],
        national,
        phonenumbers.format_number(number, styles.INTERNATIONAL),
        phonenumbers.format_number(number, styles.NATIONAL),
    ]
    return tuple(dict.fromkeys(forms))


def _fits(row: Mapping[str, Any], wanted: Mapping[str, tuple[JSON, ...]]) -> bool:
    """Compare as Salesforce does: text without regard to upper and lower case, keys exactly."""
    for field, values in wanted.items():
        found = row.get(field)
        if field == KEY_FIELD or not isinstance(found, str):
            if found not in values:
                return False
        elif found.casefold() not in {v.casefold() for v in values if isinstance(v, str)}:
            return False
    return True


def _candidate(row: Mapping[str, Any], lookup: Lookup, base_url: str) -> Candidate:
    record_id = str(row["Id"])
    label = row.get(_LABELS.get(lookup.object, "Name"))
    return Candidate(
        RecordId(lookup.object, record_id, record_url(base_url, lookup.object, record_id)),
        label=str(label or record_id),
        values={name: row.get(name) for name in lookup.read},
    )


def closed(calls: Calls, ids: Sequence[RecordId]) -> list[Closure]:
    """Give a closure for each record that Salesforce's users have closed."""
    by_object: dict[str, list[RecordId]] = defaultdict(list)
    for record in ids:
        if record.object in _CLOSED_BY:
            by_object[record.object].append(record)
    found: list[Closure] = []
    for object_name, records in by_object.items():
        flag, moment = _CLOSED_BY[object_name]
        # The checksum letters of long ids are no part of their identity.
        asked = {record.id[:15]: record for record in records}
        columns = ["Id", flag, "LastModifiedDate", *([moment] if moment else [])]
        if object_name == "Opportunity":
            columns.append("IsWon")
        literals = [soql.literal(record.id) for record in records]
        for part in soql.in_pieces(literals, spent=300):
            where = f"Id IN ({', '.join(part)}) AND {flag} = true"
            for row in calls.query(soql.select(object_name, columns, where)):
                record = asked[str(row["Id"])[:15]]
                result = _result(object_name, row)
                is_success = result != "lost"
                found.append(Closure(record, _moment(row, moment), result, is_success=is_success))
    return found


def _result(object_name: str, row: Mapping[str, Any]) -> str:
    if object_name == "Opportunity":
        return "won" if row.get("IsWon") else "lost"
    return "converted" if object_name == "Lead" else "closed"


def _moment(row: Mapping[str, Any], field: str | None) -> datetime:
    """Read the moment of closing; that of the last change where there is none."""
    text = str((field and row.get(field)) or row["LastModifiedDate"])
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
