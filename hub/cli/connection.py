"""``afterbeep connection``: the tenants' accounts, and what is set for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from hub.cli.output import json_option, put_json, put_rows, say
from hub.cli.problems import Refused

if TYPE_CHECKING:
    from connectors.record import Setting
    from hub.context import Hub
    from hub.db.connections import Connection
    from hub.delivery.steer import Change

_TENANT = click.option(
    "--tenant", help="The tenant's slug; may be left out when there is only one."
)


@click.group()
def connection() -> None:
    """See accounts, and what is set for them."""


@connection.command(name="list")
@_TENANT
@json_option
def list_command(tenant: str | None, *, as_json: bool) -> None:
    """List connections, oldest first.

    \b
    Example:
      afterbeep connection list
    """
    from sqlalchemy import select

    from hub.cli.opening import opened, tenant_id
    from hub.db.connections import Connection

    with opened() as hub, hub.tenant(tenant_id(hub, tenant)) as session:
        rows = [
            (row.id, row.connector, row.label, row.state.value, row.account_name, row.health_reason)
            for row in session.scalars(select(Connection).order_by(Connection.created_at))
        ]
    put_rows(("Id", "Connector", "Label", "State", "Account", "Reason"), rows, as_json=as_json)


@connection.command()
@click.argument("connection_id")
@_TENANT
@json_option
def show(connection_id: str, tenant: str | None, *, as_json: bool) -> None:
    """Show what is set for the connection CONNECTION_ID, and what can be.

    \b
    Example:
      afterbeep connection show con_01jd3f6g7h8j9kamnbpcqdrset
    """
    from hub.cli.opening import opened, tenant_id
    from hub.delivery import configure
    from hub.delivery.remote_account import AccountKey

    with opened() as hub:
        row = _find(hub, tenant_id(hub, tenant), connection_id)
        key = AccountKey.of(row, hub.settings.account_share)
    settings = [
        (one.name, row.settings.get(one.name), one.default, one.help)
        for one in configure.settings_of(row.connector)
    ]
    share = row.budget.get("share")
    settings.append(("share", share, key.share, "The part of the account's limits that we use."))
    settings += [
        (f"grants.{name}", units, None, "Units of this limit that are ours, whatever the share.")
        for name, units in key.grants.items()
    ]
    if as_json:
        lines = [
            {"name": name, "value": value, "default": default}
            for name, value, default, _ in settings
        ]
        put_json({"id": row.id, "label": row.label, "state": row.state.value, "settings": lines})
        return
    say(f"{row.label}: {row.state.value}")
    rows = [(name, _shown(value), _shown(default), text) for name, value, default, text in settings]
    put_rows(("Name", "Set to", "Default", "What it is"), rows, as_json=False)


@connection.command(name="set")
@click.argument("connection_id")
@click.argument("assignments", nargs=-1, required=False, metavar="NAME=VALUE...")
@click.option("--label", help="A new name for the connection.")
@_TENANT
def set_command(
    connection_id: str, assignments: Sequence[str], label: str | None, tenant: str | None
) -> None:
    """Set NAME=VALUE for the connection CONNECTION_ID; NAME= goes back to the default.

    Values other than plain text are JSON. share and grants.LIMIT say how much of the account's limits is ours.

    \b
    Examples:
      afterbeep connection set con_01jd3f6g7h8j9kamnbpcqdrset calendar=crew@harbor.example slot_minutes=15
      afterbeep connection set con_01jd3f6g7h8j9kamnbpcqdrset 'quiet_hours={"start": "20:00", "end": "08:00"}'
      afterbeep connection set con_01jd3f6g7h8j9kamnbpcqdrset share=0.5 grants.requests=3000
    """
    from connectors.errors import ConnectorError
    from hub.cli.opening import opened, tenant_id
    from hub.delivery import configure, describe, steer

    if not assignments and label is None:
        raise Refused("Say what to set: NAME=VALUE, or --label.")
    with opened() as hub:
        chosen = tenant_id(hub, tenant)
        row = _find(hub, chosen, connection_id)
        change = _change(configure.settings_of(row.connector), assignments, label)
        try:
            steer.configure(hub, chosen, connection_id, change, actor="command")
        except steer.WrongSettings as err:
            raise Refused(
                "Nothing was changed.\n" + "\n".join(one.detail for one in err.problems)
            ) from None
        try:
            todos = describe.prepare(hub, chosen, connection_id, actor="command")
        except ConnectorError as err:
            say(f"It is set. The account could not be asked whether it fits: {err.detail}")
            return
    say("It is set.")
    for todo in todos:
        say(f"To do: {todo.title}: {todo.how}")


def _find(hub: Hub, tenant_id: str, connection_id: str) -> Connection:
    from sqlalchemy import select

    from hub.db.connections import Connection

    with hub.tenant(tenant_id) as session:
        row = session.scalars(
            select(Connection).where(Connection.id == connection_id)
        ).one_or_none()
    if row is None:
        raise Refused(f"There is no connection {connection_id}.")
    return row


def _change(known: Sequence[Setting], assignments: Sequence[str], label: str | None) -> Change:
    """Read NAME=VALUE: text as it is where the setting is text, JSON elsewhere."""
    from hub.delivery.steer import Change

    texts = {one.name for one in known if one.kind in {"text", "choice"}}
    settings: dict[str, Any] = {}
    budget: dict[str, Any] = {}
    grants: dict[str, Any] = {}
    for one in assignments:
        name, sign, text = one.partition("=")
        if not sign or not name:
            raise Refused(f'"{one}" is not NAME=VALUE.')
        value = _read(name, text, is_text=name in texts)
        group, _, limit = name.partition(".")
        if name == "share":
            budget["share"] = value
        elif group == "grants":
            grants[limit] = value
        else:
            settings[name] = value
    return Change(label, settings, budget | ({"grants": grants} if grants else {}))


def _read(name: str, text: str, *, is_text: bool) -> Any:
    if not text:
        return None
    if is_text:
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise Refused(f'The value of {name} must be JSON, such as 30, true or ["a"].') from None


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value)
