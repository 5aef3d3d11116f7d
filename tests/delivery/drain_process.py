"""A worker process that drains one connection once, for tests that kill it."""

from __future__ import annotations

import sys

from hub.context import process_hub
from hub.delivery import send

if __name__ == "__main__":
    sys.stdout.write("draining\n")
    sys.stdout.flush()
    send.drain(process_hub(), sys.argv[1])
