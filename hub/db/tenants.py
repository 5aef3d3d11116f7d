"""Tenants and their settings."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, new_id
from hub.db.tenancy import TenantSession


class Tenant(Created, Base):
    """A company whose missed calls we log.

    ``settings`` holds what an admin may change: ``rubric``, ``drop_buckets``, ``line`` and so on; a missing key means
    the default. ``plan_revision`` grows with every change that alters what an event leads to, so that
    the processes that accept events know when what they remember is old.
    """

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("ten"))
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    vertical: Mapped[str] = mapped_column(default="sales")
    timezone: Mapped[str] = mapped_column(default="UTC")
    is_phi: Mapped[bool] = mapped_column(default=False)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    plan_revision: Mapped[int] = mapped_column(default=0, server_default="0")

    @property
    def dropped_buckets(self) -> frozenset[str]:
        """Buckets whose voicemails are kept but lead to no action; spam unless set otherwise."""
        return frozenset(self.settings.get("drop_buckets", ["spam"]))


def touch_plan(session: TenantSession) -> None:
    """Say that what an event leads to has changed, so that no process plans by what it remembers."""
    session.execute(
        update(Tenant)
        .where(Tenant.id == session.tenant_id)
        .values(plan_revision=Tenant.plan_revision + 1)
    )
