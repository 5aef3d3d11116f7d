"""What the conformance suite has to know of each vendor: which object and fields to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from connectors.record import JSON, RecordId
from tests.connectors import running


@dataclass(frozen=True)
class Case:
    """One vendor as the suite uses it.

    ``fields`` make a good record. ``bad`` are fields that the vendor refuses for one record, of which
    ``bad_field`` is named in the error, and ``bad_value`` must not be. ``close`` does what the
    vendor's user does to close the record. ``write_path`` and ``read_path`` are parts of the
    addresses for writing batches and for describing; ``write_method`` tells writes from reads at one address.

    ``lacks`` says what the vendor has not, and why: ``update`` (changing a record), ``match`` (finding by a
    field's value), ``limit_headers``. ``told_apart_by`` is the field whose words make two records
    different, for a vendor that keeps no key. ``stored_as`` gives the id under which the sandbox keeps a record
    of ours, where that is another one. ``settings`` are what an admin sets for the connection,
    ``prepare_box`` what the sandbox is told first.
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
    write_method: str | None = None
    lacks: Mapping[str, str] = field(default_factory=dict)
    told_apart_by: str | None = None
    stored_as: Callable[[str], str] = str
    settings: Mapping[str, JSON] = field(default_factory=dict)
    prepare_box: Callable[[running.Sandbox], None] = lambda _box: None


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


def _win_deal(box: running.Sandbox, record: RecordId) -> None:
    """Win a deal as a salesperson does, with a token of their own."""
    from connectors.registry import connector

    tokens = running.authorise(box, connector("pipedrive").oauth)
    answer = box.http.patch(
        f"{box.url}/api/v2/deals/{record.id}",
        json={"status": "won"},
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    answer.raise_for_status()


def _deliver(box: running.Sandbox, record: RecordId) -> None:
    answer = box.http.post(
        f"{box.url}/_twilio/status", json={"sid": record.id, "status": "delivered"}
    )
    answer.raise_for_status()


def _keep_texts_waiting(box: running.Sandbox) -> None:
    """Let texts arrive only when a test says so."""
    box.http.post(f"{box.url}/_twilio/settings", json={"delivery_s": None}).raise_for_status()


def _resolve_incident(box: running.Sandbox, record: RecordId) -> None:
    answer = box.http.post(f"{box.url}/_pagerduty/resolve", json={"id": record.id})
    answer.raise_for_status()


def _solve(box: running.Sandbox, record: RecordId) -> None:
    asked = {"id": record.id, "status": "solved"}
    box.http.post(f"{box.url}/_zendesk/status", json=asked).raise_for_status()


def _hurry_jobs(box: running.Sandbox) -> None:
    """Let jobs be done as soon as they are asked about."""
    box.http.post(f"{box.url}/_zendesk/settings", json={"job_s": 0}).raise_for_status()


def _confirm_hold(box: running.Sandbox, record: RecordId) -> None:
    asked = {"id": record.id, "act": "confirm"}
    box.http.post(f"{box.url}/_google/act", json=asked).raise_for_status()


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
    "pipedrive": Case(
        name="pipedrive",
        object="Person",
        fields={"name": "Dana Whitfield"},
        text="notes",
        max_chars=10_000,
        match="phone",
        clear="job_title",
        bad={"org_id": "some firm, said Dana"},
        bad_field="org_id",
        bad_value="some firm, said Dana",
        write_path="/api/v2/persons",
        write_method="POST",
        read_path="/personFields",
        closable="Deal",
        closable_fields={"title": "Call back"},
        close=_win_deal,
    ),
    "twilio_sms": Case(
        name="twilio_sms",
        object="message",
        fields={
            "To": "+14155550132",
            "From": "+14155550100",
            "Body": "We have your message and will call you back.",
            "consent": True,
        },
        text="Body",
        max_chars=1_600,
        match="",
        clear="",
        bad={"To": "+15005550001"},
        bad_field="To",
        bad_value="+15005550001",
        write_path="/Messages.json",
        write_method="POST",
        read_path="/IncomingPhoneNumbers",
        closable="message",
        closable_fields={
            "To": "+14155550133",
            "From": "+14155550100",
            "Body": "Your appointment is confirmed.",
            "consent": True,
        },
        close=_deliver,
        lacks={
            "update": "a text that was sent cannot be changed",
            "match": "a text is nobody's record; an earlier one to the same person must not keep a new one back",
            "limit_headers": "Twilio tells how many calls are under way, but not how many may be",
        },
        told_apart_by="Body",
        # The suite runs at night too, and texts one number.
        settings={"quiet_hours": False, "sender": "+14155550100", "texts_per_day": 1_000},
        prepare_box=_keep_texts_waiting,
    ),
    "pagerduty": Case(
        name="pagerduty",
        object="incident",
        fields={"title": "Water through the ceiling"},
        text="details",
        max_chars=32_000,
        match="",
        clear="title",
        bad={"urgency": "Rather soon, said Dana"},
        bad_field="urgency",
        bad_value="Rather soon, said Dana",
        write_path="/incidents",
        write_method="POST",
        read_path="/services",
        closable="incident",
        closable_fields={"title": "Gas smell"},
        close=_resolve_incident,
        lacks={
            "match": "PagerDuty has no search by what incidents hold",
            "clear": "PagerDuty takes nothing away from an incident",
            "revoke": "PagerDuty revokes an app's tokens on the app's page only",
        },
    ),
    "zendesk": Case(
        name="zendesk",
        object="Ticket",
        fields={
            "description": "Water through the ceiling",
            "subject": "Leak",
            "comment_public": False,
        },
        text="description",
        max_chars=65_535,
        match="custom_fields.8102",
        clear="custom_fields.8101",
        bad={"priority": "Rather soon, said Dana"},
        bad_field="priority",
        bad_value="Rather soon, said Dana",
        write_path="/api/v2/tickets",
        write_method="POST",
        read_path="/ticket_fields",
        closable="Ticket",
        closable_fields={"description": "Call back", "subject": "Call back"},
        close=_solve,
        prepare_box=_hurry_jobs,
    ),
    "google_calendar": Case(
        name="google_calendar",
        object="event",
        fields={"summary": "Boiler inspection", "start": "2031-01-07T10:00:00-08:00"},
        text="description",
        max_chars=8_192,
        match="contact",
        clear="location",
        bad={"attendees": "no address, said Dana"},
        bad_field="attendees",
        bad_value="no address, said Dana",
        write_path="/batch/calendar/v3",
        read_path="/calendarList",
        closable="hold",
        closable_fields={"summary": "Boiler inspection", "duration_minutes": 30},
        close=_confirm_hold,
        lacks={"limit_headers": "Google's answers say nothing of its quotas"},
        # Our ids call the person's own calendar "primary", whoever it belongs to.
        stored_as=lambda name: name.replace("@primary", "@desk@whitfield-plumbing.example"),
    ),
}
