"""Finds records by our key. PagerDuty offers no search by what incidents say, so nothing else can be looked up."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.errors import Rejected
from connectors.pagerduty import incidents, notes
from connectors.pagerduty.calls import Body
from connectors.record import Account, Candidate, Found, Lookup


def find(account: Account, lookups: Sequence[Lookup]) -> list[Found]:
    """Answer every lookup; answer i belongs to lookup i. One call for each key, or each incident's notes.

    A note is looked for on the incident that ``fields`` names; without it none is found. Raises Rejected for a
    lookup by field values.
    """
    if any(lookup.key is None for lookup in lookups):
        raise Rejected("PagerDuty's records cannot be looked up by what they hold.")
    known: dict[str, list[Body]] = {}
    return [_find(account, lookup, known) for lookup in lookups]


def _find(account: Account, lookup: Lookup, known: dict[str, list[Body]]) -> Found:
    key = str(lookup.key)
    if lookup.object == incidents.INCIDENT:
        found = incidents.by_key(account, key)
        return Found(tuple(_incident(one, lookup.read) for one in found))
    incident = notes.incident_of(lookup.fields)
    if lookup.object != notes.NOTE or incident is None:
        return Found()
    if incident not in known:
        known[incident] = notes.notes_of(account, incident)
    mark = notes.mark_of(key)
    return Found(
        tuple(
            Candidate(notes.record_of(note), "Note", {"incident": incident})
            for note in known[incident]
            if notes.has_mark(note, mark)
        )
    )


def _incident(incident: Body, read: Sequence[str]) -> Candidate:
    label = str(incident.get("summary") or incident.get("title") or incident["id"])
    values = {name: incidents.present(incident, name) for name in read}
    return Candidate(incidents.record_of(incident), label, values)
