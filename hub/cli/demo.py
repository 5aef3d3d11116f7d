"""``afterbeep demo``: from nothing to records that a person can look at."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.cli.output import json_option, put_json
from hub.cli.problems import Failed

if TYPE_CHECKING:
    from rich.console import Console

    from hub.processes import Supervisor


#: Characters in a line of a log file, where no terminal says how many fit.
_WIDTH = 240


@click.command()
@click.option("--once", is_flag=True, help="Stop everything and exit when all has landed.")
@json_option
@click.option(
    "--port", type=click.IntRange(1, 65_535), help="The hub's port; AFTERBEEP_PORT or 8080."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where everything is kept; AFTERBEEP_DATA_DIR or var.",
)
@click.option(
    "--keep/--fresh", default=True, help="Reuse what earlier runs made, or remove it first."
)
@click.pass_context
def demo(
    ctx: click.Context,
    *,
    once: bool,
    as_json: bool,
    port: int | None,
    data_dir: Path | None,
    keep: bool,
) -> None:
    """Play sample voicemails through the real product into vendors in miniature.

    Starts PostgreSQL, Redis, hub, workers, sweep, the voice service and a sandbox of each vendor, connects a
    sample tenant by OAuth, places a call for each voicemail on a telephone network in miniature, shows where each
    landed, and serves until Ctrl-C. A second run calls nobody again. With --json the last line of standard output is
    one JSON object: events, deliveries (by state), records (by connector), ledger_ok, seconds.

    Exit code 1 when something did not land or the sums do not agree.

    \b
    Examples:
      afterbeep demo
      afterbeep demo --once --json
      afterbeep demo --fresh --port 9000
    """
    from rich.console import Console

    from hub.processes import Stopped, stoppable

    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = _WIDTH
    is_serving = False
    try:
        with stoppable(), contextlib.ExitStack() as stack:
            is_fine, supervisor = _play(
                stack, console, port=port, data_dir=data_dir, is_fresh=not keep, as_json=as_json
            )
            if not once:
                is_serving = True
                console.print("\nCtrl-C stops everything that was started.")
                supervisor.run()
    except Stopped:
        console.print("Stopped.")
        if not is_serving:
            ctx.exit(130)
        return
    if not is_fine:
        ctx.exit(1)


def _play(
    stack: contextlib.ExitStack,
    console: Console,
    *,
    port: int | None,
    data_dir: Path | None,
    is_fresh: bool,
    as_json: bool,
) -> tuple[bool, Supervisor]:
    """Start, play and tell; gives whether all is well, and what keeps it running."""
    from hub import settings
    from hub.cli.opening import servers
    from hub.cli.serve import listen
    from hub.demo import run
    from hub.demo.connect import CouldNotConnect
    from hub.demo.play import CouldNotPlay
    from hub.demo.telephone import NoTelephone
    from hub.processes import DidNotStart, only_one

    if port:
        settings.export({"AFTERBEEP_PORT": str(port)})
    if data_dir:
        settings.export({"AFTERBEEP_DATA_DIR": str(data_dir.absolute())})
    chosen = settings.load()
    listen(chosen).close()
    folder = chosen.data_dir.absolute()
    stack.enter_context(only_one(folder))
    if is_fresh:
        if chosen.database_url:
            raise settings.SettingsProblem(
                "--fresh works only without AFTERBEEP_DATABASE_URL: it removes the embedded database."
            )
        run.clear(folder)
    try:
        demo, supervisor = run.start(stack, lambda: stack.enter_context(servers()), console, folder)
        has_landed = run.play_all(demo)
    except (DidNotStart, CouldNotConnect, CouldNotPlay, NoTelephone) as err:
        raise Failed(str(err)) from err
    run.addresses(demo)
    result = demo.result()
    if as_json:
        put_json(result)
    return has_landed and result["ledger_ok"], supervisor
