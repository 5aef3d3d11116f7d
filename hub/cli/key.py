"""``afterbeep key``: API keys of tenants, and the keys that encrypt what is stored."""

from __future__ import annotations

import base64
import os
import re

import click

from hub.cli.output import json_option, put_json, put_rows, say
from hub.cli.problems import Refused

_SCOPES = (
    "events:write",
    "events:read",
    "deliveries:read",
    "deliveries:write",
    "mappings:read",
    "mappings:write",
    "connections:read",
    "connections:write",
    "webhooks:read",
    "webhooks:write",
    "voice:read",
    "voice:write",
)
_TENANT = click.option(
    "--tenant", help="The tenant's slug; may be left out when there is only one."
)


@click.group()
def key() -> None:
    """Make, list and revoke API keys; make and rotate the keys of the encryption at rest."""


@key.command()
@click.argument("name")
@_TENANT
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(_SCOPES),
    multiple=True,
    help="What it may do; may be given more than once. events:write when not given.",
)
@json_option
def create(name: str, tenant: str | None, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Make an API key called NAME; its secret is shown only now.

    \b
    Example:
      afterbeep key create "Voice agent" --tenant harbor --scope events:write
    """
    from hub.cli.opening import opened, tenant_id
    from hub.db import audit, keys

    wanted = [keys.Scope(scope) for scope in scopes or ("events:write",)]
    with opened() as hub, hub.tenant(tenant_id(hub, tenant)) as session:
        made = keys.create(session, name=name, scopes=wanted)
        audit.record(
            session,
            actor="command",
            action="key.created",
            target=made.id,
            facts={"scopes": [scope.value for scope in made.scopes]},
        )
    if as_json:
        put_json({"id": made.id, "secret": made.secret, "scopes": list(made.scopes)})
        return
    click.echo(made.secret)
    say(f"This is {made.name} ({made.id}). The secret is shown only now.")


@key.command(name="list")
@_TENANT
@json_option
def list_command(tenant: str | None, *, as_json: bool) -> None:
    """List API keys by their hints.

    \b
    Example:
      afterbeep key list --tenant harbor
    """
    from sqlalchemy import select

    from hub.cli.opening import opened, tenant_id
    from hub.db.keys import ApiKey

    with opened() as hub, hub.tenant(tenant_id(hub, tenant)) as session:
        rows = [
            (row.id, row.name, row.hint, " ".join(row.scopes), row.last_used_at, row.revoked_at)
            for row in session.scalars(select(ApiKey).order_by(ApiKey.id))
        ]
    put_rows(("Id", "Name", "Hint", "Scopes", "Last used at", "Revoked at"), rows, as_json=as_json)


@key.command()
@click.argument("key_id")
@_TENANT
def revoke(key_id: str, tenant: str | None) -> None:
    """Revoke the API key KEY_ID; it opens nothing after a few seconds.

    \b
    Example:
      afterbeep key revoke apk_01jd3f6g7h8j9kamnbpcqdrset
    """
    from hub.cli.opening import opened, tenant_id
    from hub.db import audit, keys

    with opened() as hub, hub.tenant(tenant_id(hub, tenant)) as session:
        if not keys.revoke(session, key_id):
            raise Refused(f"There is no key {key_id}, or it was revoked before.")
        audit.record(session, actor="command", action="key.revoked", target=key_id)
    click.echo(f"Revoked {key_id}.")


@key.command()
@click.argument("name", default="main")
def new(name: str) -> None:
    """Make a master key called NAME for AFTERBEEP_MASTER_KEYS.

    Put it in front of the others, keep those, and run `afterbeep key rotate`.

    \b
    Example:
      AFTERBEEP_MASTER_KEYS="$(afterbeep key new 2027),$AFTERBEEP_MASTER_KEYS"
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
        raise Refused("A key's name has letters, digits, _ and -.")
    click.echo(f"{name}:{base64.b64encode(os.urandom(32)).decode()}")


@key.command()
@click.option("--tenant", help="A tenant's slug; all tenants when not given.")
@json_option
@click.pass_context
def rotate(ctx: click.Context, tenant: str | None, *, as_json: bool) -> None:
    """Give tenants a new data key, seal what is stored under it, and wrap all keys with the newest master key.

    Runs while the hub runs, and takes some seconds longer than the work for each tenant. When all
    is wrapped with the newest master key, the others may leave AFTERBEEP_MASTER_KEYS. Exit code 1 when a
    value could not be read; it stays as it is.

    \b
    Examples:
      afterbeep key rotate
      afterbeep key rotate --tenant harbor
    """
    from sqlalchemy import select

    from hub.cli.opening import opened, tenant_id
    from hub.db import rotation
    from hub.db.tenants import Tenant

    rows = []
    with opened() as hub:
        if tenant:
            chosen = [tenant_id(hub, tenant)]
        else:
            with hub.everyone("keys of all tenants are rotated") as session:
                chosen = list(session.scalars(select(Tenant.id).order_by(Tenant.id)))
        for one in chosen:
            wrapped = hub.vault.rewrap(one)
            counts = rotation.rotate(hub, one)
            unreadable = counts.pop(rotation.UNREADABLE)
            rows.append((one, sum(counts.values()), wrapped, unreadable))
    put_rows(("Tenant id", "Sealed anew", "Wrapped anew", "Unreadable"), rows, as_json=as_json)
    if any(row[-1] for row in rows):
        ctx.exit(1)
