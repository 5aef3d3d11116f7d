"""All tables, for migrations."""

from __future__ import annotations

from hub.db import (
    alerts,
    audit,
    connections,
    deliveries,
    events,
    invitations,
    keys,
    mappings,
    outcomes,
    people,
    replays,
    subscriptions,
    telephone,
    tenants,
    triage,
    vault,
)
from hub.db.base import Base

TABLES = (
    alerts,
    audit,
    connections,
    deliveries,
    events,
    invitations,
    keys,
    mappings,
    outcomes,
    people,
    replays,
    subscriptions,
    telephone,
    tenants,
    triage,
    vault,
)
metadata = Base.metadata
