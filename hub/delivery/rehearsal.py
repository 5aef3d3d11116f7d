"""A dry run: what a mapping would do with the latest voicemails, beside what was done with them. Nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from sqlalchemy import select

from hub.context import Hub
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.vault import Unreadable
from hub.delivery.compiled import MappingGone, compiled
from mappings.event import with_transcript_text
from mappings.problem import InvalidMapping
from mappings.render import Compiled, CompiledStep, Rendered, RenderProblem


@dataclass(frozen=True, slots=True)
class Reason:
    """Why voicemails would wait for a person: a place in the mapping, what is wrong there, and one example."""

    path: str
    detail: str
    voicemails: int
    event_id: str


@dataclass(slots=True)
class Rehearsal:
    """What would become of voicemails.

    Of ``voicemails`` that could be read, ``matching`` are those that the mapping is for; of these ``held`` wait for
    approval first and ``parked`` for a person, because something does not fit. ``changed`` had records made by this
    mapping that would be written otherwise now, ``unchanged`` the same, ``added`` none so far. ``dropped`` had
    records, and the mapping is for them no more. ``such_as`` gives the latest voicemail of each of these.
    """

    voicemails: int = 0
    matching: int = 0
    held: int = 0
    parked: int = 0
    changed: int = 0
    unchanged: int = 0
    added: int = 0
    dropped: int = 0
    such_as: dict[str, str] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Made:
    """A row that this mapping has led to."""

    step: str
    version: int


def rehearse(
    hub: Hub,
    tenant_id: str,
    mapping: Compiled,
    *,
    mapping_id: str | None,
    latest: int,
    timezone: tzinfo,
) -> Rehearsal:
    """Try a mapping on the latest voicemails; ``mapping_id`` names the one that it would be the next version of."""
    with hub.tenant(tenant_id) as session:
        events = session.execute(
            select(StoredEvent.id, StoredEvent.body)
            .where(StoredEvent.expunged_at.is_(None))
            .order_by(StoredEvent.received_at.desc(), StoredEvent.id.desc())
            .limit(latest)
        ).all()
        rows = (
            session.execute(
                select(Delivery.event_id, Delivery.step, Delivery.mapping_version).where(
                    Delivery.event_id.in_([one.id for one in events]),
                    Delivery.mapping_id == mapping_id,
                )
            ).all()
            if mapping_id
            else []
        )
    made: dict[str, list[_Made]] = {}
    for row in rows:
        made.setdefault(row.event_id, []).append(_Made(row.step, row.mapping_version or 0))
    trial = _Trial(hub, tenant_id, mapping, mapping_id, timezone)
    for event in events:
        if (facts := _facts(hub, tenant_id, event.id, event.body)) is not None:
            trial.run(event.id, facts, made.get(event.id, []))
    return trial.told()


def _facts(hub: Hub, tenant_id: str, event_id: str, body: bytes) -> dict[str, Any] | None:
    try:
        plain = hub.vault.open(tenant_id, body, about=f"events.body:{event_id}")
        return with_transcript_text(json.loads(plain)["data"])
    except (Unreadable, ValueError, LookupError, TypeError):
        return None


class _Trial:
    """Runs voicemails through one mapping and counts."""

    def __init__(
        self, hub: Hub, tenant_id: str, mapping: Compiled, mapping_id: str | None, timezone: tzinfo
    ) -> None:
        self.hub, self.tenant_id, self.mapping = hub, tenant_id, mapping
        self.mapping_id, self.timezone = mapping_id, timezone
        self.found = Rehearsal()
        self.reasons: dict[tuple[str, str], list[str]] = {}

    def run(self, event_id: str, facts: dict[str, Any], made: Sequence[_Made]) -> None:
        self.found.voicemails += 1
        if not self.mapping.matches(facts):
            if made:
                self._count("dropped", event_id)
            return
        self._count("matching", event_id)
        if self.mapping.needs_approval(facts):
            self._count("held", event_id)
        now = self._rendered(self.mapping, facts)
        misfits = [one for one in now.values() if isinstance(one, RenderProblem)]
        for one in misfits:
            self.reasons.setdefault((one.path, one.detail), []).append(event_id)
        if misfits:
            self._count("parked", event_id)
        if not made:
            self._count("added", event_id)
        elif self._is_other(now, facts, made):
            self._count("changed", event_id)
        else:
            self._count("unchanged", event_id)

    def _count(self, name: str, event_id: str) -> None:
        setattr(self.found, name, getattr(self.found, name) + 1)
        self.found.such_as.setdefault(name, event_id)

    def told(self) -> Rehearsal:
        self.found.reasons = sorted(
            (Reason(*why, len(ids), ids[0]) for why, ids in self.reasons.items()),
            key=lambda one: -one.voicemails,
        )
        return self.found

    def _is_other(
        self,
        now: Mapping[str, Rendered | RenderProblem],
        facts: dict[str, Any],
        made: Sequence[_Made],
    ) -> bool:
        if now.keys() != {one.step for one in made}:
            return True
        for version in {one.version for one in made}:
            try:
                old = compiled(self.hub, self.tenant_id, self.mapping_id or "", version)
            except (MappingGone, InvalidMapping):
                return True
            before = self._rendered(old, facts)
            if any(before.get(one.step) != now[one.step] for one in made if one.version == version):
                return True
        return False

    def _rendered(
        self, mapping: Compiled, facts: dict[str, Any]
    ) -> dict[str, Rendered | RenderProblem]:
        # The vendor gives the real ids when it has written the records.
        ids = {step.id: f"(id of {step.id})" for step in mapping.steps}
        return {step.id: self._one(step, facts, ids) for step in mapping.steps}

    def _one(
        self, step: CompiledStep, facts: dict[str, Any], ids: Mapping[str, str]
    ) -> Rendered | RenderProblem:
        try:
            return step.render(facts, ids=ids, timezone=self.timezone)
        except RenderProblem as err:
            return err
