"""From claimed rows to drafts of writes: each is rendered from its stored event.

What cannot be rendered becomes a result of its own; the rest of the batch goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from connectors.errors import ConnectorError, Rejected
from connectors.record import JSON, RecordId, Write
from hub.context import Hub
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.tenants import Tenant
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
    match_hashes: tuple[str, ...] = ()
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


def build(hub: Hub, tenant_id: str, rows: Sequence[Claimed]) -> Batch:
    """Render rows from their stored events; nothing is asked of the vendor yet."""
    drafts, failed = render(hub, tenant_id, rows)
    return Batch(drafts=drafts, failed=failed, later=[], found={})


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
    draft.match_hashes = tuple(
        hub.vault.fingerprint(
            tenant_id, f"{row.object}:{json.dumps(way, sort_keys=True, default=str)}"
        )
        for way in rendered.matches
    )
    return draft
