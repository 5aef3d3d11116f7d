"""What the conformance suite has to know of each vendor: which object and fields to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import running

from connectors.record import JSON, RecordId


@dataclass(frozen=True)
class Case:
    """One vendor as the suite uses it.

    ``fields`` make a good record. ``bad`` are fields that the vendor refuses for one record, of which
    ``bad_field`` is named in the error, and ``bad_value`` must not be. ``close`` does what the
    vendor's user does to close the record. ``write_path`` and ``read_path`` are parts of the
    addresses for writing batches and for describing.
    """

    name: str
    object: str
    fields: Mapping[str, JSON]
    text: str
    max_chars: int
    match: str
    clear: str
    bad: Mapping[str, JSON]
    bad_field: str
    bad_value: str
    write_path: str
    read_path: str
    closable: str
    closable_fields: Mapping[str, JSON]
    close: Callable[[running.Sandbox, RecordId], None]


def _complete_task(box: running.Sandbox, record: RecordId) -> None:
    """Set a task's status as a salesperson does, with a token of their own."""
    from connectors.registry import connector

    tokens = running.authorise(box, connector("salesforce").oauth)
    answer = box.http.patch(
        f"{box.url}/services/data/v62.0/sobjects/Task/{record.id}",
        json={"Status": "Completed"},
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    answer.raise_for_status()


def _close_ticket(box: running.Sandbox, record: RecordId) -> None:
    answer = box.http.post(
        f"{box.url}/_hubspot/close", json={"object": record.object, "id": record.id}
    )
    answer.raise_for_status()


CASES = {
    "salesforce": Case(
        name="salesforce",
        object="Lead",
        fields={"LastName": "Whitfield", "Company": "Whitfield Interiors"},
        text="Description",
        max_chars=32_000,
        match="Phone",
        clear="Title",
        bad={"Urgency__c": "Rather soon, said Dana"},
        bad_field="Urgency__c",
        bad_value="Rather soon, said Dana",
        write_path="/composite/sobjects",
        read_path="/describe",
        closable="Task",
        closable_fields={"Subject": "Call back"},
        close=_complete_task,
    ),
    "hubspot": Case(
        name="hubspot",
        object="contacts",
        fields={"lastname": "Whitfield", "company": "Whitfield Interiors"},
        text="message",
        max_chars=65_536,
        match="phone",
        clear="jobtitle",
        bad={"email": "no address, said Dana"},
        bad_field="email",
        bad_value="no address, said Dana",
        write_path="/batch/",
        read_path="/properties/",
        closable="tickets",
        closable_fields={"subject": "Call back", "hs_pipeline": "0", "hs_pipeline_stage": "1"},
        close=_close_ticket,
    ),
}
