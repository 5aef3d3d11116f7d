"""``afterbeep tenant``: the companies whose missed calls are logged."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, available_timezones

import click

from hub.cli.output import json_option, put_json, put_rows
from hub.cli.problems import Refused
from hub.cli.telephone import number, voice

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,62}\Z")


@click.group()
def tenant() -> None:
    """Create and list tenants, and set how their calls are held."""


tenant.add_command(voice)
tenant.add_command(number)


@tenant.command()
@click.argument("name")
@click.option("--slug", help="Its short name in commands; made from NAME when not given.")
@click.option("--timezone", default="UTC", show_default=True, help="Such as America/New_York.")
@click.option("--vertical", default="sales", show_default=True, help="Its trade.")
@click.option("--phi", is_flag=True, help="It handles health data: redact, and keep logs bare.")
@json_option
def create(
    name: str, slug: str | None, timezone: str, vertical: str, *, phi: bool, as_json: bool
) -> None:
    """Create the tenant NAME.

    \b
    Example:
      afterbeep tenant create "Harbor Home Services" --timezone America/New_York --vertical home_services
    """
    from sqlalchemy import select

    from hub.cli.opening import opened
    from hub.db import audit
    from hub.db.tenants import Tenant
    from mappings.presets import VERTICALS

    slug = slug or re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not _SLUG.match(slug):
        raise Refused(f'"{slug}" cannot be a slug: use a-z, 0-9 and -, at least two characters.')
    if timezone not in available_timezones():
        raise Refused(f'There is no time zone "{timezone}"; it is such as America/New_York.')
    if vertical not in VERTICALS:
        raise Refused(f'There is no trade "{vertical}". There are: {", ".join(VERTICALS)}.')
    with opened() as hub:
        with hub.everyone("a new tenant") as session:
            if session.scalars(select(Tenant.id).where(Tenant.slug == slug)).first():
                raise Refused(f'There is a tenant "{slug}" already.')
            row = Tenant(
                slug=slug, name=name, timezone=ZoneInfo(timezone).key, vertical=vertical, is_phi=phi
            )
            session.add(row)
            session.flush()
            tenant_id = row.id
        with hub.tenant(tenant_id) as session:
            audit.record(session, actor="command", action="tenant.created", target=tenant_id)
    if as_json:
        put_json({"id": tenant_id, "slug": slug, "name": name})
    else:
        click.echo(f"Created {slug} ({tenant_id}).")


@tenant.command(name="list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List all tenants.

    \b
    Example:
      afterbeep tenant list --json
    """
    from sqlalchemy import select

    from hub.cli.opening import opened
    from hub.db.tenants import Tenant

    with opened() as hub, hub.everyone("a list of all tenants") as session:
        rows = [
            (row.slug, row.id, row.name, row.vertical, row.timezone)
            for row in session.scalars(select(Tenant).order_by(Tenant.slug))
        ]
    put_rows(("Slug", "Id", "Name", "Vertical", "Timezone"), rows, as_json=as_json)


@tenant.command()
@click.argument("slug", required=False)
@click.option("--urgency", type=click.IntRange(0, 100), help="The least score that is held.")
@click.option("--off", is_flag=True, help="Hold only what a mapping itself wants approved.")
@click.option("--pages/--no-pages", default=None, help="Whether pages are held too.")
@json_option
def approval(
    slug: str | None, urgency: int | None, *, off: bool, pages: bool | None, as_json: bool
) -> None:
    """Show or set from which urgency on a person approves first what the tenant SLUG's mappings do.

    Pages are not held unless --pages says so: a page that waits for somebody to look wakes nobody.

    \b
    Examples:
      afterbeep tenant approval harbor
      afterbeep tenant approval harbor --urgency 80
    """
    from hub.cli.opening import opened, tenant_id
    from hub.delivery import gate

    if off and urgency is not None:
        raise Refused("Say --urgency or --off, not both.")
    with opened() as hub:
        chosen = tenant_id(hub, slug)
        found = gate.gate(hub, chosen)
        least = None if off else found.urgency_at_least if urgency is None else urgency
        wanted = gate.Gate(least, found.pages if pages is None else pages)
        if wanted != found:
            gate.set_gate(hub, chosen, wanted, actor="command")
    if as_json:
        put_json({"urgency_at_least": wanted.urgency_at_least, "approve_pages": wanted.pages})
    elif wanted.urgency_at_least is None:
        click.echo("Only what a mapping itself wants approved is held.")
    else:
        held = "Everything" if wanted.pages else "Everything but pages"
        click.echo(f"{held} is held from urgency {wanted.urgency_at_least} on.")
