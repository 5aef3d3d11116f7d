"""The audit log: every change and every vendor write, in a chain of hashes per tenant.

Each row's hash covers the row and the hash before it, so that a row
that was changed, removed or slipped in later shows.
Facts are ids, numbers and names of settings: never what a caller said.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, TenantOwned, now
from hub.db.tenancy import TenantSession

#: What the first row of a chain follows.
START = "0" * 64


class AuditHead(TenantOwned, Base):
    """The end of a tenant's chain; its row lock puts writers in order."""

    __tablename__ = "audit_heads"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, default=0)
    hash: Mapped[str] = mapped_column(default=START)


class AuditRow(TenantOwned, Base):
    """Who did what to which thing, and when."""

    __tablename__ = "audit"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    target: Mapped[str]
    facts: Mapped[dict[str, Any]]
    hash: Mapped[str]


def record(
    session: TenantSession,
    *,
    actor: str,
    action: str,
    target: str,
    facts: dict[str, Any] | None = None,
) -> None:
    """Add a row to the session's tenant's chain, in the session's transaction.

    ``actor`` is ``person:<id>``, ``key:<id>``, ``voice``, ``worker`` or ``command``; ``action`` is such as
    ``mapping.saved``.
    Call it last in a transaction: it holds the end of the chain until the commit.
    """
    tenant_id = session.tenant_id
    if tenant_id is None:
        raise ValueError("an audit row belongs to a tenant")
    session.execute(
        insert(AuditHead).values(tenant_id=tenant_id, number=0, hash=START).on_conflict_do_nothing()
    )
    head = session.scalars(select(AuditHead).with_for_update()).one()
    session.refresh(head)
    row = AuditRow(
        tenant_id=tenant_id,
        number=head.number + 1,
        at=now(),
        actor=actor,
        action=action,
        target=target,
        facts=facts or {},
    )
    row.hash = chained(row, head.hash)
    head.number, head.hash = row.number, row.hash
    session.add(row)
    session.flush()


def chained(row: AuditRow, before: str) -> str:
    """Give the hash of a row that follows one with the hash ``before`` (:data:`START` for the first)."""
    content = json.dumps(
        [
            row.tenant_id,
            row.number,
            row.at.astimezone(UTC).isoformat(),
            row.actor,
            row.action,
            row.target,
            row.facts,
        ],
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(f"{before}{content}".encode()).hexdigest()


def first_break(session: TenantSession) -> int | None:
    """Give the number of the first row whose chain does not hold, or None when all is well."""
    before, expected = START, 0
    for row in session.scalars(select(AuditRow).order_by(AuditRow.number)).yield_per(1_000):
        expected += 1
        if row.number != expected or row.hash != chained(row, before):
            return expected
        before = row.hash
    head = session.scalars(select(AuditHead)).one_or_none()
    if head is not None and (head.number, head.hash) != (expected, before):
        return expected + 1
    return None


def is_end_whole(session: TenantSession, *, rows: int) -> bool:
    """Tell whether the newest so many rows are a chain up to its end; cheap, unlike :func:`first_break`."""
    found = list(
        session.scalars(select(AuditRow).order_by(AuditRow.number.desc()).limit(rows + 1))
    )[::-1]
    head = session.scalars(select(AuditHead)).one_or_none()
    if not found:
        return head is None or head.number == 0
    before = START if found[0].number == 1 else found[0].hash
    checked = found if found[0].number == 1 else found[1:]
    expected = checked[0].number - 1 if checked else found[0].number
    for row in checked:
        expected += 1
        if row.number != expected or row.hash != chained(row, before):
            return False
        before = row.hash
    return head is not None and (head.number, head.hash) == (expected, before)
