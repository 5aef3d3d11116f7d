"""A process that removes what is over of one tenant in many small steps, for tests that kill it."""

from __future__ import annotations

import sys

from hub.context import process_hub
from hub.voice import retention

if __name__ == "__main__":
    retention._CHUNK = 2
    hub = process_hub()
    sys.stdout.write("removing\n")
    sys.stdout.flush()
    retention.remove(hub, sys.argv[1], days=30)
