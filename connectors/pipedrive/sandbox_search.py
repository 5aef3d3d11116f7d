"""The sandbox's search: an index that may lag behind the records, as a search engine's does.

Source: https://developers.pipedrive.com/docs/api/v1/ItemSearch (2026-11-22). How the index compares telephone
numbers is documented nowhere: here by their digits, of which the last seven or more find a number, or as they are
written (setting ``phone_search``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from connectors.pipedrive.sandbox_schema import (
    FIELD_OWNERS,
    OBJECTS,
    SEARCHABLE_TYPES,
    WORDS,
    Document,
)
from connectors.sandbox import clock
from connectors.sandbox.store import Record, Store

_NOT_DIGITS = re.compile(r"\D")
_LEAST_DIGITS = 7
_TITLES = {"Person": "name", "Organization": "name", "Deal": "title", "Lead": "title"}
#: Which fields of which objects a search looks into.
FIELDS = {
    "person": {"custom_fields", "email", "name", "notes", "phone"},
    "organization": {"address", "custom_fields", "name", "notes"},
    "deal": {"custom_fields", "notes", "title"},
    "lead": {"custom_fields", "notes", "title", "email", "phone"},
}

Customs = Mapping[str, Mapping[str, Any]]


class Index:
    """What can be searched, kept in the store so that it survives a restart."""

    def __init__(self, store: Store) -> None:
        """Begin with what was indexed before."""
        self._store = store

    def setting(self, name: str, *, default: Any) -> Any:
        """Give a setting of the sandbox."""
        return (self._store.kept("settings", "pipedrive") or {}).get(name, default)

    def add(self, record: Record, customs: Customs) -> None:
        """Make a record findable."""
        for place in _places(record, customs):
            self._store.keep(place, record.id, {})

    def drop(self, record: Record, customs: Customs) -> None:
        """Forget a record."""
        for place in _places(record, customs):
            self._store.forget(place, record.id)

    def search(
        self, account: str, word: str, term: str, fields: set[str], *, is_exact: bool
    ) -> list[Record]:
        """Give the records that were found, oldest first; those of the last moments may be missing."""
        object_name = OBJECTS[word]
        ids: set[str] = set()
        for field in fields & FIELDS[word]:
            ids |= self._ids(account, object_name, field, term.casefold(), is_exact=is_exact)
        seen_until = clock.seconds() - float(self.setting("index_lag_s", default=0))
        found = (self._store.get(object_name, one, account=account) for one in ids)
        records = [one for one in found if one is not None and one.created_at <= seen_until]
        return sorted(records, key=lambda one: one.created_at)

    def _ids(
        self, account: str, object_name: str, field: str, term: str, *, is_exact: bool
    ) -> set[str]:
        exact = set(self._store.all_kept(_place(account, object_name, field, term)))
        if is_exact:
            return exact
        if field == "phone":
            by_digits = self.setting("phone_search", default="digits") == "digits"
            digits = _NOT_DIGITS.sub("", term)
            return exact | set(
                self._store.all_kept(_place(account, object_name, "digits", digits))
                if by_digits
                else ()
            )
        return exact | {
            record.id
            for record in self._store.scan(account, object_name)
            if any(term in value.casefold() for value in _values(record, field, {}))
        }


def item_document(record: Record, customs: Customs, person: Record | None) -> Document:
    """Give a record as a search answers it."""
    title = _TITLES[record.object]
    document: Document = {
        "id": record.id if record.object == "Lead" else int(record.id),
        "type": WORDS[record.object],
        title: record.fields.get(title),
        "visible_to": int(record.fields.get("visible_to") or 3),
        "owner": {"id": record.fields.get("owner_id")},
        "custom_fields": list(_values(record, "custom_fields", customs)),
        "notes": [],
    }
    if record.object == "Person":
        document["phones"] = [one["value"] for one in record.fields.get("phones") or []]
        document["emails"] = [one["value"] for one in record.fields.get("emails") or []]
    if record.object in {"Deal", "Lead"} and person is not None:
        document["person"] = {"id": int(person.id), "name": person.fields.get("name")}
    return document


def _places(record: Record, customs: Customs) -> Iterator[str]:
    word = WORDS[record.object]
    for field in FIELDS.get(word, ()):
        for value in _values(record, field, customs):
            yield _place(record.account, record.object, field, value.casefold())
            if field == "phone":
                digits = _NOT_DIGITS.sub("", value)
                for start in range(max(0, len(digits) - _LEAST_DIGITS) + 1):
                    yield _place(record.account, record.object, "digits", digits[start:])


def _place(account: str, object_name: str, field: str, value: str) -> str:
    return f"index:{account}:{object_name}:{field}:{value}"


def _values(record: Record, field: str, customs: Customs) -> Iterator[str]:
    held = record.fields
    if field in {"phone", "email"}:
        yield from (str(one["value"]) for one in held.get(f"{field}s") or [])
    elif field == "custom_fields":
        if record.object in FIELD_OWNERS:
            for code, kept in customs.items():
                value = held.get(code)
                if value is not None and kept["field_type"] in SEARCHABLE_TYPES:
                    yield str(value["value"] if isinstance(value, dict) else value)
    elif isinstance(held.get(field), str):
        yield str(held[field])
