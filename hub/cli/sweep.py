"""``afterbeep sweep``: the process that wakes workers for whatever waits."""

from __future__ import annotations

import click


@click.command()
def sweep() -> None:
    """Wake workers for whatever waits, once in AFTERBEEP_SWEEP_S seconds, and tell tenants how connections are.

    Once an hour what callers said is removed where a tenant's days of keeping it are over.

    Start at least one; of several, one works and the others stand by.

    \b
    Example:
      afterbeep sweep
    """
    import threading

    from hub import metrics
    from hub.alerts import run as alerting
    from hub.cli.opening import check_tables, servers
    from hub.context import process_hub
    from hub.delivery import sweep as sweeping
    from hub.processes import stop_event
    from hub.settings import load
    from hub.voice import retention

    before = load()
    with stop_event() as stop, servers(before):
        hub = process_hub()
        check_tables(hub, is_ours=before.database_url is None)
        beside = [
            threading.Thread(target=alerting.run, args=(hub, stop), name="alerts"),
            threading.Thread(target=metrics.keep, args=(hub, stop), name="metrics"),
            threading.Thread(target=retention.run, args=(hub, stop), name="retention"),
        ]
        for one in beside:
            one.start()
        try:
            sweeping.run(hub, stop)
        finally:
            stop.set()
            for one in beside:
                one.join()
