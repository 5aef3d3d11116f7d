"""The profile of a line: whose number was dialled, and all that a call needs to know of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from hub.context import Hub
from hub.db.telephone import PhoneNumber
from hub.db.tenants import Tenant
from hub.voice.settings import Kept, LineSettings


class Profile(LineSettings):
    """Everything that the voice front end needs to know of the tenant whose number was dialled."""

    tenant_id: str
    number: str
    name: str
    vertical: str
    timezone: str
    is_phi: bool


def profile(hub: Hub, number: str, *, tenant_id: str | None = None) -> dict[str, Any] | None:
    """Give the profile of a number as JSON values, or None when nobody has it, or not this tenant."""
    with hub.everyone("a number that was dialled tells the tenant") as session:
        query = (
            select(Tenant)
            .join(PhoneNumber, PhoneNumber.tenant_id == Tenant.id)
            .where(PhoneNumber.number == number)
        )
        if tenant_id is not None:
            query = query.where(Tenant.id == tenant_id)
        tenant = session.scalars(query).one_or_none()
    return None if tenant is None else _told(tenant, number)


def of_tenant(hub: Hub, tenant_id: str, number: str) -> dict[str, Any]:
    """Give the profile that calls to a number of this tenant have, or would have; the number is not looked up."""
    with hub.tenant(tenant_id) as session:
        tenant = session.scalars(select(Tenant).where(Tenant.id == tenant_id)).one()
    return _told(tenant, number)


def _told(tenant: Tenant, number: str) -> dict[str, Any]:
    settings = Kept.of(tenant.settings).settings.model_dump(
        mode="json", include=set(LineSettings.model_fields)
    )
    return {
        "tenant_id": tenant.id,
        "number": number,
        "name": tenant.name,
        "vertical": tenant.vertical,
        "timezone": tenant.timezone,
        "is_phi": tenant.is_phi,
        **settings,
    }
