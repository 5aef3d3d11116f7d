"""From claimed rows to writes: render each from its stored event, and find the person's existing record.

What cannot be rendered, or has more than one candidate, becomes a result of its own; the rest of the batch goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from connectors.errors import Ambiguous, ConnectorError, ContractBroken, Rejected
from connectors.record import JSON, Candidate, Found, Lookup, RecordId, Write
from connectors.registry import connector
from hub.context import Hub
from hub.db.connections import RecordLink
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.tenants import Tenant
from hub.delivery.account import Line
from hub.delivery.claim import Claimed
from hub.delivery.compiled import MappingGone, compiled
from mappings.event import with_transcript_text
from mappings.render import Rendered, RenderProblem, apply_update_modes

#: Kept as the chosen record when a person says that none of the candidates is right.
NEW_RECORD = "new"


class Unrenderable(Rejected):
    """The mapping could not make this record from this event; ``path`` leads to the place in the mapping."""

    def __init__(self, detail: str, *, path: str | None) -> None:
        """Keep the sentence and the path."""
        super().__init__(detail, code="mapping")
        self.path = path


@dataclass(slots=True)
class Draft:
    """A row on its way to a write."""

    row: Claimed
    rendered: Rendered
    match_hash: str | None = None
    record_id: str | None = None
    existing: Mapping[str, JSON] | None = None

    @property
    def asks_before_writing(self) -> bool:
        """Whether some field must not overwrite what the record already has."""
        return "if_empty" in self.rendered.update_modes.values()

    def write(self) -> Write:
        """Give the final record: update modes applied when it exists already."""
        fields = self.rendered.fields
        if self.record_id is not None:
            fields = apply_update_modes(self.rendered, self.existing or {})
        return Write(
            key=self.row.key, object=self.row.object, fields=fields, record_id=self.record_id
        )


@dataclass(slots=True)
class Batch:
    """What became of the claimed rows before anything is sent.

    ``drafts`` are to be written. ``failed`` need a person. ``later`` go back unsent, because another row of the batch
    is for the same person or record. ``found`` were written by an earlier try whose answer was lost.
    """

    drafts: list[Draft]
    failed: dict[str, ConnectorError]
    later: list[str]
    found: dict[str, RecordId]


def build(hub: Hub, line: Line, rows: Sequence[Claimed]) -> Batch:
    """Render rows and resolve what exists; raises the connector's errors that hold for the whole batch."""
    tenant_id = line.connection.tenant_id
    drafts, failed = render(hub, tenant_id, rows)
    batch = Batch(drafts=drafts, failed=failed, later=[], found={})
    _find_lost(line, batch)
    _match(hub, line, batch)
    _keep_apart(batch)
    return batch


def render(
    hub: Hub, tenant_id: str, rows: Sequence[Claimed]
) -> tuple[list[Draft], dict[str, ConnectorError]]:
    """Render rows from their stored events, each event opened once; gives drafts and the rows that failed."""
    events, ids, zone = _read(hub, tenant_id, rows)
    facts: dict[str, dict[str, Any]] = {}
    drafts: list[Draft] = []
    failed: dict[str, ConnectorError] = {}
    for row in rows:
        if row.event_id not in facts:
            facts[row.event_id] = _open(hub, tenant_id, row.event_id, events)
        try:
            mapping = compiled(hub, tenant_id, row.mapping_id, row.mapping_version)
            step = next((one for one in mapping.steps if one.id == row.step), None)
            if step is None:
                failed[row.id] = Unrenderable(
                    f'The mapping has no step "{row.step}" any more.', path="steps"
                )
                continue
            needed = ids.get(row.event_id, {}).get(row.mapping_id, {})
            rendered = step.render(facts[row.event_id], ids=needed, timezone=zone)
        except RenderProblem as err:
            failed[row.id] = Unrenderable(err.detail, path=err.path)
        except MappingGone as err:
            failed[row.id] = Unrenderable(str(err), path=None)
        else:
            drafts.append(_draft(hub, tenant_id, row, rendered))
    return drafts, failed


def _read(
    hub: Hub, tenant_id: str, rows: Sequence[Claimed]
) -> tuple[dict[str, bytes], dict[str, dict[str, dict[str, str]]], ZoneInfo]:
    """Read the events' bodies, and the record ids of the steps that these rows hang on."""
    with hub.tenant(tenant_id) as session:
        zone = session.scalars(select(Tenant.timezone).where(Tenant.id == tenant_id)).one()
        bodies = session.execute(
            select(StoredEvent.id, StoredEvent.body).where(
                StoredEvent.id.in_({row.event_id for row in rows})
            )
        ).all()
        wanted = {other for row in rows for other in row.waits_for}
        known = (
            session.execute(
                select(
                    Delivery.event_id, Delivery.mapping_id, Delivery.step, Delivery.record_id
                ).where(Delivery.id.in_(wanted))
            ).all()
            if wanted
            else []
        )
    ids: dict[str, dict[str, dict[str, str]]] = {}
    for event_id, mapping_id, step, record_id in known:
        if mapping_id and record_id:
            ids.setdefault(event_id, {}).setdefault(mapping_id, {})[step] = record_id
    return {event_id: body for event_id, body in bodies}, ids, ZoneInfo(zone)  # noqa: C416 - rows are not tuples to mypy


