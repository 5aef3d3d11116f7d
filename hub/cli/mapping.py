"""``afterbeep mapping``: the file commands of :mod:`mappings.cli`, and those that need the hub."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.cli.output import json_option, put_json, put_rows, say
from hub.cli.problems import Failed, Refused
from mappings.cli import mapping as of_files

if TYPE_CHECKING:
    from hub.context import Hub
    from hub.db.mappings import FieldMapping
    from hub.db.tenancy import TenantSession
    from hub.delivery.usual_mappings import Offers

__all__ = ["mapping"]

#: A group of its own, since the commands on files are used without the hub too.
mapping = click.Group("mapping", commands=dict(of_files.commands), help=of_files.help)

_TENANT = click.option(
    "--tenant", help="The tenant's slug; may be left out when there is only one."
)


@mapping.command(name="list")
@_TENANT
@json_option
def list_command(tenant: str | None, *, as_json: bool) -> None:
    """List a tenant's mappings.

    \b
    Example:
      afterbeep mapping list --tenant harbor
    """
    from sqlalchemy import select

    from hub.cli.opening import opened, tenant_id
    from hub.db.connections import Connection
    from hub.db.mappings import FieldMapping, newest_number

    with opened() as hub, hub.tenant(tenant_id(hub, tenant)) as session:
        found = session.execute(
            select(FieldMapping, Connection.label)
            .join(Connection, Connection.id == FieldMapping.connection_id)
            .where(FieldMapping.archived_at.is_(None))
            .order_by(FieldMapping.name)
        ).all()
        rows = [
            (
                row.id,
                row.name,
                row.connection_id,
                label,
                row.version,
                newest_number(session, row.id),
                "active" if row.is_active else "off",
            )
            for row, label in found
        ]
    put_rows(
        ("Id", "Name", "Connection id", "Connection", "Published", "Newest", "State"),
        rows,
        as_json=as_json,
    )


@mapping.command(name="export")
@click.argument("name")
@_TENANT
@click.option("--number", type=int, help="A version; the published one when not given.")
def export_command(name: str, tenant: str | None, number: int | None) -> None:
    """Write the mapping NAME (or id) as YAML to standard output.

    \b
    Example:
      afterbeep mapping export Leads > leads.yaml
    """
    from hub.cli.opening import opened, tenant_id
    from hub.db.mappings import MappingVersion

    with opened() as hub, hub.tenant(tenant_id(hub, tenant)) as session:
        row = _find(session, name)
        version = session.get(MappingVersion, (row.id, number or row.version))
        if version is None:
            raise Refused(f"The mapping has no version {number}.")
        click.echo(version.source, nl=not version.source.endswith("\n"))


@mapping.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--name", required=True, help="An existing mapping gets a next version.")
@click.option("--connection", help="The connection's id; needed for a new mapping.")
@click.option("--note", default="", help="What changed, for other people.")
@_TENANT
@json_option
def import_command(
    file: str, name: str, connection: str | None, note: str, tenant: str | None, *, as_json: bool
) -> None:
    """Check FILE against the account's real fields, save it and publish it.

    Nothing is saved when it has an error.

    \b
    Example:
      afterbeep mapping import leads.yaml --name Leads --connection con_01jd3f6g7h8j9kamnbpcqdrset
    """
    from hub.cli.opening import opened, tenant_id

    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    with opened() as hub:
        mapping_id, number = _save(
            hub, tenant_id(hub, tenant), text, name=name, connection=connection, note=note
        )
    if as_json:
        put_json({"id": mapping_id, "version": number})
    else:
        say(f'"{name}" ({mapping_id}) is published as version {number}.')


@mapping.command()
@click.argument("name")
@click.argument("number", type=int)
@_TENANT
def publish(name: str, number: int, tenant: str | None) -> None:
    """Make version NUMBER of the mapping NAME the one that new events are planned by.

    \b
    Example:
      afterbeep mapping publish Leads 3
    """
    from hub.cli.opening import opened, tenant_id
    from hub.db import mappings

    with opened() as hub, hub.tenant(tenant_id(hub, tenant)) as session:
        row = _find(session, name)
        try:
            mappings.publish(session, row.id, number, actor="command")
        except LookupError as err:
            raise Refused(str(err)) from err
    say(f'Version {number} of "{row.name}" is published.')


@mapping.command()
@click.argument("connection_id", required=False)
@_TENANT
@click.option("--dry-run", is_flag=True, help="Only say what would be made.")
@click.option("--also", is_flag=True, help="Also when another account has its role already.")
@json_option
@click.pass_context
def playbook(
    ctx: click.Context,
    connection_id: str | None,
    tenant: str | None,
    *,
    dry_run: bool,
    also: bool,
    as_json: bool,
) -> None:
    """Set up the usual mappings of the tenant's trade for the account CONNECTION_ID, or for all accounts.

    They are checked against the account; doing it again changes nothing. Exit code 1 when one does not fit.

    \b
    Examples:
      afterbeep mapping playbook --dry-run
      afterbeep mapping playbook con_01jd3f6g7h8j9kamnbpcqdrset
    """
    from hub.cli.opening import opened, tenant_id
    from hub.db.mappings import NameTaken
    from hub.delivery import usual_mappings

    with opened() as hub:
        chosen = tenant_id(hub, tenant)
        wanted = [connection_id] if connection_id else _connections(hub, chosen)
        try:
            found = [
                usual_mappings.offers(hub, chosen, one, also=also)
                if dry_run
                else usual_mappings.set_up(hub, chosen, one, actor="command", also=also)
                for one in wanted
            ]
        except (LookupError, NameTaken) as err:
            raise Refused(str(err)) from None
    rows = [
        (one.name, ", ".join(one.buckets), ", ".join(one.objects), one.state, one.mapping_id)
        for each in found
        for one in each.items
    ]
    put_rows(("Name", "Buckets", "Objects", "State", "Mapping id"), rows, as_json=as_json)
    _tell(found)
    if any(one.state == "wrong" for each in found for one in each.items):
        ctx.exit(1)


def _tell(found: Sequence[Offers]) -> None:
    """Say what the table cannot: what is wrong, who else does it, and what nobody does."""
    for each in found:
        if each.taken_by:
            say(
                f"{each.connection_id}: {each.taken_by} does this already; --also makes both do it."
            )
        for one in each.items:
            for problem in one.problems:
                say(f"{one.name}: {problem.severity}: {problem}")
        for old in each.relieved:
            left = ", ".join(old.buckets)
            say(f"{old.name} is left with {left}." if left else f"{old.name} is turned off.")
    if found and found[-1].gaps:
        say(
            f"No account keeps a record of: {', '.join(found[-1].gaps)}. Connect a CRM or a help desk."
        )


def _connections(hub: Hub, tenant: str) -> list[str]:
    from sqlalchemy import select

    from hub.db.connections import Connection, Health

    with hub.tenant(tenant) as session:
        query = select(Connection.id).where(Connection.health != Health.DISCONNECTED.value)
        found = list(session.scalars(query.order_by(Connection.created_at, Connection.id)))
    if not found:
        raise Refused("No account is connected yet.")
    return found


def _find(session: TenantSession, name: str) -> FieldMapping:
    from sqlalchemy import or_, select

    from hub.db.mappings import FieldMapping

    row = session.scalars(
        select(FieldMapping).where(or_(FieldMapping.name == name, FieldMapping.id == name))
    ).one_or_none()
    if row is None:
        raise Refused(f'There is no mapping "{name}". See: afterbeep mapping list')
    return row


def _save(
    hub: Hub, tenant: str, text: str, *, name: str, connection: str | None, note: str
) -> tuple[str, int]:
    """Check and save a mapping; gives its id and the new version's number."""
    from hub.db import mappings
    from hub.delivery.checking import checked

    with hub.tenant(tenant) as session:
        try:
            row = _find(session, name)
        except Refused:
            row = None
    connection_id = connection or (row.connection_id if row else None)
    if connection_id is None:
        raise Refused("A new mapping needs --connection.")
    document, problems = checked(hub, tenant, connection_id, text)
    for problem in problems:
        say(f"{problem.severity}: {problem}")
    if document is None or any(problem.severity == "error" for problem in problems):
        raise Failed("Nothing was saved: the mapping has errors.")
    with hub.tenant(tenant) as session:
        try:
            saved = mappings.save(
                session,
                connection_id=connection_id,
                name=name if row is None else row.name,
                document=document,
                source=text,
                author="command",
                note=note,
                mapping_id=row.id if row else None,
            )
        except (LookupError, mappings.NameTaken) as err:
            raise Refused(str(err)) from err
    return saved.id, saved.version
