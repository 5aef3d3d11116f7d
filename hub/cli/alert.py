"""``afterbeep alert``: what tenants were told of their connections, and a test of the ways to them."""

from __future__ import annotations

import click

from hub.cli.output import json_option, put_rows, say
from hub.cli.problems import Refused

_TENANT = click.option(
    "--tenant", help="The tenant's slug; may be left out when there is only one."
)


@click.group()
def alert() -> None:
    """See what a tenant was told, and try whether it arrives."""


@alert.command(name="list")
@_TENANT
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
@json_option
def list_command(tenant: str | None, limit: int, *, as_json: bool) -> None:
    """List alerts, newest first, with how many of those who are told it reached.

    \b
    Example:
      afterbeep alert list --tenant harbor
    """
    from sqlalchemy import func, select

    from hub.cli.opening import opened, tenant_id
    from hub.db.alerts import Alert, AlertSending, SendingState

    arrived = func.count().filter(AlertSending.state == SendingState.SENT.value)
    with opened() as hub, hub.tenant(tenant_id(hub, tenant)) as session:
        found = session.execute(
            select(Alert, arrived, func.count(AlertSending.id))
            .outerjoin(AlertSending, AlertSending.alert_id == Alert.id)
            .group_by(Alert.id)
            .order_by(Alert.id.desc())
            .limit(limit)
        ).all()
    rows = [
        (row.created_at, row.type, row.connection_id, row.reason, sent, told)
        for row, sent, told in found
    ]
    put_rows(("At", "Type", "Connection", "Reason", "Arrived", "Told"), rows, as_json=as_json)


@alert.command()
@click.argument("webhook_id")
@_TENANT
@click.pass_context
def test(ctx: click.Context, webhook_id: str, tenant: str | None) -> None:
    """Send the webhook WEBHOOK_ID a test, at once; exit code 1 when it does not arrive.

    \b
    Example:
      afterbeep alert test whk_01jd3f6g7h8j9kamnbpcqdrset
    """
    from hub.alerts import endpoints, send
    from hub.cli.opening import opened, tenant_id
    from hub.db.base import now

    with opened() as hub:
        try:
            row = endpoints.test(hub, tenant_id(hub, tenant), webhook_id, actor="command")
        except (endpoints.UnknownEndpoint, endpoints.WrongEndpoint) as err:
            raise Refused(str(err)) from None
        last = send.send_one(hub, row.tenant_id, row.id, now())
    if last is None:
        say("Another process sends it now; its log says what comes of it.")
        return
    if last["problem"]:
        say(f"It did not arrive. {last['problem']} It is tried again.")
        ctx.exit(1)
    click.echo(f"It arrived: {last['status']} in {last['ms']:.0f} ms.")
