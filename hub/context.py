"""What every part of the hub works with: settings, database, Redis and vault, made once per process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import redis
from sqlalchemy import Engine

from hub.db.engine import engine
from hub.db.tenancy import TenantSession, across_tenants, for_tenant
from hub.db.vault import Vault, read_master_keys
from hub.settings import Settings, SettingsProblem, load


@dataclass(frozen=True, slots=True)
class Hub:
    """The process's connections to the outside, passed to whoever needs them."""

    settings: Settings
    engine: Engine
    redis: redis.Redis = field(repr=False)
    vault: Vault = field(repr=False)

    @contextmanager
    def tenant(self, tenant_id: str) -> Iterator[TenantSession]:
        """Open a transaction that sees one tenant."""
        with for_tenant(self.engine, tenant_id) as session:
            yield session

    @contextmanager
    def everyone(self, why: str) -> Iterator[TenantSession]:
        """Open a transaction that sees all tenants, for the reason given."""
        with across_tenants(self.engine, why) as session:
            yield session


def open_hub(settings: Settings, *, pool_size: int = 10) -> Hub:
    """Connect; both URLs must be set (``hub.embedded`` gives them where no server is).

    Raises SettingsProblem when one is missing.
    """
    if settings.database_url is None or settings.redis_url is None:
        raise SettingsProblem(
            "AFTERBEEP_DATABASE_URL and AFTERBEEP_REDIS_URL must be set here; "
            "`afterbeep up` starts embedded servers and sets them."
        )
    database = engine(settings.database_url.get_secret_value(), pool_size=pool_size)
    store = redis.Redis.from_url(
        settings.redis_url.get_secret_value(), socket_timeout=10, health_check_interval=30
    )
    return Hub(settings, database, store, Vault(database, read_master_keys(settings)))


@cache
def process_hub() -> Hub:
    """Give this process's hub, from the environment."""
    return open_hub(load())
