"""``afterbeep migrate``: the database's tables."""

from __future__ import annotations

import click

from hub.cli.output import json_option, put_json


@click.command()
@json_option
def migrate(*, as_json: bool) -> None:
    """Bring the database's tables up to date; may run while the previous release serves.

    \b
    Example:
      afterbeep migrate
    """
    from hub.cli.opening import opened
    from hub.db import migrate as tables

    with opened(needs_tables=False) as hub:
        applied = tables.migrate(hub.engine)
        current = tables.current(hub.engine)
    if as_json:
        put_json({"applied": applied, "revision": current})
    elif applied:
        click.echo(f"Applied {', '.join(reversed(applied))}.")
    else:
        click.echo("The tables are up to date.")
