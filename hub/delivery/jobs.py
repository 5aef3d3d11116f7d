"""What RQ calls; a job's only argument is a connection's id."""

from __future__ import annotations

from hub import log
from hub.context import process_hub
from hub.delivery import send


def drain(connection_id: str) -> None:
    """Send what is due on a connection."""
    log.bind(connection_id=connection_id)
    try:
        send.drain(process_hub(), connection_id)
    finally:
        log.clear()
