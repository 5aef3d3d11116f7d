"""``afterbeep ledger``: the proof that nothing is lost and nothing twice."""

from __future__ import annotations

import click

from hub.cli.output import json_option, put_json, put_rows, say


@click.command()
@click.option("--tenant", help="A tenant's slug; all tenants when not given.")
@json_option
@click.pass_context
def ledger(ctx: click.Context, tenant: str | None, *, as_json: bool) -> None:
    """Count events, deliveries and records, and prove that the sums agree.

    Exit code 1 when they do not; what is wrong is said.

    \b
    Examples:
      afterbeep ledger
      afterbeep ledger --tenant harbor --json
    """
    from hub.cli.opening import opened, tenant_id
    from hub.delivery.ledger import ledger as count

    with opened() as hub:
        found = count(hub, tenant_id(hub, tenant) if tenant else None)
    if as_json:
        put_json(
            {
                "events": found.events,
                "deliveries": found.deliveries,
                "records": found.records,
                "problems": list(found.problems),
                "ledger_ok": found.is_ok,
            }
        )
    else:
        rows = [("events", "accepted", found.events)]
        rows += [("deliveries", state, number) for state, number in found.deliveries.items()]
        rows += [("records", connector, number) for connector, number in found.records.items()]
        put_rows(("What", "Which", "Number"), rows, as_json=False)
        for problem in found.problems:
            say(f"Wrong: {problem}")
        say("The sums agree." if found.is_ok else "The sums do not agree.")
    if not found.is_ok:
        ctx.exit(1)
