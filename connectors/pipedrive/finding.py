"""Finds records: by our key, by a person's telephone number or address, and by what they hang on.

Pipedrive's search reads an index that may lag behind what was written; its lists read the records themselves. So a key
is first looked for among the five hundred newest records, which holds whatever an answer was lost for lately, and
only then by a search, which costs as much as two lists and finds the old ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import phonenumbers

from connectors.errors import Rejected
from connectors.pipedrive import paths
from connectors.pipedrive.calls import Row, ask, call
from connectors.pipedrive.keys import KeyFields, mark_of, marks_in
from connectors.pipedrive.objects import KINDS, Kind
from connectors.pipedrive.values import contacts_of, is_custom, is_same_contact, phone, value_of
from connectors.record import JSON, Account, Candidate, Found, Lookup, RecordId

NEWEST = 500
_MAX_IDS = 100
_SEARCHED, _MAX_PAGES = 100, 3
_LEAST_CHARS = 2
#: What a search calls the fields that it looks into, the most telling first.
_SEARCH_FIELDS = {"phone": "phone", "email": "email", "name": "name", "title": "title"}

Marked = Mapping[str, list[Row]]
Link = tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that Pipedrive gave; ``is_whole`` unless it came from a search, which gives little of it."""

    id: str
    row: Row
    is_whole: bool


def find(account: Account, keys: KeyFields, lookups: Sequence[Lookup]) -> list[Found]:
    """Answer every lookup; answer i belongs to lookup i."""
    by_key = _by_keys(account, keys, [one for one in lookups if one.key is not None])
    found: list[Found] = []
    asked: dict[tuple[str, str], list[Hit]] = {}
    for lookup in lookups:
        kind = kind_of(lookup.object)
        if lookup.key is not None:
            hits = by_key[lookup.object, lookup.key]
        else:
            place = (lookup.object, repr(sorted(lookup.by.items())))
            if place not in asked:
                asked[place] = _by_values(account, kind, lookup.by)
            hits = asked[place]
        found.append(_answer(account, kind, lookup, hits))
    return found


def kind_of(object_name: str) -> Kind:
    """Give an object by its name; raises Rejected when there is none."""
    found = KINDS.get(object_name)
    if found is None:
        known = ", ".join(KINDS)
        raise Rejected(f'Pipedrive has no object "{object_name}". There are: {known}.')
    return found


# By our key.


def _by_keys(
    account: Account, keys: KeyFields, lookups: Sequence[Lookup]
) -> dict[tuple[str, str], list[Hit]]:
    found: dict[tuple[str, str], list[Hit]] = {}
    lists: dict[tuple[str, Link], Marked] = {}
    for lookup in lookups:
        kind, key = kind_of(lookup.object), str(lookup.key)
        code = needed_code(account, keys, kind)
        link = link_of(kind, lookup.fields)
        if (kind.name, link) not in lists:
            lists[kind.name, link] = newest(account, kind, code=code, link=link)
        rows = lists[kind.name, link].get(mark_of(key), [])
        hits = [Hit(str(row.get("id")), row, is_whole=code is None) for row in rows]
        found[kind.name, key] = hits or [
            hit
            for hit in search_mark(account, kind, mark_of(key))
            if hit.row.get("type") == kind.word
        ]
    return found


def needed_code(account: Account, keys: KeyFields, kind: Kind) -> str | None:
    """Give the code of the field that keeps our key, None for objects without; raises Rejected when it is missing."""
    if kind.fields is None:
        return None
    code = keys.code(account, kind)
    if code is None:
        raise Rejected(
            f"This Pipedrive account has no {kind.fields} field for our key. Open the connection and press "
            "Check, or follow what it lists to do."
        )
    return code


def link_of(kind: Kind, fields: Mapping[str, JSON]) -> Link:
    """Give the record on which one hangs, by which its list can be narrowed; None where custom fields tell more."""
    if kind.marker is None:
        return None
    for name in kind.links:
        value = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return name, str(value)
    return None


def newest(account: Account, kind: Kind, *, code: str | None, link: Link) -> Marked:
    """Give the newest records that carry one of our marks, by mark; one call."""
    if kind.is_v1:
        query = {"sort": "add_time DESC", "limit": str(NEWEST), "start": "0"}
    else:
        query = {"sort_by": "add_time", "sort_direction": "desc", "limit": str(NEWEST)}
        if code is not None:
            query["custom_fields"] = code
    if link is not None:
        query[link[0]] = link[1]
    marked: dict[str, list[Row]] = {}
    for row in call(account, kind.paths.many, query=query).rows:
        for mark in _marks_of(kind, row, code):
            marked.setdefault(mark, []).append(row)
    return marked


def _marks_of(kind: Kind, row: Row, code: str | None) -> frozenset[str]:
    if code is None:
        return marks_in(row.get(kind.marker or ""))
    held = value_of(kind, row, code)
    return frozenset({held.lower()}) if isinstance(held, str) else frozenset()


def search_mark(account: Account, kind: Kind, mark: str) -> list[Hit]:
    """Search the records whose custom field is this mark; nothing for objects without custom fields.

    A lead's mark is looked for among deals too, which the item's ``type`` tells: a converted lead lives on as a deal.
    """
    if kind.fields is None:
        return []
    words = "lead,deal" if kind.name == "Lead" else kind.word
    hits = _search(account, words, mark, "custom_fields", is_exact=True)
    return [hit for hit in hits if _holds(hit.row.get("custom_fields"), mark)]


