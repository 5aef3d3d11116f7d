"""Asks for a fresh token, because one version is refused: ``python -m tests.e2e.refreshing CONNECTION VERSION``.

Prints the version that it was given.
"""

from __future__ import annotations

import sys

from sqlalchemy import select

from hub import log
from hub.context import process_hub
from hub.db.connections import Connection
from hub.oauth import tokens


def main(connection_id: str, version: str) -> None:
    """Ask and print."""
    log.configure(level="error", style="json")
    hub = process_hub()
    with hub.everyone("a test names only the connection") as session:
        query = select(Connection.tenant_id).where(Connection.id == connection_id)
        tenant_id = session.scalars(query).one()
    print(tokens.current(hub, tenant_id, connection_id, refused_version=int(version)).version)  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
