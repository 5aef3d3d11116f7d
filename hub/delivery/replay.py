"""Sending again: how many deliveries a selection is, and beginning it.

One, a selection, a time range, or everything parked; counted first and never twice. The key of a write is derived from
event, mapping and step, so that a replay updates the record that is there. Rows are rendered by the version that they
were planned by (``kept``), by the published one (``newest``), or by a version of one mapping that is named by its
number. With ``newest`` an event that no mapping applied to is planned anew.
"""

from __future__ import annotations

from sqlalchemy import func, select

from hub.context import Hub
from hub.db import audit
from hub.db.deliveries import Delivery
from hub.db.replays import Replay, ReplayState
from hub.db.tenancy import TenantSession
from hub.delivery import replays
from hub.delivery.selection import NoSuchVersion, NotThere, Selection, TooWide, Version, check

__all__ = [
    "NoSuchVersion",
    "NotThere",
    "Selection",
    "TooWide",
    "Version",
    "begin",
    "count",
    "replay",
]


def count(hub: Hub, tenant_id: str, selection: Selection, version: Version = "newest") -> int:
    """Tell how many deliveries a replay would send again; raises TooWide."""
    check(hub, tenant_id, selection, version, must_be_there=False)
    with hub.tenant(tenant_id) as session:
        return _count(session, selection, version)


def _count(session: TenantSession, selection: Selection, version: Version) -> int:
    return session.scalar(select(func.count(Delivery.id)).where(*selection.where(version))) or 0


def begin(
    hub: Hub, tenant_id: str, selection: Selection, *, version: Version = "kept", actor: str
) -> Replay:
    """Begin to send a selection again, as it is now; workers do the rest, within the account's budget.

    A few rows wait to be sent when this comes back; a worker puts in the others. Raises TooWide, NoSuchVersion and
    NotThere.
    """
    check(hub, tenant_id, selection, version)
    made = _begin(hub, tenant_id, selection, version, actor)
    if not replays.advance(hub, tenant_id, made.id, for_s=0.0):
        replays.ring(hub, made.id)
    return made


def _begin(hub: Hub, tenant_id: str, selection: Selection, version: Version, actor: str) -> Replay:
    with hub.tenant(tenant_id) as session:
        made = Replay(
            selection=selection.as_json(),
            version=str(version),
            actor=actor,
            state=ReplayState.COUNTING.value,
            counted=_count(session, selection, version),
        )
        session.add(made)
        session.flush()
        audit.record(
            session,
            actor=actor,
            action="replay.begun",
            target=made.id,
            facts={"selection": made.selection, "version": made.version, "counted": made.counted},
        )
    return made


def replay(
    hub: Hub, tenant_id: str, selection: Selection, *, version: Version = "kept", actor: str
) -> int:
    """Put deliveries back to waiting before this comes back; gives how many. Nothing is kept where nothing fits.

    Raises TooWide and NoSuchVersion. What the tenant does not have fits nothing.
    """
    if not count(hub, tenant_id, selection, version):
        return 0
    made = _begin(hub, tenant_id, selection, version, actor)
    while not replays.advance(hub, tenant_id, made.id):
        pass
    return replays.progress(hub, tenant_id, made.id).marked
