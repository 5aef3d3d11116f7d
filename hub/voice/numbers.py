"""Telephone numbers: whose calls a number's are. No two tenants have the same."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from hub.context import Hub
from hub.db import audit
from hub.db.telephone import PhoneNumber


class Taken(Exception):
    """Another tenant has the number; nobody is told which."""


def numbers(hub: Hub, tenant_id: str) -> Sequence[PhoneNumber]:
    """List a tenant's numbers."""
    with hub.tenant(tenant_id) as session:
        return session.scalars(select(PhoneNumber).order_by(PhoneNumber.number)).all()


def put(
    hub: Hub, tenant_id: str, number: str, *, label: str | None, actor: str
) -> tuple[PhoneNumber, bool]:
    """Give a tenant a number (E.164), or another label to one that it has; tells whether it is new. Raises Taken."""
    with hub.tenant(tenant_id) as session:
        made = session.scalars(
            insert(PhoneNumber)
            .values(number=number, tenant_id=tenant_id, label=label)
            .on_conflict_do_nothing()
            .returning(PhoneNumber.number)
        ).one_or_none()
        row = session.scalars(select(PhoneNumber).where(PhoneNumber.number == number)).one_or_none()
        if row is None:
            raise Taken(f"The number {number} is taken.")
        if made is None and row.label == label:
            return row, False
        row.label = label
        session.flush()
        action = "voice.number_added" if made else "voice.number_changed"
        audit.record(session, actor=actor, action=action, target=number)
    return row, made is not None


def remove(hub: Hub, tenant_id: str, number: str, *, actor: str) -> PhoneNumber | None:
    """Take a number from a tenant; gives it as it was, or None when the tenant has none of this name."""
    with hub.tenant(tenant_id) as session:
        row = session.scalars(select(PhoneNumber).where(PhoneNumber.number == number)).one_or_none()
        if row is None:
            return None
        session.execute(delete(PhoneNumber).where(PhoneNumber.number == number))
        audit.record(session, actor=actor, action="voice.number_removed", target=number)
    return row
