"""What the JSON edge answers: one model per thing, every member always there.

``openapi.yaml`` is made from these. A member that may be empty is null, never missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.db.connections import Health
from hub.db.deliveries import Attempt, Delivery, State
from hub.db.events import StoredEvent
from mappings.event import Bucket, Event, UrgencyLevel


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid")


class Links(Answer):
    """Where to read on."""

    self: str = Field(examples=["/v1/events/evt_01jd3f6g7h8j9kamnbpcqdrset"])
    deliveries: str = Field(
        examples=["/v1/deliveries?event_id=evt_01jd3f6g7h8j9kamnbpcqdrset"],
    )


class TakenEvent(Answer):
    """What became of an event that was taken.

    ``known``: the very same event had been taken before; the id and the number are that first one's.
    """

    id: str = Field(examples=["evt_01jd3f6g7h8j9kamnbpcqdrset"])
    status: Literal["accepted", "known"]
    deliveries: int = Field(description="Delivery rows planned for it", examples=[2])
    links: Links


class BatchFault(Answer):
    """One thing that is wrong in a batch."""

    pointer: str = Field(description="JSON pointer into the body", examples=["/3/data/call/from"])
    detail: str


class BatchResult(Answer):
    """What became of one event of a batch, by its position in the batch.

    ``conflict`` and ``invalid`` events were not taken: correct them and send them again.
    """

    index: int
    status: Literal["accepted", "known", "conflict", "invalid"]
    id: str | None
    deliveries: int | None
    links: Links | None
    errors: list[BatchFault] | None


class TakenBatch(Answer):
    """What became of a batch: a result for every event, in order."""

    accepted: int
    known: int
    refused: int = Field(description="Events in conflict or invalid; 0 when all were taken")
    results: list[BatchResult]


class EventLine(Answer):
    """An event in a list: nothing that a caller said."""

    id: str
    source: str
    event_id: str = Field(description="The sender's id of the event")
    type: str
    time: datetime | None
    received_at: datetime
    bucket: Bucket
    urgency_score: int
    urgency_level: UrgencyLevel
    lead_score: int | None
    language: str | None
    escalate: bool
    planned: int = Field(description="Delivery rows planned for it when it came")

    @classmethod
    def of(cls, row: StoredEvent) -> EventLine:
        """Take the impersonal columns of a row."""
        return cls(**event_members(row))


def event_members(row: StoredEvent) -> dict[str, Any]:
    """Give the members of :class:`EventLine` for a row."""
    return {name: getattr(row, name) for name in EventLine.model_fields}


class DeliveryLine(Answer):
    """A delivery in a list: one step of one mapping for one event."""

    id: str
    event_id: str
    connection_id: str | None
    mapping_id: str | None
    mapping_version: int | None
    step: str
    object: str | None
    key: str = Field(description="What the vendor knows this write by; never changes")
    state: State
    is_urgent: bool
    due_at: datetime
    created_at: datetime
    updated_at: datetime
    attempts: int
    record_id: str | None
    record_url: str | None
    delivered_at: datetime | None
    reason: str | None
    reason_path: str | None = Field(description="Place in the mapping that the reason is about")
    decided_by: str | None
    replay_id: str | None = Field(description="The latest replay that it was put into")

    @classmethod
    def of(cls, row: Delivery) -> DeliveryLine:
        """Take the columns of a row; nothing is decrypted."""
        return cls(**delivery_members(row))


def delivery_members(row: Delivery) -> dict[str, Any]:
    """Give the members of :class:`DeliveryLine` for a row."""
    return {name: getattr(row, name) for name in DeliveryLine.model_fields}


class AttemptLine(Answer):
    """One try to write a delivery."""

    at: datetime
    ms: float
    outcome: str
    batch: str
    batch_size: int
    mapping_version: int | None
    status: int | None = Field(description="The vendor's HTTP status")
    code: str | None = Field(description="The vendor's own code")
    detail: str | None = Field(description="The vendor's sentence")

    @classmethod
    def of(cls, row: Attempt, detail: str | None) -> AttemptLine:
        """Take the columns of a row and the opened detail."""
        members = {name: getattr(row, name) for name in cls.model_fields if name != "detail"}
        return cls(**members, detail=detail)


class Candidate(Answer):
    """An existing record that may be the caller's."""

    id: str
    url: str | None
    label: str
    values: dict[str, Any]


class DeliveryFull(DeliveryLine):
    """A delivery with all that is known of it."""

    waits_for: list[str] = Field(description="Deliveries whose record ids it needs")
    detail: str | None = Field(description="The vendor's sentence")
    candidates: list[Candidate] | None = Field(description="Records that a person chooses from")
    tries: list[AttemptLine] = Field(description="All attempts, oldest first")


class EventFull(EventLine):
    """An event with what was said and what became of it."""

    event: Event | None = Field(description="The envelope as taken; null once it was expunged")
    deliveries: list[DeliveryLine]


