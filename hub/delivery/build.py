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
from sqlalchemy.exc import SQLAlchemyError

from connectors.errors import ConnectorError, Rejected, Unavailable
from connectors.record import JSON, RecordId, Write
from hub import log
from hub.context import Hub
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.tenants import Tenant
from hub.db.vault import KeyMissing, Unreadable
from hub.delivery.claim import Claimed
from hub.delivery.compiled import MappingGone, compiled
from mappings.event import with_transcript_text
from mappings.problem import InvalidMapping
from mappings.render import Rendered, RenderProblem, apply_update_modes

_LOG = log.get(__name__)
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
    #: The record is one that we remember; the vendor was not asked whether it still exists.
    is_from_memory: bool = False
    existing: Mapping[str, JSON] | None = None

    @property
    def asks_before_writing(self) -> bool:
        """Whether some field must not overwrite what the record already has."""
        return "if_empty" in self.rendered.update_modes.values()

    @property
    def is_first(self) -> bool:
        """Whether this key was certainly never sent: no try failed without a clear word, and no worker died with it."""
        is_new = self.row.attempts == 0 and not self.row.was_sent_before
        return self.record_id is None and is_new and not self.row.is_uncertain

    def write(self) -> Write:
        """Give the final record: update modes applied when it exists already."""
        fields = self.rendered.fields
        if self.record_id is not None:
            # Of what could not be read nothing is known to be empty.
            unread = dict.fromkeys(self.rendered.update_modes, True)
            known = unread if self.existing is None else self.existing
            fields = apply_update_modes(self.rendered, known)
        return Write(
            key=self.row.key,
            object=self.row.object,
            fields=fields,
            record_id=self.record_id,
            is_first=self.is_first,
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
    """Render rows from their stored events, each event opened once; gives drafts and the rows that failed.

    Raises Unavailable when nothing of the tenant can be rendered for now.
    """
    bodies, ids, zone = _read(hub, tenant_id, rows)
    facts: dict[str, dict[str, Any]] = {}
    drafts: list[Draft] = []
    failed: dict[str, ConnectorError] = {}
    for row in rows:
        try:
            if row.event_id not in facts:
                facts[row.event_id] = _open(hub, tenant_id, row.event_id, bodies)
            needed = ids.get(row.event_id, {}).get(row.mapping_id, {})
            rendered = _render(
                hub, tenant_id, row, facts=facts[row.event_id], ids=needed, zone=zone
            )
            drafts.append(_draft(hub, tenant_id, row, rendered))
        except ConnectorError as err:
            failed[row.id] = err
        except KeyMissing as err:
            raise Unavailable(str(err), code="master_key") from err
        except SQLAlchemyError:
            raise  # the database is away, which is no row's fault
        except Exception as err:  # noqa: BLE001 - what breaks one row must not stop its neighbours
            _LOG.error(
                "row could not be rendered",
                delivery_id=row.id,
                error=type(err).__name__,
                where=log.places(err),
            )
            failed[row.id] = Unrenderable(
                "Afterbeep itself failed on this row; we have been told.", path=None
            )
    return drafts, failed


def _render(
    hub: Hub,
    tenant_id: str,
    row: Claimed,
    *,
    facts: dict[str, Any],
    ids: Mapping[str, str],
    zone: ZoneInfo,
) -> Rendered:
    """Render one row by the version that it names; raises Unrenderable."""
    try:
        mapping = compiled(hub, tenant_id, row.mapping_id, row.mapping_version)
    except MappingGone as err:
        raise Unrenderable(str(err), path=None) from err
    except InvalidMapping as err:
        first = err.problems[0]
        raise Unrenderable(
            f"Version {row.mapping_version} of the mapping is no longer valid: {first}. Save it anew.",
            path=first.path or None,
        ) from err
    at = next((place for place, one in enumerate(mapping.steps) if one.id == row.step), None)
    if at is None:
        raise Unrenderable(f'The mapping has no step "{row.step}" any more.', path="steps")
    step = mapping.steps[at]
    if step.object != row.object:
        raise Unrenderable(
            f"The step makes a {step.object} now, and this delivery is for a {row.object}.",
            path=f"steps[{at}].object",
        )
    try:
        return step.render(facts, ids=ids, timezone=zone)
    except RenderProblem as err:
        raise Unrenderable(err.detail, path=err.path) from err


def _read(
    hub: Hub, tenant_id: str, rows: Sequence[Claimed]
) -> tuple[dict[str, tuple[bytes, str]], dict[str, dict[str, dict[str, str]]], ZoneInfo]:
    """Read the events' bodies with their buckets, and the record ids of the steps that these rows hang on."""
    with hub.tenant(tenant_id) as session:
        zone = session.scalars(select(Tenant.timezone).where(Tenant.id == tenant_id)).one()
        bodies = session.execute(
            select(StoredEvent.id, StoredEvent.body, StoredEvent.bucket).where(
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
    return {event_id: (body, bucket) for event_id, body, bucket in bodies}, ids, _zone(zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as err:
        raise Unavailable(
            f'There is no time zone "{name}". Change it in the settings.', code="timezone"
        ) from err


def _open(
    hub: Hub, tenant_id: str, event_id: str, bodies: Mapping[str, tuple[bytes, str]]
) -> dict[str, Any]:
    if event_id not in bodies:
        raise Unrenderable("The voicemail of this delivery is gone.", path=None)
    body, bucket = bodies[event_id]
    if not body:
        raise Unrenderable("What the caller said has been removed: its time was over.", path=None)
    try:
        plain = hub.vault.open(tenant_id, body, about=f"events.body:{event_id}")
        # The bucket beside the body is the one that a person may have corrected.
        return {**with_transcript_text(json.loads(plain)["data"]), "bucket": bucket}
    except KeyMissing:
        raise
    except (Unreadable, ValueError, LookupError, TypeError) as err:
        raise Unrenderable("The stored voicemail cannot be read.", path=None) from err


def _draft(hub: Hub, tenant_id: str, row: Claimed, rendered: Rendered) -> Draft:
    chosen = None if row.chosen_record_id == NEW_RECORD else row.chosen_record_id
    draft = Draft(
        row,
        rendered,
        record_id=chosen or row.record_id,
        is_from_memory=chosen is None and row.record_id is not None,
    )
    draft.match_hashes = tuple(
        hub.vault.fingerprint(
            tenant_id, f"{row.object}:{json.dumps(way, sort_keys=True, default=str)}"
        )
        for way in rendered.matches
    )
    return draft
