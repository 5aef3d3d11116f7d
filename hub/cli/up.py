"""``afterbeep up``: everything that an installation on one machine needs."""

from __future__ import annotations

import click


@click.command()
def up() -> None:
    """Run hub, workers and sweep, with PostgreSQL and Redis of its own where no address is set.

    AFTERBEEP_RUN_VOICE=1 runs the voice service, too; then "Call it in the browser" in the telephone
    settings works at once.

    Migrates first, starts again what dies, and stops everything that it started on Ctrl-C or SIGTERM.

    \b
    Examples:
      afterbeep up
      AFTERBEEP_RUN_VOICE=1 afterbeep up
      AFTERBEEP_DATABASE_URL=postgresql://… AFTERBEEP_REDIS_URL=redis://… afterbeep up
    """
    from hub import settings
    from hub.cli.opening import servers
    from hub.cli.output import say
    from hub.cli.problems import Failed
    from hub.cli.serve import listen
    from hub.installation import addresses, migrated, programs
    from hub.processes import (
        DidNotStart,
        Stopped,
        Supervisor,
        only_one,
        stoppable,
    )
    from hub.settings import load

    before = load()
    listen(before).close()
    try:
        with (
            stoppable(),
            only_one(before.data_dir),
            servers(before) as (chosen, services),
            Supervisor(services) as supervisor,
        ):
            migrated(chosen)
            settings.export(addresses(chosen))
            supervisor.start(*programs(chosen))
            say(f"Afterbeep listens on {chosen.base_url} (Ctrl-C stops it).")
            supervisor.run()
    except DidNotStart as err:
        raise Failed(str(err)) from err
    except Stopped:
        say("Stopped.")