class EventPage(Answer):
    """Events, newest first."""

    items: Sequence[EventLine]
    next_cursor: str | None = Field(description="Cursor of the next page; null at the end")


class DeliveryPage(Answer):
    """Deliveries, newest first."""

    items: Sequence[DeliveryLine]
    next_cursor: str | None = Field(description="Cursor of the next page; null at the end")


class Replayed(Answer):
    """How many deliveries are sent again, or would be when it was only counted."""

    count: int
    dry_run: bool


class MappingLine(Answer):
    """A mapping in a list; ``version`` is the published one."""

    id: str
    connection_id: str
    name: str
    event_type: str
    version: int
    is_active: bool
    created_at: datetime
    archived_at: datetime | None


class MappingList(Answer):
    """All mappings by name."""

    items: Sequence[MappingLine]


class VersionLine(Answer):
    """A saved version of a mapping."""

    number: int
    author: str
    note: str
    created_at: datetime


class MappingFull(MappingLine):
    """A mapping with its published document and the list of its versions, newest first."""

    newest_version: int
    document: dict[str, Any]
    yaml: str
    versions: list[VersionLine]


class MappingProblem(Answer):
    """Something that is wrong or doubtful in a mapping."""

    pointer: str = Field(description="JSON pointer into the document", examples=["/steps/0/set"])
    path: str = Field(examples=["steps[0].set"])
    severity: Literal["error", "warning"]
    detail: str


class Checked(Answer):
    """What a check of a mapping found; it can be saved when no problem is an error."""

    is_ok: bool
    problems: list[MappingProblem]


class SavedMapping(Answer):
    """A mapping that was saved, with the warnings that the check gave."""

    mapping: MappingFull
    warnings: list[MappingProblem]


class ConnectionLine(Answer):
    """A connection in a list."""

    id: str
    connector: str
    connector_label: str
    label: str
    account_id: str | None
    account_name: str | None
    state: Health
    reason: str | None
    since: datetime
    retry_at: datetime | None = Field(description="When it is tried again after a failure")
    last_success_at: datetime | None
    created_at: datetime


class ConnectionList(Answer):
    """All connections, oldest first."""

    items: Sequence[ConnectionLine]


class BudgetLine(Answer):
    """Where an account stands with one limit of its vendor, in the limit's own units."""

    name: str
    kind: Literal["window", "day", "concurrency"]
    capacity: int
    granted: int
    used: int
    remaining: int
    period_s: float
    blocked_for_s: float
    source: str


class ChoiceLine(Answer):
    """A value of a picklist or of a setting."""

    value: str
    label: str


class SettingLine(Answer):
    """Something that can be set for a connection, and how it is set."""

    name: str
    label: str
    kind: Literal["text", "number", "boolean", "choice", "choices", "time_span", "week", "json"]
    help: str
    value: Any = Field(description="What is set; null where the default holds")
    default: Any = Field(description="What holds without it, where that is a value")
    choices: list[ChoiceLine] = Field(description="Empty where the account says which there are")
    is_from_account: bool = Field(description="Ask `/settings/{name}/choices` for the choices")
    is_advanced: bool


class ChoiceList(Answer):
    """What can be chosen as last known; ``problem`` says why it could not be read anew."""

    items: list[ChoiceLine]
    read_at: datetime | None
    problem: str | None


class ConnectionFull(ConnectionLine):
    """A connection with its settings, its budget and its rows that are not done."""

    todos: list[str] = Field(description="What an admin must still do at the vendor")
    deliveries: dict[str, int] = Field(description="Rows by state, done ones too")
    settings: list[SettingLine]
    share: float = Field(description="The part of the account's limits that we use")
    grants: dict[str, int] = Field(description="Units of a limit that are ours instead")
    budget: list[BudgetLine]


class ObjectLine(Answer):
    """A kind of record in an account."""

    name: str
    label: str
    is_custom: bool


class ObjectList(Answer):
    """The account's objects as last known; ``problem`` says why they could not be read anew."""

    items: list[ObjectLine]
    read_at: datetime | None
    problem: str | None


class FieldLine(Answer):
    """A field of an object, as the account has it."""

    name: str
    label: str
    type: str
    is_required: bool
    max_chars: int | None
    choices: list[ChoiceLine]
    is_restricted: bool
    is_custom: bool
    is_unique: bool
    can_create: bool
    can_update: bool
    can_match: bool
    references: list[str]
    help: str


class FieldsAnswer(Answer):
    """The fields of an object as last known; ``problem`` says why they could not be read anew."""

    items: list[FieldLine]
    read_at: datetime | None
    problem: str | None


class LedgerAnswer(Answer):
    """The books: every event and every delivery is in exactly one place."""

    is_ok: bool
    events: int
    deliveries: dict[str, int] = Field(description="Rows by state")
    records: dict[str, int] = Field(description="Records written, by connector")
    problems: list[str] = Field(description="What does not add up; empty when all is well")
