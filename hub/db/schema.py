"""All tables, for migrations."""

from __future__ import annotations

from hub.db import (
    alerts,
    audit,
    connections,
    deliveries,
    events,
    keys,
    mappings,
    outcomes,
    people,
    replays,
    subscriptions,
    telephone,
    tenants,
    vault,
)
from hub.db.base import Base

TABLES = (
    alerts,
    audit,
    connections,
    deliveries,
    events,
    keys,
    mappings,
    outcomes,
    people,
    replays,
    subscriptions,
    telephone,
    tenants,
    vault,
)
metadata = Base.metadata
