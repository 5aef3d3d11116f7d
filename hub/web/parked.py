"""What needs a person, over all voicemails, grouped by what is in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from hub.db.deliveries import State
from hub.db.people import Role
from hub.web import reading
from hub.web.reading import Done, Voicemail
from hub.web.shell import needs_person
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("parked", __name__, url_prefix="/needs-you")
_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Group:
    """Deliveries with the same thing in their way."""

    name: str
    reason: str
    path: str | None
    connector: str | None
    mapping_id: str | None
    mapping_name: str | None
    items: tuple[tuple[Done, Voicemail], ...]

    @property
    def has_choices(self) -> bool:
        """Whether a person must choose a record, one by one."""
        return any(done.candidates for done, _ in self.items)


@pages.get("")
@needs(Role.VIEWER)
def show() -> ResponseReturnValue:
    """List what is held or parked, the latest first in each group."""
    hub, me = the_hub(), viewer()
    held = reading.waiting_for_people(hub, me.tenant_id, [State.HELD.value], size=_SHOWN)
    parked = reading.waiting_for_people(hub, me.tenant_id, [State.PARKED.value], size=_SHOWN)
    reading.note_listed(hub, me, [voicemail for _, voicemail in (*held, *parked)])
    return render_template(
        "parked/list.html",
        held=held,
        groups=_grouped(parked),
        shown=len(held) + len(parked),
        total=needs_person(),
    )


def _grouped(rows: Sequence[tuple[Done, Voicemail]]) -> list[Group]:
    """Group by connection, reason and place in the mapping; the largest group first."""
    found: dict[tuple[str | None, ...], list[tuple[Done, Voicemail]]] = {}
    for done, voicemail in rows:
        row = done.row
        key = (row.connection_id, row.mapping_id, row.reason, row.reason_path)
        found.setdefault(key, []).append((done, voicemail))
    groups = []
    for place, items in enumerate(found.values(), start=1):
        first = items[0][0]
        groups.append(
            Group(
                name=f"group-{place}",
                reason=first.row.reason or "No reason was written down.",
                path=first.row.reason_path,
                connector=first.connector,
                mapping_id=first.row.mapping_id,
                mapping_name=first.mapping_name,
                items=tuple(items),
            )
        )
    return sorted(groups, key=lambda group: -len(group.items))
