"""Opens the hub for a command: servers found or started, reachable, and with tables of this version."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hub import embedded, log, settings
from hub.context import Hub, open_hub
from hub.db import migrate
from hub.db.engine import check_reachable
from hub.db.tenants import Tenant
from hub.settings import Settings, SettingsProblem


@contextlib.contextmanager
def servers(chosen: Settings | None = None) -> Iterator[tuple[Settings, embedded.Services]]:
    """Give the settings with both addresses, which processes started from here find in their environment.

    Embedded servers that were started for this are stopped at the end. Raises SettingsProblem.
    """
    chosen = chosen or settings.load()
    log.configure(level=chosen.log_level, style=chosen.log_format)
    services = embedded.start(chosen)
    try:
        check_reachable(services.database_url)
        _check_redis(services.redis_url)
        token = embedded.voice_token(chosen)
        settings.export(
            {
                "AFTERBEEP_DATA_DIR": str(chosen.data_dir.absolute()),
                "AFTERBEEP_DATABASE_URL": services.database_url,
                "AFTERBEEP_REDIS_URL": services.redis_url,
                **({"AFTERBEEP_VOICE_TOKEN": token} if token else {}),
            }
        )
        yield settings.load(), services
    finally:
        services.stop()


@contextlib.contextmanager
def opened(*, needs_tables: bool = True) -> Iterator[Hub]:
    """Give the hub for a command; an embedded database gets its tables, another must have them."""
    before = settings.load()
    with servers(before) as (chosen, _):
        hub = open_hub(chosen)
        try:
            if needs_tables:
                check_tables(hub, is_ours=before.database_url is None)
            yield hub
        finally:
            hub.engine.dispose()


def check_tables(hub: Hub, *, is_ours: bool) -> None:
    """Migrate an embedded database; raises SettingsProblem when another one has tables that this version cannot use.

    A database that the next release has migrated is fine: this version runs beside it until it is replaced.
    """
    found = migrate.standing(hub.engine)
    if found.is_fine:
        return
    if found is migrate.Standing.TOO_NEW:
        raise SettingsProblem(
            "The database has been migrated to a version that this one cannot work beside. Install the newer one."
        )
    if not is_ours:
        raise SettingsProblem("The database lacks tables of this version. Run: afterbeep migrate")
    migrate.migrate(hub.engine)


def tenant_id(hub: Hub, slug: str | None) -> str:
    """Give the id of the tenant with this slug (or id), or of the only one there is."""
    from sqlalchemy import or_, select

    with hub.everyone("a command finds its tenant by slug") as session:
        query = select(Tenant.id, Tenant.slug).order_by(Tenant.slug)
        if slug:
            query = query.where(or_(Tenant.slug == slug, Tenant.id == slug))
        found = session.execute(query.limit(20)).all()
    if len(found) == 1:
        return str(found[0].id)
    if slug:
        raise SettingsProblem(f'There is no tenant "{slug}". See: afterbeep tenant list')
    if not found:
        raise SettingsProblem("There is no tenant yet. Make one with: afterbeep tenant create")
    slugs = ", ".join(row.slug for row in found)
    raise SettingsProblem(f"Say which tenant with --tenant: {slugs}")


def _check_redis(url: str) -> None:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    try:
        client.ping()
    except redis.RedisError as err:
        raise SettingsProblem(
            f"The Redis of AFTERBEEP_REDIS_URL does not answer ({type(err).__name__}). "
            "Check the address, or unset the variable to use the embedded server."
        ) from err
    finally:
        client.close()
