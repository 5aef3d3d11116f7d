"""Which programs make an installation, and what must be done before they start."""

from __future__ import annotations

from hub.db import migrate
from hub.db.engine import engine
from hub.processes import Program, answers
from hub.settings import Settings


def migrated(chosen: Settings) -> list[str]:
    """Bring the tables up to date; gives the revisions that were applied."""
    if chosen.database_url is None:
        raise ValueError("the database's address is needed")
    database = engine(chosen.database_url.get_secret_value())
    try:
        return migrate.migrate(database)
    finally:
        database.dispose()


def programs(chosen: Settings) -> list[Program]:
    """Give hub, sweep and workers, in the order in which they stop: first no more comes in."""
    host = "127.0.0.1" if chosen.host in {"0.0.0.0", "::"} else chosen.host  # noqa: S104 - compared, not bound
    address = f"[{host}]" if ":" in host else host
    return [
        Program.of("hub", "serve", is_ready=answers(f"http://{address}:{chosen.port}/readyz")),
        Program.of("sweep", "sweep"),
        *(
            Program.of(f"worker-{number}", "worker")
            for number in range(1, chosen.worker_processes + 1)
        ),
    ]
