"""All tables, for migrations."""

from __future__ import annotations

from hub.db import (
    audit,
    connections,
    deliveries,
    events,
    keys,
    mappings,
    people,
    tenants,
    vault,
)
from hub.db.base import Base

TABLES = (audit, connections, deliveries, events, keys, mappings, people, tenants, vault)
metadata = Base.metadata
