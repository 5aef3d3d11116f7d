"""Sending again from the command line: counted, asked about, watched, cancelled; and an account's pause."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from hub.cli.output import json_option, put_json, put_rows, say
from hub.cli.problems import Refused

if TYPE_CHECKING:
    from hub.context import Hub
    from hub.delivery.replay_cost import Estimate
    from hub.delivery.replays import Progress
    from hub.delivery.selection import Selection, Version

STATES = ("held", "waiting", "sending", "delivered", "parked", "rejected", "dropped")
tenant_option = click.option(
    "--tenant", help="The tenant's slug; may be left out when there is only one."
)
_TIME = click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"))
_LOOK_S = 0.4
#: So long nothing has to move before we wonder aloud.
_PATIENCE_S = 20.0


@click.command()
@click.argument("delivery_ids", nargs=-1)
@tenant_option
@click.option("--state", type=click.Choice(STATES), help="All in this state.")
@click.option("--connection", help="All of this connection.")
@click.option("--mapping", help="All of this mapping.")
@click.option("--since", type=_TIME, help="All changed at or after this time (UTC).")
@click.option("--until", type=_TIME, help="All changed before this time (UTC).")
@click.option(
    "--newest", is_flag=True, help="By the mapping's published version, not the kept one."
)
@click.option(
    "--version",
    "number",
    type=click.IntRange(1),
    help="By this version of the mapping that is given.",
)
@click.option("--dry-run", is_flag=True, help="Only count, and say what it would take.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--detach", is_flag=True, help="Do not watch it to its end.")
@json_option
def replay(  # noqa: PLR0917 - click passes options by name
    delivery_ids: tuple[str, ...],
    tenant: str | None,
    state: str | None,
    connection: str | None,
    mapping: str | None,
    since: datetime | None,
    until: datetime | None,
    number: int | None,
    *,
    newest: bool,
    dry_run: bool,
    yes: bool,
    detach: bool,
    as_json: bool,
) -> None:
    """Send deliveries again; what is at the vendor already is updated, never doubled.

    Counts first and asks. At least one of ids, state, connection, mapping or time must be given. On a terminal it
    shows how far it is; Ctrl-C asks whether to cancel.

    \b
    Examples:
      afterbeep delivery replay --state parked
      afterbeep delivery replay --mapping map_01jd3f6g7h8j9kamnbpcqdrset --version 3 --dry-run
      afterbeep delivery replay dlv_01jd3f6g7h8j9kamnbpcqdrset --newest --yes
    """
    from hub.cli.opening import opened, tenant_id
    from hub.db.deliveries import State
    from hub.delivery.selection import Selection

    if newest and number is not None:
        raise Refused("Say --newest or --version, not both.")
    selection = Selection(
        delivery_ids=delivery_ids,
        state=State(state) if state else None,
        connection_id=connection,
        mapping_id=mapping,
        since=_utc(since),
        until=_utc(until),
    )
    version: Version = number or ("newest" if newest else "kept")
    with opened() as hub:
        chosen = tenant_id(hub, tenant)
        found = _count(hub, chosen, selection, version)
        _tell(found, as_json=as_json, is_all=dry_run)
        if dry_run or not found.rows:
            return
        if not (yes or as_json):
            click.confirm(f"Send {found.rows:,} deliveries again?", abort=True, err=True)
        begun = _begin(hub, chosen, selection, version)
        if as_json:
            put_json({"deliveries": begun.marked, "replay": begun.id})
        elif detach or not sys.stderr.isatty():
            say(f"{begun.marked:,} deliveries wait to be sent again: {begun.id}")
        else:
            _watch(hub, chosen, begun)


def _count(hub: Hub, tenant: str, selection: Selection, version: Version) -> Estimate:
    from hub.delivery import replay_cost
    from hub.delivery.selection import NoSuchVersion, NotThere, TooWide

    try:
        return replay_cost.estimate(hub, tenant, selection, version)
    except (TooWide, NoSuchVersion, NotThere) as err:
        raise Refused(str(err)) from err


def _tell(found: Estimate, *, as_json: bool, is_all: bool) -> None:
    """Say what a replay would be: as JSON where nothing else is answered, for people otherwise."""
    if as_json:
        if is_all or not found.rows:
            put_json(
                {
                    "deliveries": found.rows,
                    "by_state": found.by_state,
                    "will_wait": found.will_wait,
                    "to_plan": found.to_plan,
                    "at_least_s": found.at_least_s,
                    "replay": None,
                }
            )
        return
    states = ", ".join(f"{number:,} {state}" for state, number in sorted(found.by_state.items()))
    say(f"{found.rows:,} deliveries{': ' if states else ''}{states}")
    for share in found.shares:
        units = ", ".join(f"{number:,} {name}" for name, number in sorted(share.units.items()))
        lasts = (
            f"at least {share.at_least_s:,.0f} s"
            if share.at_least_s is not None
            else share.problem or "nothing gets through"
        )
        say(f"  {share.label}: {share.rows:,} deliveries, {units or 'no limits'}, {lasts}")
    if found.will_wait:
        say(f"  {found.will_wait:,} of them wait for a step that has no record and is not chosen.")
    if found.to_plan:
        say(f"  {found.to_plan:,} events that led to nothing are planned anew.")


def _begin(hub: Hub, tenant: str, selection: Selection, version: Version) -> Progress:
    """Begin it and put all rows in, which needs no worker."""
    from hub.db.replays import ReplayState
    from hub.delivery import replay as replaying
    from hub.delivery import replays

    made = replaying.begin(hub, tenant, selection, version=version, actor="command")
    while (found := replays.progress(hub, tenant, made.id)).state is ReplayState.COUNTING:
        replays.advance(hub, tenant, made.id)
    return found


def _watch(hub: Hub, tenant: str, begun: Progress) -> None:
    """Show how far a replay is until it has ended, or only waits; Ctrl-C asks whether to cancel it."""
    from hub.delivery import replays

    with _interrupted() as stop:
        found = _follow(hub, tenant, begun, stop)
    if stop.is_set():
        click.echo(err=True)
        if not click.confirm("Cancel what is not sent yet?", err=True):
            say(f"It goes on: {begun.id}")
            return
        try:
            found = replays.cancel(hub, tenant, begun.id, actor="command")
        except replays.HasEnded as err:
            say(str(err))
            return
    for state, number in sorted(found.deliveries.items()):
        say(f"{number:,} {state}")
    if found.put_back:
        say(f"{found.put_back:,} are what they were before")
    if found.blocked:
        say(f"{found.blocked:,} wait for the record of another step; they go when it is there")


@contextlib.contextmanager
def _interrupted() -> Iterator[threading.Event]:
    """Give what Ctrl-C sets meanwhile, so that it breaks no query in the middle."""
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda _number, _frame: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _follow(hub: Hub, tenant: str, begun: Progress, stop: threading.Event) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from hub.delivery import replays

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("Sending again", total=begun.marked)
        moved_at, last, has_wondered = time.monotonic(), -1, False
        while True:
            found = replays.progress(hub, tenant, begun.id)
            done = found.settled + found.taken_over + found.put_back
            bar.update(task, completed=done, total=found.marked)
            is_stuck = found.open > 0 and found.open == found.blocked
            if found.ended_at is not None or is_stuck or stop.wait(_LOOK_S):
                return found
            if done != last:
                moved_at, last = time.monotonic(), done
            elif not has_wondered and time.monotonic() - moved_at > _PATIENCE_S:
                has_wondered = True
                bar.console.print(
                    "Nothing has moved for a while: live deliveries or a limit go first, or no worker runs"
                    " (afterbeep up)."
                )


@click.command()
@tenant_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1_000))
@json_option
def replays(tenant: str | None, limit: int, *, as_json: bool) -> None:
    """List replays, newest first.

    \b
    Example:
      afterbeep delivery replays
    """
    from hub.cli.opening import opened, tenant_id
    from hub.delivery import replays as replaying

    with opened() as hub:
        found = replaying.latest(hub, tenant_id(hub, tenant), size=limit)
    rows = [
        (one.id, one.state.value, one.marked, one.open, one.settled, one.put_back, one.created_at)
        for one in found
    ]
    columns = ("Id", "State", "Deliveries", "Open", "Settled", "Put back", "Begun")
    put_rows(columns, rows, as_json=as_json)


@click.command()
@click.argument("replay_id")
@tenant_option
@json_option
def cancel(replay_id: str, tenant: str | None, *, as_json: bool) -> None:
    """Cancel the replay REPLAY_ID: what still waits is what it was before; what is being sent goes on.

    \b
    Example:
      afterbeep delivery cancel rpl_01jd3f6g7h8j9kamnbpcqdrset
    """
    from hub.cli.opening import opened, tenant_id
    from hub.delivery import replays as replaying

    with opened() as hub:
        try:
            found = replaying.cancel(hub, tenant_id(hub, tenant), replay_id, actor="command")
        except (replaying.NoSuchReplay, replaying.HasEnded) as err:
            raise Refused(str(err)) from err
    if as_json:
        put_json({"replay": found.id, "put_back": found.put_back, "deliveries": found.deliveries})
    else:
        say(f"{found.put_back:,} deliveries are what they were before; {found.open:,} go on.")


@click.command()
@click.argument("connection_id")
@tenant_option
def pause(connection_id: str, tenant: str | None) -> None:
    """Stop sending on the connection CONNECTION_ID; its deliveries wait.

    \b
    Example:
      afterbeep delivery pause con_01jd3f6g7h8j9kamnbpcqdrset
    """
    _steer(connection_id, tenant, is_pause=True)
    say("Paused. Deliveries wait; nothing is lost.")


@click.command()
@click.argument("connection_id")
@tenant_option
def resume(connection_id: str, tenant: str | None) -> None:
    """Send on the connection CONNECTION_ID again, at once.

    \b
    Example:
      afterbeep delivery resume con_01jd3f6g7h8j9kamnbpcqdrset
    """
    _steer(connection_id, tenant, is_pause=False)
    say("Resumed.")


def _steer(connection_id: str, tenant: str | None, *, is_pause: bool) -> None:
    from sqlalchemy.exc import NoResultFound

    from hub.cli.opening import opened, tenant_id
    from hub.delivery import steer

    with opened() as hub:
        change = steer.pause if is_pause else steer.resume
        try:
            change(hub, tenant_id(hub, tenant), connection_id, actor="command")
        except NoResultFound as err:
            raise Refused(f"There is no connection {connection_id}.") from err


def _utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