def _open(hub: Hub, tenant_id: str, event_id: str, bodies: Mapping[str, bytes]) -> dict[str, Any]:
    plain = hub.vault.open(tenant_id, bodies[event_id], about=f"events.body:{event_id}")
    return with_transcript_text(json.loads(plain)["data"])


def _draft(hub: Hub, tenant_id: str, row: Claimed, rendered: Rendered) -> Draft:
    chosen = None if row.chosen_record_id == NEW_RECORD else row.chosen_record_id
    draft = Draft(row, rendered, record_id=chosen or row.record_id)
    if rendered.match:
        sorted_match = json.dumps(rendered.match, sort_keys=True, default=str)
        draft.match_hash = hub.vault.fingerprint(tenant_id, f"{row.object}:{sorted_match}")
    return draft


def _find_lost(line: Line, batch: Batch) -> None:
    """Ask the vendor about rows whose last answer was lost; what is found needs no second write."""
    lost = [draft for draft in batch.drafts if draft.row.is_uncertain and draft.record_id is None]
    if not lost:
        return
    lookups = [Lookup(object=draft.row.object, key=draft.row.key) for draft in lost]
    for draft, found in zip(lost, _ask(line, lookups), strict=True):
        if len(found.candidates) == 1 and draft.row.waits_for:
            # It is there, but whether it hangs on its other records is not known: update it in full.
            draft.record_id = found.candidates[0].record.id
        elif len(found.candidates) == 1:
            batch.found[draft.row.id] = found.candidates[0].record
        elif found.candidates:
            batch.failed[draft.row.id] = ContractBroken(
                f"{len(found.candidates)} records carry the same key; there must be one."
            )
    batch.drafts = [
        draft
        for draft in batch.drafts
        if draft.row.id not in batch.found and draft.row.id not in batch.failed
    ]


def _match(hub: Hub, line: Line, batch: Batch) -> None:
    """Find the person's record: by what a person chose, what we remember, or by asking the vendor."""
    remembered = _links(hub, line, batch.drafts)
    asked: list[tuple[Draft, Lookup]] = []
    for draft in batch.drafts:
        is_open = draft.record_id is None and draft.row.chosen_record_id is None
        if is_open and draft.match_hash in remembered:
            draft.record_id = remembered[draft.match_hash]
        is_known = draft.record_id is not None
        if is_known and not draft.asks_before_writing:
            continue
        if not is_known and draft.row.chosen_record_id == NEW_RECORD:
            continue
        lookup = _lookup(draft, is_known=is_known)
        if lookup:
            asked.append((draft, lookup))
    if not asked:
        return
    answers = _ask(line, [lookup for _, lookup in asked])
    for (draft, _), found in zip(asked, answers, strict=True):
        _resolve(batch, draft, found.candidates)
    batch.drafts = [draft for draft in batch.drafts if draft.row.id not in batch.failed]


def _lookup(draft: Draft, *, is_known: bool) -> Lookup | None:
    read = tuple(name for name, mode in draft.rendered.update_modes.items() if mode == "if_empty")
    if draft.rendered.match:
        return Lookup(object=draft.row.object, by=draft.rendered.match, read=read)
    if is_known:
        return Lookup(object=draft.row.object, key=draft.row.key, read=read)
    return None


def _resolve(batch: Batch, draft: Draft, candidates: Sequence[Candidate]) -> None:
    if draft.record_id is not None:
        draft.existing = next(
            (one.values for one in candidates if one.record.id == draft.record_id), None
        )
        if draft.existing is None and draft.row.chosen_record_id is None:
            draft.record_id = None  # it no longer matches, or is gone: judge by what is there now
        else:
            return
    if len(candidates) == 1:
        draft.record_id, draft.existing = candidates[0].record.id, candidates[0].values
    elif candidates:
        batch.failed[draft.row.id] = Ambiguous(
            f"{len(candidates)} existing records match. Choose the right one.",
            candidates=candidates,
        )


def _links(hub: Hub, line: Line, drafts: Sequence[Draft]) -> dict[str | None, str]:
    hashes = {draft.match_hash for draft in drafts if draft.match_hash}
    if not hashes:
        return {}
    with hub.tenant(line.connection.tenant_id) as session:
        found = session.execute(
            select(RecordLink.match_hash, RecordLink.record_id).where(
                RecordLink.connection_id == line.connection.id,
                RecordLink.object == drafts[0].row.object,
                RecordLink.match_hash.in_(hashes),
            )
        ).all()
    return {match_hash: record_id for match_hash, record_id in found}  # noqa: C416 - rows are not tuples to mypy


def _keep_apart(batch: Batch) -> None:
    """Let only the first of several rows for one person, or one record, into the batch."""
    taken: set[str] = set()
    kept: list[Draft] = []
    for draft in batch.drafts:
        marks = {mark for mark in (draft.match_hash, draft.record_id) if mark}
        if marks & taken:
            batch.later.append(draft.row.id)
            continue
        taken |= marks
        kept.append(draft)
    batch.drafts = kept


def _ask(line: Line, lookups: Sequence[Lookup]) -> Sequence[Found]:
    found = connector(line.connection.connector)
    answers = line.call(lambda account: found.find(account, lookups))
    if len(answers) != len(lookups):
        raise ContractBroken(f"{len(lookups)} lookups were asked and {len(answers)} answered.")
    return answers
