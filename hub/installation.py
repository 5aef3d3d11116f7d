"""Which programs make an installation, and what must be done before they start."""

from __future__ import annotations

from hub.db import migrate
from hub.db.engine import engine
from hub.processes import Program, answers
from hub.settings import PREFIX, Settings


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
    """Give hub, sweep, workers and voice, in the order in which they stop: first no more comes in.

    Voice is among them where the settings say so: it needs an account at a telephone company.
    """
    found = [
        Program.of("hub", "serve", is_ready=answers(f"{local_url(chosen)}/readyz")),
        Program.of("sweep", "sweep"),
        *(
            Program.of(f"worker-{number}", "worker")
            for number in range(1, chosen.worker_processes + 1)
        ),
    ]
    if chosen.run_voice:
        url = _url(chosen.voice_host, chosen.voice_port)
        found.append(Program.of("voice", "voice", is_ready=answers(f"{url}/healthz")))
    return found


def addresses(chosen: Settings) -> dict[str, str]:
    """Give the variables by which a voice service beside the hub finds it, and knows its pages."""
    public = {f"{PREFIX}HUB_PUBLIC_URL": chosen.base_url} if chosen.public_url else {}
    return {f"{PREFIX}HUB_URL": local_url(chosen), **public}


def local_url(chosen: Settings) -> str:
    """Give the address at which programs of this machine reach the hub."""
    return _url(chosen.host, chosen.port)


def _url(host: str, port: int) -> str:
    host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
