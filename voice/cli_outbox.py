"""The command ``afterbeep outbox``: finished calls that the hub has not taken."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from voice.settings import SettingsProblem, load
from voice.spool import Spool, Waiting

_LIST_EXAMPLES = """\b
Examples:
  afterbeep outbox list
  afterbeep outbox list --parked --json
"""
_RETRY_EXAMPLES = """\b
Examples:
  afterbeep outbox retry CA1f2e3d4c5b6a79881726354453627180
  afterbeep outbox retry --parked
"""


@click.group()
def outbox() -> None:
    """See finished calls that the hub has not taken, and try them again.

    They are in the folder "outbox" of AFTERBEEP_DATA_DIR. What was said in them is sealed and is not shown.
    """


@outbox.command(name="list", epilog=_LIST_EXAMPLES)
@click.option("--parked", is_flag=True, help="Only those that the hub refused for good.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_command(*, parked: bool, as_json: bool) -> None:
    """List the calls, oldest first: what is left to send, attempts, and why it was not taken."""
    for one in _spool().waiting():
        if parked and one.state.parked is None:
            continue
        shown = _shown(one)
        if as_json:
            click.echo(json.dumps(shown))
            continue
        state = "parked" if one.state.parked else "waits"
        why = one.state.parked or one.state.problem or ""
        left = ",".join(shown["left"])
        click.echo(f"{one.name}  {shown['at']}  {state}  {left}  {one.state.attempts}  {why}")


@outbox.command(epilog=_RETRY_EXAMPLES)
@click.argument("calls", nargs=-1)
@click.option("--parked", is_flag=True, help="All that the hub refused.")
@click.option("--all", "everything", is_flag=True, help="All that are there.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def retry(calls: tuple[str, ...], *, parked: bool, everything: bool, as_json: bool) -> None:
    """Let calls be tried again now; a running voice service does so within seconds."""
    if not (calls or parked or everything):
        raise click.UsageError("Name calls, or say --parked or --all.")
    spool = _spool()
    waiting = {one.name: one for one in spool.waiting()}
    missing = [name for name in calls if name not in waiting]
    if missing:
        raise click.UsageError(f"Not in the outbox: {', '.join(missing)}.")
    chosen = [
        one
        for one in waiting.values()
        if one.name in calls or everything or (parked and one.state.parked)
    ]
    held = [one.name for one in chosen if not _again(spool, one)]
    done = [one.name for one in chosen if one.name not in held]
    if as_json:
        click.echo(json.dumps({"again": done, "in_work": held}))
        return
    click.echo(f"{len(done)} will be tried again.")
    if held:
        click.echo(f"{len(held)} are being sent just now.", err=True)


def _again(spool: Spool, one: Waiting) -> bool:
    with spool.held(one.name) as is_mine:
        if is_mine:
            one.state.parked, one.state.due, one.state.attempts = None, 0.0, 0
            spool.note(one.name, one.state)
        return is_mine


def _spool() -> Spool:
    try:
        folder: Path = load().data_dir / "outbox"
    except SettingsProblem as err:
        raise click.UsageError(str(err)) from err
    return Spool(folder)


def _shown(one: Waiting) -> dict[str, Any]:
    return {
        "name": one.name,
        "call_id": one.call_id,
        "tenant_id": one.tenant_id,
        "at": datetime.fromtimestamp(one.at, UTC).isoformat(timespec="seconds"),
        "left": [step.split("-")[1] for step in one.steps],
        "attempts": one.state.attempts,
        "due": datetime.fromtimestamp(one.state.due, UTC).isoformat(timespec="seconds"),
        "parked": one.state.parked,
        "problem": one.state.problem,
    }
