"""The loop that watches and sends, beside the sweep; of several processes one watches and all send."""

from __future__ import annotations

import threading
import time
from typing import Final

import redis
from sqlalchemy.exc import SQLAlchemyError

from hub import log
from hub.alerts.send import Sender
from hub.alerts.watch import watch
from hub.context import Hub
from hub.db.base import now

_LOG = log.get(__name__)
#: How often health and pauses are looked at, and how often everything is counted.
LOOK_S: Final = 2.0
COUNT_S: Final = 15.0


def run(hub: Hub, stop: threading.Event) -> None:
    """Watch and send until told to stop; never raises for what one round ran into."""
    sender = Sender(hub)
    look_at = count_at = time.monotonic()
    try:
        while not stop.is_set():
            moment = time.monotonic()
            try:
                if moment >= look_at:
                    is_thorough = moment >= count_at
                    look_at = moment + LOOK_S
                    count_at = moment + COUNT_S if is_thorough else count_at
                    watch(hub, now(), is_thorough=is_thorough)
                sender.dispatch()
            except (SQLAlchemyError, redis.RedisError) as err:
                _LOG.warning("alerts interrupted", error=type(err).__name__)
            except Exception:  # noqa: BLE001 - a defect in one round must not leave everybody untold
                _LOG.exception("alerts failed")
            stop.wait(hub.settings.sweep_s)
    finally:
        sender.close()
