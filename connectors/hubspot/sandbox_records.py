"""What the sandbox does with records: batches with HubSpot's answers, uniqueness, search.

Answers are plain documents with a status; ``sandbox.py`` serves them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import phonenumbers

from connectors.hubspot.sandbox_documents import (
    MAX_INPUTS,
    Document,
    RefusedError,
    batch_document,
    error,
    no_object,
    not_unique,
    result_document,
    row_error,
    stamp,
    too_many,
)
from connectors.hubspot.sandbox_schema import (
    DEFAULTS,
    REQUIRED,
    SINGULAR,
    STAGE_PROPERTIES,
    Property,
    custom_property,
    is_closing,
    problem_with,
    standard_properties,
)
from connectors.sandbox.store import Record, Store

_FIRST_ID = 30_000_000_000
_DIGITS = re.compile(r"\D")
_NORTH_AMERICAN = re.compile(r"\+1\d{10}")

Closed = Callable[[Record, str, str], None]


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one input is refused."""

    category: str
    message: str
    context: Mapping[str, Sequence[str]]
    status: int = 400


class Records:
    """The records of all accounts.

    ``refused`` is the category with which a fault wants the first input refused. ``changed`` is
    told of a record whose stage has changed, with the property and its new value.
    """

    def __init__(self, store: Store, *, changed: Closed) -> None:
        """Work on this store."""
        self._store = store
        self._changed = changed
        for name in ("email", "phone", "hs_searchable_calculated_phone_number"):
            store.index(name)

    def properties(self, account: str, object_name: str) -> dict[str, Property]:
        """Give an object's properties by name; refuses an object that does not exist."""
        try:
            found = standard_properties(object_name)
        except KeyError:
            raise no_object(object_name) from None
        for document in self._store.all_kept(f"property:{account}:{object_name}").values():
            made = custom_property(document)
            found[made.name] = made
        return found

    def upsert(
        self,
        account: str,
        object_name: str,
        inputs: Sequence[Document],
        refused: str | None = None,
    ) -> Answered:
        """Create or update by a unique property."""
        batch = self._batch(account, object_name, inputs, refused)
        names = {str(one.get("idProperty") or "") for one in inputs}
        unique = next(iter(names)) if len(names) == 1 else ""
        batch.must_be_unique(unique)
        values = [str(one.get("id", "")) for one in inputs]
        if len({value.lower() for value in values}) < len(values):
            raise RefusedError(400, error("VALIDATION_ERROR", "Duplicate IDs found in batch input"))
        present = {
            str(record.fields[unique]).lower(): record
            for record in self._store.find_any(account, object_name, unique, values)
        }
        for one, value in zip(inputs, values, strict=True):
            properties = {**(one.get("properties") or {}), unique: value}
            batch.put(one, present.get(value.lower()), properties)
        return batch.answer(200)

    def update(
        self,
        account: str,
        object_name: str,
        inputs: Sequence[Document],
        refused: str | None = None,
    ) -> Answered:
        """Update by record id, or by a unique property where one is named."""
        batch = self._batch(account, object_name, inputs, refused)
        for one in inputs:
            unique = one.get("idProperty")
            if unique:
                batch.must_be_unique(str(unique))
            found = self._store.find_any(
                account, object_name, str(unique or "id"), [str(one.get("id", ""))]
            )
            if found:
                batch.put(one, found[0], one.get("properties") or {})
            else:
                batch.miss(one, str(one.get("id", "")))
        return batch.answer(200)

    def create(
        self,
        account: str,
        object_name: str,
        inputs: Sequence[Document],
        refused: str | None = None,
    ) -> Answered:
        """Create."""
        batch = self._batch(account, object_name, inputs, refused)
        for one in inputs:
            batch.put(one, None, one.get("properties") or {})
        return batch.answer(201)

    def read(
        self, account: str, object_name: str, ids: Sequence[str], *, by: str | None
    ) -> tuple[list[Record], list[str]]:
        """Give the records with these ids or unique values, and the ids for which there is none."""
        if len(ids) > MAX_INPUTS:
            raise too_many(len(ids))
        if by:
            prop = self.properties(account, object_name).get(by)
            if prop is None or not (prop.is_unique or (object_name, by) == ("contacts", "email")):
                raise not_unique(object_name, by, account)
        found = self._store.find_any(account, object_name, by or "id", ids)
        have = {(str(r.fields.get(by)) if by else r.id).lower() for r in found}
        return found, [one for one in ids if one.lower() not in have]

    def archive(self, account: str, object_name: str, ids: Sequence[str]) -> None:
        """Delete records; unknown ids do nothing."""
        for one in ids:
            if self._store.get(object_name, one, account=account):
                self._store.delete(object_name, one)

    def _batch(
        self, account: str, object_name: str, inputs: Sequence[Document], refused: str | None
    ) -> _Batch:
        if len(inputs) > MAX_INPUTS:
            raise too_many(len(inputs))
        if not inputs:
            raise RefusedError(
                400, error("VALIDATION_ERROR", "Some required fields were not set: [inputs]")
            )
        properties = self.properties(account, object_name)
        return _Batch(
            self._store,
            account,
            object_name,
            properties=properties,
            inputs=inputs,
            ids=self._ids(len(inputs)),
            changed=self._changed,
            refused=refused,
        )

    def _ids(self, number: int) -> Iterator[str]:
        """Give ids that were never given before; taken together, which is quicker."""
        last = _FIRST_ID + self._store.add("numbers", "record", number)
        return (str(last - number + 1 + one) for one in range(number))


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch answer: its status and document."""

    status: int
    document: Document


class _Batch:
    """One batch of writes; it is written when ``answer`` is called, or refused whole."""

    def __init__(
        self,
        store: Store,
        account: str,
        object_name: str,
        *,
        properties: Mapping[str, Property],
        inputs: Sequence[Document],
        ids: Iterator[str],
        changed: Closed,
        refused: str | None,
    ) -> None:
        self._refused = refused
        self._store, self._account, self._object = store, account, object_name
        self._checked = ""
        self._properties, self._inputs, self._ids = properties, inputs, ids
        self._changed = changed
        self._started = stamp()
        self._results: list[Document] = []
        self._errors: list[tuple[Document, RowError]] = []
        self._emails = self._owners("email") if object_name == "contacts" else {}
        self._news: list[tuple[Record, str, str]] = []

    def must_be_unique(self, name: str) -> None:
        """Refuse the batch when records cannot be told apart by this property."""
        prop = self._properties.get(name)
        is_email = (self._object, name) == ("contacts", "email")
        if not is_email and (prop is None or not prop.is_unique):
            raise not_unique(self._object, name, self._account)
        self._checked = name

    def put(self, one: Document, record: Record | None, properties: Mapping[str, Any]) -> None:
        """Write one input, or note why not."""
        problem = self._problem(record, properties)
        if self._refused and one is self._inputs[0]:
            problem = RowError(self._refused, f"This record was refused: {self._refused}", {})
        if problem is not None:
            self._errors.append((one, problem))
            return
        fields = {name: value or None for name, value in properties.items()}
        fields |= self._derived(record, properties)
        if record is None:
            defaults = DEFAULTS.get(self._object, {})
            made = {
                **defaults,
                **fields,
                "createdate": self._started,
                "hs_createdate": self._started,
            }
            saved = self._store.insert(self._account, self._object, next(self._ids), made)
        else:
            saved = self._store.update(record, fields)
        email = str(properties.get("email") or "").lower()
        if self._object == "contacts" and email:
            self._emails[email] = saved.id
        self._note_stage(record, saved)
        result = result_document(saved, [*properties, "createdate"])
        result["new"] = record is None
        if one.get("objectWriteTraceId"):
            result["objectWriteTraceId"] = one["objectWriteTraceId"]
        self._results.append(result)

    def miss(self, one: Document, record_id: str) -> None:
        """Note an input whose record does not exist."""
        text = f"Could not find {self._object} with id {record_id}; it may be deleted."
        self._errors.append((one, RowError("OBJECT_NOT_FOUND", text, {"ids": [record_id]}, 404)))

    def answer(self, status: int) -> Answered:
        """Give the answer, or refuse the batch whole.

        Only where each input has a trace id of its own does HubSpot answer row by row.
        """
        traces = [one.get("objectWriteTraceId") for one in self._inputs]
        is_traced = all(traces) and len(set(traces)) == len(traces)
        if self._errors and not is_traced:
            _, first = self._errors[0]
            document = error(first.category, first.message)
            if first.context:
                document["context"] = first.context
            raise RefusedError(first.status, document)
        for record, name, value in self._news:
            self._changed(record, name, value)
        errors = [_row_document(one, problem) for one, problem in self._errors]
        # The order of results is not promised; this shows who counts on it.
        document = batch_document(self._results[::-1], errors, started=self._started)
        return Answered(207 if errors else status, document)

    def _problem(self, record: Record | None, properties: Mapping[str, Any]) -> RowError | None:
        wrong = [
            {"isValid": False, "message": found[1], "error": found[0], "name": name}
            for name, value in properties.items()
            if (found := problem_with(self._properties.get(name), name, value))
        ]
        if wrong:
            text = f"Property values were not valid: {json.dumps(wrong)}"
            return RowError("VALIDATION_ERROR", text, {})
        missing = [n for n in REQUIRED.get(self._object, ()) if not properties.get(n)]
        if record is None and missing:
            kind = SINGULAR[self._object].upper()
            text = f"Error creating {kind}. Some required properties were not set."
            return RowError("VALIDATION_ERROR", text, {"properties": missing})
        return self._conflict(record, properties)

    def _conflict(self, record: Record | None, properties: Mapping[str, Any]) -> RowError | None:
        email = str(properties.get("email") or "").lower()
        own = None if record is None else record.id
        owner = self._emails.get(email) if email else None
        if owner is not None and owner != own:
            text = f"Contact already exists. Existing ID: {owner}"
            return RowError("CONFLICT", text, {}, 409)
        for name, value in properties.items():
            prop = self._properties.get(name)
            # The property by which records were looked up belongs to this record.
            if not value or prop is None or not prop.is_unique or name == self._checked:
                continue
            for other in self._store.find(self._account, self._object, {name: value}):
                if other.id != own:
                    text = f"{name} {value} is already used. Existing ID: {other.id}"
                    return RowError("CONFLICT", text, {}, 409)
        return None

    def _owners(self, name: str) -> dict[str, str]:
        """Give which record has which of the values that this batch writes."""
        values = [str((one.get("properties") or {}).get(name) or "") for one in self._inputs]
        wanted = [value for value in values if value]
        found = self._store.find_any(self._account, self._object, name, wanted) if wanted else []
        return {str(record.fields[name]).lower(): record.id for record in found}

    def _derived(self, record: Record | None, properties: Mapping[str, Any]) -> Document:
        """Give what HubSpot sets by itself."""
        now = self._started
        derived: Document = {"hs_lastmodifieddate": now}
        if self._object == "contacts":
            derived["lastmodifieddate"] = now
        for name, digits in (
            ("phone", "hs_searchable_calculated_phone_number"),
            ("mobilephone", "hs_searchable_calculated_mobile_number"),
        ):
            if name in properties:
                derived[digits] = national_digits(str(properties[name])) or None
        stage, closed_at = STAGE_PROPERTIES.get(self._object, ("", ""))
        value = str(properties.get(stage) or "")
        before = None if record is None else record.fields.get(stage)
        if value and value != before and is_closing(self._object, value):
            derived[closed_at] = properties.get(closed_at) or now
        return derived

    def _note_stage(self, before: Record | None, after: Record) -> None:
        stage = STAGE_PROPERTIES.get(self._object, ("", ""))[0]
        value = after.fields.get(stage)
        if before is not None and value and value != before.fields.get(stage):
            self._news.append((after, stage, str(value)))


def national_digits(number: str) -> str:
    """Give a number as HubSpot's calculated property holds it: area code and local number."""
    if _NORTH_AMERICAN.fullmatch(number):
        return number[2:]
    try:
        parsed = phonenumbers.parse(number, "US")
    except phonenumbers.NumberParseException:
        return _DIGITS.sub("", number)
    return str(phonenumbers.national_significant_number(parsed))


def _row_document(one: Document, problem: RowError) -> Document:
    trace = [str(one["objectWriteTraceId"])]
    return row_error(
        problem.category, problem.message, {**problem.context, "objectWriteTraceId": trace}
    )
