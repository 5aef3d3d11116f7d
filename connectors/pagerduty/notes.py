"""Notes on incidents. PagerDuty gives them no key and never changes them, so ours ends with a mark.

The mark is short and derived from the key; before a note is written whose key may have been sent before, the
incident's notes are read and searched for it. Notes of one incident in a batch share that call.
Source: https://developer.pagerduty.com/api-reference/c01a2b1d6d4b6-create-a-note-on-an-incident (2026-11-22)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from connectors.errors import Rejected
from connectors.pagerduty.calls import Body, call, one, rows, segment
from connectors.record import JSON, Account, Outcome, RecordId, Write

NOTE = "note"
_FIELDS = ("incident", "content")
_MARK_CHARS = 16
#: A note has no key: until then, a request without an answer could still bring a second one.
ASK_AFTER_S = 60.0


class NoteWriter:
    """Writes notes of one batch; what an incident has already is read once."""

    def __init__(self, account: Account) -> None:
        """Take the account."""
        self._account = account
        self._known: dict[str, list[Body]] = {}

    def write(self, one_write: Write) -> Outcome:
        """Write one note, unless the incident has it already."""
        incident, content = _checked(one_write.fields)
        mark = mark_of(one_write.key)
        if needs_look(one_write):
            known = self._notes(incident)
            if one_write.record_id is not None:
                return _unchanged(known, one_write.record_id, content)
            for note in known:
                if has_mark(note, mark):
                    return Outcome(record=record_of(note), is_new=False)
        answer = call(
            self._account,
            "POST",
            f"/incidents/{segment(incident)}/notes",
            body={"note": {"content": f"{content}\n\n{mark}"}},
            ask_after_s=ASK_AFTER_S,
            hidden=(content,),
        )
        return Outcome(record=record_of(one(answer, "note")), is_new=True)

    def _notes(self, incident: str) -> list[Body]:
        if incident not in self._known:
            self._known[incident] = notes_of(self._account, incident)
        return self._known[incident]


def needs_look(one_write: Write) -> bool:
    """Say whether the incident's notes must be read before this note is written."""
    return one_write.record_id is not None or not one_write.is_first


def incident_of(fields: Mapping[str, JSON]) -> str | None:
    """Give the incident that a note's fields name."""
    incident = fields.get("incident")
    return incident if isinstance(incident, str) and incident else None


def notes_of(account: Account, incident: str) -> list[Body]:
    """Give the notes of an incident, up to 2,000, in one call."""
    found = rows(call(account, "GET", f"/incidents/{segment(incident)}/notes"), "notes")
    return [note for note in found if note.get("id")]


def mark_of(key: str) -> str:
    """Give the mark that a note with this key ends with."""
    return f"[afterbeep {hashlib.sha256(key.encode()).hexdigest()[:_MARK_CHARS]}]"


def has_mark(note: Body, mark: str) -> bool:
    """Say whether this is the note with our mark."""
    return str(note.get("content") or "").rstrip().endswith(mark)


def record_of(note: Body) -> RecordId:
    """Give a note as a record."""
    return RecordId(NOTE, str(note["id"]))


def _checked(fields: Mapping[str, JSON]) -> tuple[str, str]:
    for name in fields:
        if name not in _FIELDS:
            raise Rejected(f'PagerDuty\'s notes have no field "{name}".', field=name)
    incident, content = incident_of(fields), fields.get("content")
    if incident is None:
        raise Rejected("A PagerDuty note needs the incident that it is for.", field="incident")
    if not isinstance(content, str) or not content.strip():
        raise Rejected("A PagerDuty note needs its content.", field="content")
    return incident, content


def _unchanged(known: list[Body], record_id: str, content: str) -> Outcome:
    """Tell of a note that is there already; raises Rejected when it is gone, or should become another."""
    note = next((note for note in known if note["id"] == record_id), None)
    if note is None:
        raise Rejected("The note is no longer on the PagerDuty incident.")
    if not str(note.get("content") or "").startswith(content):
        raise Rejected("PagerDuty does not let a note be changed.", field="content")
    return Outcome(record=record_of(note), is_new=False)
