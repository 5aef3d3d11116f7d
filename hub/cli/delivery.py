"""``afterbeep delivery``: what became of events, and sending again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from hub.cli.output import json_option, put_json, put_rows, say
from hub.cli.problems import Refused

_STATES = ("held", "waiting", "sending", "delivered", "parked", "rejected", "dropped")
_TENANT = click.option(
    "--tenant", help="The tenant's slug; may be left out when there is only one."
)
_TIME = click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"))


@click.group()
def delivery() -> None:
    """See deliveries and send them again."""


@delivery.command(name="list")
@_TENANT
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state.")
@click.option("--connection", help="Only those of this connection.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
def list_command(
    tenant: str | None, state: str | None, connection: str | None, limit: int, *, as_json: bool
) -> None:
    """List deliveries, newest first.

    \b
    Example:
      afterbeep delivery list --state parked
    """
    from sqlalchemy import select

    from hub.cli.opening import opened, tenant_id
    from hub.db.deliveries import Delivery

    query = select(Delivery).order_by(Delivery.id.desc()).limit(limit)
    if state:
        query = query.where(Delivery.state == state)
    if connection:
        query = query.where(Delivery.connection_id == connection)
    with opened() as hub, hub.tenant(tenant_id(hub, tenant)) as session:
        rows = [
            (row.id, row.state, row.object, row.step, row.attempts, row.record_url, row.reason)
            for row in session.scalars(query)
        ]
    put_rows(
        ("Id", "State", "Object", "Step", "Attempts", "Record URL", "Reason"),
        rows,
        as_json=as_json,
    )


@delivery.command()
@click.argument("delivery_id")
@_TENANT
@json_option
def show(delivery_id: str, tenant: str | None, *, as_json: bool) -> None:
    """Show the delivery DELIVERY_ID and its attempts.

    \b
    Example:
      afterbeep delivery show dlv_01jd3f6g7h8j9kamnbpcqdrset
    """
    from sqlalchemy import select

    from hub.cli.opening import opened, tenant_id
    from hub.db.deliveries import Attempt, Delivery

    with opened() as hub:
        chosen = tenant_id(hub, tenant)
        with hub.tenant(chosen) as session:
            row = session.scalars(select(Delivery).where(Delivery.id == delivery_id)).one_or_none()
            if row is None:
                raise Refused(f"There is no delivery {delivery_id}.")
            attempts = session.scalars(
                select(Attempt).where(Attempt.delivery_id == delivery_id).order_by(Attempt.id)
            ).all()
        detail = (
            hub.vault.open_text(chosen, row.detail, about=f"deliveries.detail:{row.id}")
            if row.detail
            else None
        )
    facts: dict[str, Any] = {
        name: getattr(row, name)
        for name in (
            *("id", "state", "event_id", "connection_id", "mapping_id", "mapping_version"),
            *("step", "object", "key", "due_at", "record_id", "record_url", "delivered_at"),
            *("reason", "reason_path"),
        )
    }
    facts["detail"] = detail
    tries = [
        {"at": one.at, "outcome": one.outcome, "status": one.status, "code": one.code, "ms": one.ms}
        for one in attempts
    ]
    if as_json:
        put_json({**facts, "attempts": tries})
        return
    put_rows(("What", "Value"), list(facts.items()), as_json=False)
    if tries:
        click.echo()
        put_rows(
            ("At", "Outcome", "Status", "Code", "Ms"),
            [tuple(one.values()) for one in tries],
            as_json=False,
        )


@delivery.command()
@click.argument("delivery_ids", nargs=-1)
@_TENANT
@click.option("--state", type=click.Choice(_STATES), help="All in this state.")
@click.option("--connection", help="All of this connection.")
@click.option("--mapping", help="All of this mapping.")
@click.option("--since", type=_TIME, help="All changed at or after this time (UTC).")
@click.option("--until", type=_TIME, help="All changed before this time (UTC).")
@click.option(
    "--newest", is_flag=True, help="By the mapping's published version, not the kept one."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def replay(  # noqa: PLR0917 - click passes options by name
    delivery_ids: tuple[str, ...],
    tenant: str | None,
    state: str | None,
    connection: str | None,
    mapping: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    newest: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send deliveries again; what is at the vendor already is updated, never doubled.

    Counts first and asks. At least one of ids, state, connection, mapping or time must be given.

    \b
    Examples:
      afterbeep delivery replay --state parked
      afterbeep delivery replay dlv_01jd3f6g7h8j9kamnbpcqdrset --newest --yes
    """
    from hub.cli.opening import opened, tenant_id
    from hub.db.deliveries import State
    from hub.delivery import replay as replaying

    selection = replaying.Selection(
        delivery_ids=delivery_ids,
        state=State(state) if state else None,
        connection_id=connection,
        mapping_id=mapping,
        since=_utc(since),
        until=_utc(until),
    )
    with opened() as hub:
        chosen = tenant_id(hub, tenant)
        try:
            number = replaying.count(hub, chosen, selection)
        except replaying.TooWide as err:
            raise Refused(str(err)) from err
        if number and not (yes or as_json):
            click.confirm(f"Send {number} deliveries again?", abort=True, err=True)
        sent = (
            replaying.replay(
                hub,
                chosen,
                selection,
                version="newest" if newest else "kept",
                actor="command",
            )
            if number
            else 0
        )
    if as_json:
        put_json({"deliveries": sent})
    else:
        say(f"{sent} deliveries wait to be sent again.")


def _utc(moment: datetime | None) -> datetime | None:
    from datetime import UTC

    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
