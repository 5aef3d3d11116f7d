"""The command ``afterbeep call``: plays calls that are written down, and runs the tools of finished ones again."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from voice.profile import LineKind

if TYPE_CHECKING:
    from voice.scenario.document import Scenario
    from voice.scenario.real_hub import RealHub

_EXAMPLES = """\b
Examples:
  afterbeep call --list
  afterbeep call --script lead_all_at_once
  afterbeep call --script my-call.yaml --line openai --json
  afterbeep call --all
  afterbeep call --script my-call.yaml --hub http://127.0.0.1:8080 --number +14155550100
  afterbeep call --replay CA1f2e3d4c5b6a79881726354453627180 --number +14155550100

\b
Exit codes: 0 everything holds, 1 something does not, 2 a file or an option is wrong.
How a call is written down: voice/scenarios/README.md.
"""


class Wrong(click.ClickException):
    """What was asked for cannot be done: exit code 2."""

    exit_code = 2


@click.command(epilog=_EXAMPLES)
@click.option(
    "--script",
    "scripts",
    multiple=True,
    metavar="FILE",
    help="A scenario's file, or the name of one that is shipped.",
)
@click.option("--all", "plays_all", is_flag=True, help="Play all shipped scenarios.")
@click.option("--list", "lists", is_flag=True, help="List the shipped scenarios.")
@click.option("--replay", metavar="CALL_ID", help="Run a finished call's tool calls again.")
@click.option(
    "--line",
    type=click.Choice([one.value for one in LineKind]),
    help="Hold the call on this line instead.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a call.")
@click.option("--hub", "hub_url", help="Give the event to this hub; with --replay: ask this one.")
@click.option(
    "--token", envvar="AFTERBEEP_VOICE_TOKEN", help="The voice service's token at the hub."
)
@click.option(
    "--key",
    envvar="AFTERBEEP_API_KEY",
    help="An API key that may read events: shows what landed where.",
)
@click.option(
    "--number",
    default="+14155550100",
    show_default=True,
    help="The number that is dialled at the hub.",
)
@click.option("--caller", help="With --replay: the number that the call came from.")
def call(
    *,
    scripts: tuple[str, ...],
    plays_all: bool,
    lists: bool,
    replay: str | None,
    line: str | None,
    as_json: bool,
    hub_url: str | None,
    token: str | None,
    key: str | None,
    number: str,
    caller: str | None,
) -> None:
    """Play calls that are written down, on a telephone network in miniature.

    The voice service itself takes the call; Twilio and the models are sandboxes, and time passes only when
    everybody waits. Shown are the call as it was heard, what was captured of it, and whether all that the file
    expects holds. Nothing leaves this machine but what --hub says.
    """
    if not structlog.is_configured():
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if lists:
        _list(as_json=as_json)
    elif replay:
        _replay(replay, url=hub_url, token=token, number=number, caller=caller, as_json=as_json)
    else:
        hub = _hub(hub_url, token, key)
        _play_all(
            _scenarios(scripts, plays_all=plays_all),
            line=LineKind(line) if line else None,
            hub=hub,
            number=number,
            as_json=as_json,
        )


def _list(*, as_json: bool) -> None:
    from voice.scenario.document import load, shipped  # noqa: PLC0415 - --help need not load it

    for file in shipped():
        found = load(file)
        about = list(found.about)
        if as_json:
            click.echo(json.dumps({"name": file.stem, "title": found.title, "about": about}))
        else:
            click.echo(f"{file.stem:32} {found.title} ({', '.join(about)})")


def _scenarios(scripts: Sequence[str], *, plays_all: bool) -> list[tuple[str, Scenario]]:
    """Read all files before the first is played; tells of all that are wrong at once."""
    from voice.scenario.document import BadScenario, load, shipped  # noqa: PLC0415 - see above

    if not (scripts or plays_all):
        raise click.UsageError("Name a scenario with --script FILE, or say --all or --list.")
    known = {file.stem: file for file in shipped()}
    files = [known.get(name, Path(name)) for name in scripts]
    if plays_all:
        files += [file for file in known.values() if file not in files]
    found, wrong = [], []
    for file in files:
        try:
            found.append((file.stem, load(file)))
        except BadScenario as err:
            wrong.append(str(err))
    if wrong:
        raise Wrong("\n".join(wrong))
    return found


def _hub(url: str | None, token: str | None, key: str | None) -> RealHub | None:
    from voice.scenario.real_hub import RealHub  # noqa: PLC0415 - see above

    if url is None:
        return None
    if not token:
        raise click.UsageError("--hub needs --token, or AFTERBEEP_VOICE_TOKEN.")
    return RealHub(url, token, key)


def _play_all(
    scenarios: Sequence[tuple[str, Scenario]],
    *,
    line: LineKind | None,
    hub: RealHub | None,
    number: str,
    as_json: bool,
) -> None:
    from rich.console import Console  # noqa: PLC0415 - see above

    from voice.scenario.judge import problems  # noqa: PLC0415
    from voice.scenario.play import play  # noqa: PLC0415
    from voice.scenario.real_hub import NoAnswer  # noqa: PLC0415
    from voice.scenario.telling import data, show  # noqa: PLC0415

    console, failed = Console(), []
    profile = asyncio.run(_profile(hub.url, hub.token, number)) if hub else None
    if profile and line:
        profile = profile.model_copy(update={"line": line})
    with _redis() as redis_url, _progress(len(scenarios), as_json=as_json) as advance:
        for name, scenario in scenarios:
            try:
                played = play(scenario, redis_url=redis_url, line=line, profile=profile, hub=hub)
            except NoAnswer as err:
                raise click.ClickException(str(err)) from err
            wrong = problems(played)
            failed += [name] if wrong else []
            advance()
            if as_json:
                click.echo(json.dumps(data(name, played, wrong), ensure_ascii=False))
            elif wrong or len(scenarios) == 1:
                show(console, name, played, wrong)
    if not as_json and len(scenarios) > 1:
        told = f", but {', '.join(failed)}" if failed else ""
        console.print(f"{len(scenarios) - len(failed)} of {len(scenarios)} calls hold{told}.")
    if failed:
        raise SystemExit(1)


@contextmanager
def _redis() -> Iterator[str]:
    """Give the Redis of the settings, or one of our own for as long as it takes."""
    if url := os.environ.get("AFTERBEEP_REDIS_URL"):
        yield url
        return
    from voice.sandbox.redis import running  # noqa: PLC0415 - where it is not used it need not be there

    with running() as url:
        yield url


@contextmanager
def _progress(total: int, *, as_json: bool) -> Iterator[Callable[[], None]]:
    """Show how far several calls are, on a terminal."""
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import Progress  # noqa: PLC0415

    told = Console(stderr=True)
    if total == 1 or as_json or not told.is_terminal:
        yield lambda: None
        return
    with Progress(console=told, transient=True) as progress:
        task = progress.add_task("Calls", total=total)
        yield lambda: progress.advance(task)


async def _profile(url: str, token: str, number: str) -> Any:
    from voice.hub_api import HubApi, HubError  # noqa: PLC0415 - see above

    api = HubApi(url, token)
    try:
        found = await api.profile(number)
    except HubError as err:
        raise click.ClickException(f"{err}".capitalize() + ".") from err
    finally:
        await api.close()
    if found is None:
        raise Wrong(f"At this hub nobody has the number {number}; see `afterbeep tenant number`.")
    return found


def _replay(
    call_id: str,
    *,
    url: str | None,
    token: str | None,
    number: str,
    caller: str | None,
    as_json: bool,
) -> None:
    from voice.hub_api import HubError  # noqa: PLC0415 - see above

    url = url or os.environ.get("AFTERBEEP_HUB_URL") or "http://127.0.0.1:8080"
    if not token:
        raise click.UsageError("--replay needs --token, or AFTERBEEP_VOICE_TOKEN.")
    try:
        found = asyncio.run(_replayed(call_id, url, token, number, caller))
    except HubError as err:
        raise click.ClickException(f"{err}".capitalize() + ".") from err
    if not found:
        raise Wrong("No tool calls of such a call are kept.")
    for one in found:
        was = {"result": one.was.result, "error": one.was.error}
        now = {"result": one.now.result, "error": one.now.error}
        if as_json:
            about = {"number": one.number, "tool": one.tool, "is_same": one.is_same}
            click.echo(json.dumps({**about, "was": was, "now": now}, ensure_ascii=False))
            continue
        click.echo(f"{one.number:3} {one.tool:16} {'same' if one.is_same else 'differs'}")
        if not one.is_same:
            click.echo(f"      was {json.dumps(was, ensure_ascii=False)}")
            click.echo(f"      now {json.dumps(now, ensure_ascii=False)}")
    if not all(one.is_same for one in found):
        raise SystemExit(1)


async def _replayed(
    call_id: str, url: str, token: str, number: str, caller: str | None
) -> list[Any]:
    from voice.hub_api import HubApi  # noqa: PLC0415 - see above
    from voice.scenario.replaying import replayed  # noqa: PLC0415

    profile = await _profile(url, token, number)
    api = HubApi(url, token)
    try:
        return list(await replayed(api, profile, call_id, caller=caller))
    finally:
        await api.close()
