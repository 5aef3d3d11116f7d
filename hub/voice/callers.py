"""Who calls, as far as earlier events of the same number tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select

from hub.context import Hub
from hub.db import audit
from hub.db.events import StoredEvent
from hub.db.keys import Holder
from hub.db.telephone import number_hash
from hub.db.vault import Unreadable

#: So many of the newest events are opened to find the caller's name.
_OPENED: Final = 3


@dataclass(frozen=True, slots=True)
class Known:
    """A caller; for tenants with health data only the name and the number of calls are told."""

    name: str | None
    language: str | None
    calls: int
    last_bucket: str | None
    last_summary: str | None


def look_up(hub: Hub, holder: Holder, number: str) -> Known | None:
    """Give what is known of whoever calls from this number, or None; the reading of health data is written down."""
    hashed = number_hash(hub.vault, holder.tenant_id, number)
    with hub.tenant(holder.tenant_id) as session:
        of_caller = StoredEvent.caller_hash == hashed
        rows = session.scalars(
            select(StoredEvent)
            .where(of_caller)
            .order_by(StoredEvent.received_at.desc())
            .limit(_OPENED)
        ).all()
        if not rows:
            return None
        calls = session.scalar(select(func.count()).select_from(StoredEvent).where(of_caller)) or 0
        if holder.is_phi:
            seen = [row.id for row in rows]
            audit.record(
                session,
                actor=holder.actor,
                action="voice.caller_read",
                target=seen[0],
                facts={"events": seen},
            )
    opened = [_data(hub, row) for row in rows]
    name = next((found for data in opened if (found := _name(data))), None)
    if holder.is_phi:
        return Known(name, None, calls, None, None)
    newest = rows[0]
    summary = opened[0].get("summary") or opened[0].get("reason")
    language = next((row.language for row in rows if row.language), None)
    return Known(name, language, calls, newest.bucket, str(summary) if summary else None)


def _data(hub: Hub, row: StoredEvent) -> dict[str, Any]:
    try:
        text = hub.vault.open_text(row.tenant_id, row.body, about=f"events.body:{row.id}")
    except Unreadable:
        return {}
    found: dict[str, Any] = json.loads(text).get("data") or {}
    return found


def _name(data: dict[str, Any]) -> str | None:
    name = (data.get("caller") or {}).get("name") or {}
    parts = " ".join(part for part in (name.get("given"), name.get("family")) if part)
    return name.get("full") or parts or None
