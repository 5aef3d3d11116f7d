"""The approval gate: above a tenant's threshold of urgency nothing happens before a person has approved it.

It holds every mapping, besides what a mapping's own ``approve`` holds. A mapping that pages somebody is let through
unless the tenant says otherwise: the most urgent voicemails are those that page, and a page that waits for
somebody to look at a screen wakes nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select

from connectors.interface import HasPurposes
from connectors.registry import CONNECTORS, connector
from hub.context import Hub
from hub.db import audit
from hub.db.tenants import Tenant, touch_plan

_KEY: Final = "approval"
MOST_URGENT: Final = 100


class WrongGate(ValueError):
    """The threshold is none; the message says what it can be."""


@dataclass(frozen=True, slots=True)
class Gate:
    """From which urgency score on (0 to 100) a person approves first; None is never. ``pages`` says pages too."""

    urgency_at_least: int | None = None
    pages: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Gate:
        """Read a tenant's settings: ``approval`` with ``urgency_at_least`` and ``approve_pages``."""
        kept = settings.get(_KEY)
        found = kept if isinstance(kept, Mapping) else {}
        least = found.get("urgency_at_least")
        is_score = isinstance(least, int) and not isinstance(least, bool)
        return cls(least if is_score else None, found.get("approve_pages") is True)

    def holds(self, facts: Mapping[str, Any], *, is_page: bool) -> bool:
        """Tell whether a person approves first what a mapping does with this voicemail."""
        if self.urgency_at_least is None or (is_page and not self.pages):
            return False
        return bool(facts["urgency"]["score"] >= self.urgency_at_least)


def pages(connector_name: str, objects: Iterable[str]) -> bool:
    """Tell whether writing these objects calls a person on call."""
    vendor = connector(connector_name) if connector_name in CONNECTORS else None
    return isinstance(vendor, HasPurposes) and any(
        vendor.purposes.get(name) == "page" for name in objects
    )


def gate(hub: Hub, tenant_id: str) -> Gate:
    """Give a tenant's gate."""
    with hub.tenant(tenant_id) as session:
        settings = session.scalars(select(Tenant.settings).where(Tenant.id == tenant_id)).one()
    return Gate.of(settings)


def set_gate(hub: Hub, tenant_id: str, wanted: Gate, *, actor: str) -> None:
    """Hold new voicemails by this from now on; what is planned stays as it is. Raises WrongGate."""
    least = wanted.urgency_at_least
    if least is not None and not 0 <= least <= MOST_URGENT:
        raise WrongGate(f"The urgency must be a whole number from 0 to {MOST_URGENT}.")
    with hub.tenant(tenant_id) as session:
        tenant = session.scalars(
            select(Tenant).where(Tenant.id == tenant_id).with_for_update(key_share=True)
        ).one()
        kept = {"urgency_at_least": least, "approve_pages": wanted.pages}
        tenant.settings = {**tenant.settings, _KEY: kept}
        session.flush()
        touch_plan(session)
        audit.record(
            session, actor=actor, action="tenant.approval_set", target=tenant_id, facts=kept
        )
