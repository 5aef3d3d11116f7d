"""``afterbeep delivery``: what became of events. Sending again is in ``replays``."""

from __future__ import annotations

from typing import Any

import click

from hub.cli import replays
from hub.cli.output import json_option, put_json, put_rows
from hub.cli.problems import Refused
from hub.cli.replays import STATES, tenant_option


@click.group()
def delivery() -> None:
    """See deliveries and send them again."""


@delivery.command(name="list")
@tenant_option
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--connection", help="Only those of this connection.")
@click.option("--replay", help="Only those of this replay.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
def list_command(
    tenant: str | None,
    state: str | None,
    connection: str | None,
    replay: str | None,
    limit: int,
    *,
    as_json: bool,
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
    if replay:
        query = query.where(Delivery.replay_id == replay)
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
@tenant_option
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


for _command in (replays.replay, replays.replays, replays.cancel, replays.pause, replays.resume):
    delivery.add_command(_command)
