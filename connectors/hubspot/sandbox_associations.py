"""The sandbox's associations: kept in both directions, made once however often they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.hubspot.sandbox_documents import Document, batch_document, row_error, stamp
from connectors.hubspot.sandbox_records import Answered
from connectors.sandbox.store import Store

#: HubSpot's own default types; a pair that is not named here gets 0.
#: Source: https://developers.hubspot.com/docs/api-reference/latest/crm/associations/associations-guide (2026-11-22)
_TYPES = {
    ("contacts", "companies"): 279,
    ("companies", "contacts"): 280,
    ("deals", "contacts"): 3,
    ("contacts", "deals"): 4,
    ("deals", "companies"): 341,
    ("companies", "deals"): 342,
    ("contacts", "tickets"): 15,
    ("tickets", "contacts"): 16,
    ("tickets", "companies"): 339,
    ("companies", "tickets"): 340,
    ("deals", "tickets"): 27,
    ("tickets", "deals"): 28,
    ("companies", "notes"): 189,
    ("notes", "companies"): 190,
    ("companies", "tasks"): 191,
    ("tasks", "companies"): 192,
    ("contacts", "notes"): 201,
    ("notes", "contacts"): 202,
    ("contacts", "tasks"): 203,
    ("tasks", "contacts"): 204,
    ("deals", "notes"): 213,
    ("notes", "deals"): 214,
    ("deals", "tasks"): 215,
    ("tasks", "deals"): 216,
    ("tickets", "notes"): 227,
    ("notes", "tickets"): 228,
    ("tickets", "tasks"): 229,
    ("tasks", "tickets"): 230,
}


class Associations:
    """The associations of all accounts."""

    def __init__(self, store: Store) -> None:
        """Work on this store."""
        self._store = store

    def make(
        self,
        account: str,
        kind: str,
        other: str,
        inputs: Sequence[Document],
        *,
        names_rows: bool = True,
    ) -> Answered:
        """Make default associations; a pair whose record is missing is an error of its own.

        Without *names_rows* it refuses all of them then, and does not say which.
        """
        pairs = [(str(one["from"]["id"]), str(one["to"]["id"])) for one in inputs]
        have = self._ids(account, kind, [left for left, _ in pairs])
        have_other = self._ids(account, other, [right for _, right in pairs])
        if not names_rows and not all(a in have and b in have_other for a, b in pairs):
            text = "One or more ids do not exist"
            return Answered(400, row_error("VALIDATION_ERROR", text, {}))
        spec = _spec(kind, other)
        results: list[Document] = []
        errors: list[Document] = []
        for left, right in pairs:
            missing = [one for one, ids in ((left, have), (right, have_other)) if one not in ids]
            if missing:
                text = f"One or more ids do not exist: {missing[0]}"
                errors.append(row_error("OBJECT_NOT_FOUND", text, {"ids": missing}))
                continue
            self._store.keep(_place(account, kind, left, other), right, {})
            self._store.keep(_place(account, other, right, kind), left, {})
            results.append({"from": {"id": left}, "to": {"id": right}, "associationSpec": spec})
        document = batch_document(results, errors, started=stamp())
        return Answered(207 if errors else 200, document)

    def read(self, account: str, kind: str, other: str, inputs: Sequence[Document]) -> Answered:
        """List what each record is associated with."""
        results: list[Document] = []
        for one in inputs:
            left = str(one.get("id"))
            found = self._store.all_kept(_place(account, kind, left, other))
            results.append(
                {
                    "from": {"id": left},
                    "to": [
                        {"toObjectId": int(right), "associationTypes": [_label(kind, other)]}
                        for right in found
                    ],
                }
            )
        return Answered(200, batch_document(results, [], started=stamp()))

    def _ids(self, account: str, kind: str, ids: Sequence[str]) -> set[str]:
        return {record.id for record in self._store.find_any(account, kind, "id", ids)}


def _place(account: str, kind: str, record_id: str, other: str) -> str:
    return f"association:{account}:{kind}:{record_id}:{other}"


def _spec(kind: str, other: str) -> Document:
    number = _TYPES.get((kind, other), 0)
    return {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}


def _label(kind: str, other: str) -> Document:
    return {"category": "HUBSPOT_DEFINED", "typeId": _TYPES.get((kind, other), 0), "label": None}