def _holds(values: object, mark: str) -> bool:
    return isinstance(values, list) and any(str(one).lower() == mark for one in values)


# By values.


def _by_values(account: Account, kind: Kind, by: Mapping[str, JSON]) -> list[Hit]:
    asked = {name: value for name, value in by.items() if value not in (None, "")}
    if not asked:
        return []
    has_id = "id" in asked
    hits = read(account, kind, [str(asked["id"])]) if has_id else _candidates(account, kind, asked)
    if len(asked) > 1 or any(is_custom(name) for name in asked):
        hits = [
            hit if hit.is_whole else whole
            for hit in hits
            for whole in ([hit] if hit.is_whole else read(account, kind, [hit.id]))
        ]
    return [hit for hit in hits if _fits(kind, hit, asked)]


def _candidates(account: Account, kind: Kind, asked: Mapping[str, JSON]) -> list[Hit]:
    for name, field in _SEARCH_FIELDS.items():
        if name in asked and kind.standard_field(name):
            return _searched(account, kind, field, str(asked[name]))
    for name, value in asked.items():
        if is_custom(name):
            return _search(account, kind.word, str(value), "custom_fields", is_exact=True)
    for name in kind.links:
        if name in asked:
            query = {name: str(asked[name]), "limit": str(NEWEST)}
            rows = call(account, kind.paths.many, query=query).rows
            return [Hit(str(row.get("id")), row, is_whole=True) for row in rows]
    names = ", ".join(f'"{name}"' for name in asked)
    raise Rejected(f"Pipedrive cannot look for a {kind.name} by {names}.", field=next(iter(asked)))


def _searched(account: Account, kind: Kind, field: str, value: str) -> list[Hit]:
    """Search by a value; a telephone number by its national digits, since people write it in many ways.

    Where that finds nothing the number is asked for once more as it is: what a search makes of the
    signs in a number is documented nowhere.
    """
    number = phone(value) if field == "phone" else None
    if number is not None:
        digits = phonenumbers.national_significant_number(number)
        found = _search(account, kind.word, digits, field, is_exact=False)
        if any(_fits(kind, hit, {"phone": value}) for hit in found):
            return found
    return _search(account, kind.word, value, field, is_exact=True)


def _search(account: Account, words: str, term: str, field: str, *, is_exact: bool) -> list[Hit]:
    if len(term) < (1 if is_exact else _LEAST_CHARS):
        return []
    query = {
        "term": term,
        "item_types": words,
        "fields": field,
        "exact_match": "true" if is_exact else "false",
        "limit": str(_SEARCHED),
    }
    found: list[Hit] = []
    for _ in range(_MAX_PAGES):
        answer = call(account, paths.SEARCH, query=query)
        items = answer.one.get("items")
        for one in items if isinstance(items, list) else []:
            item = one.get("item") if isinstance(one, Mapping) else None
            if isinstance(item, Mapping) and item.get("id") is not None:
                found.append(Hit(str(item["id"]), item, is_whole=False))
        if answer.cursor is None:
            break
        query["cursor"] = answer.cursor
    return found


def _fits(kind: Kind, hit: Hit, asked: Mapping[str, JSON]) -> bool:
    """Say whether a record really has what was asked for."""
    return all(_equals(kind, hit, name, value) for name, value in asked.items())


def _equals(kind: Kind, hit: Hit, name: str, value: JSON) -> bool:
    standard = kind.standard_field(name)
    if standard is not None and standard.shape == "contacts":
        held = contacts_of(hit.row, standard.key)
        return any(is_same_contact(name, one, str(value)) for one in held)
    own = value_of(kind, hit.row, name)
    return own is not None and str(own).casefold() == str(value).casefold()


# Reading.


def read(account: Account, kind: Kind, ids: Sequence[str]) -> list[Hit]:
    """Read records by id, in one call for a hundred where the API can; those that are gone are left out."""
    wanted = list(dict.fromkeys(ids))
    rows: list[Row] = []
    if len(wanted) == 1 or kind.is_v1:
        for one in wanted:
            answer = ask(account, kind.paths.one(one))
            rows += [answer.one] if answer else []
    else:
        for start in range(0, len(wanted), _MAX_IDS):
            part = wanted[start : start + _MAX_IDS]
            query = {"ids": ",".join(part), "limit": str(_MAX_IDS)}
            rows += call(account, kind.paths.many, query=query).rows
    return [Hit(str(row.get("id")), row, is_whole=True) for row in rows if not is_gone(row)]


def is_gone(row: Mapping[str, Any]) -> bool:
    """Say whether a record is deleted: Pipedrive still gives it for thirty days."""
    return bool(row.get("is_deleted")) or row.get("active_flag") is False


def _answer(account: Account, kind: Kind, lookup: Lookup, hits: Sequence[Hit]) -> Found:
    if lookup.read and hits:
        # A list may lack custom fields and a search nearly everything.
        hits = read(account, kind, [hit.id for hit in hits])
    return Found(
        tuple(
            Candidate(
                record=RecordId(kind.name, hit.id),
                label=label_of(kind, hit.row, hit.id),
                values={name: value_of(kind, hit.row, name) for name in lookup.read},
            )
            for hit in hits
        )
    )


def label_of(kind: Kind, row: Row, record_id: str) -> str:
    """Give how a person knows a record."""
    title = value_of(kind, row, kind.title)
    words = [] if kind.marker == kind.title or not title else [str(title)]
    for key in ("phones", "emails"):
        words += contacts_of(row, key)[:1]
    return ", ".join(words) or f"{kind.name} {record_id}"
