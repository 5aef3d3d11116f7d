"""What RQ calls; a job's only argument is an id: of a connection, or of a replay."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from hub import log
from hub.context import process_hub
from hub.delivery import outcome_polling, replays, send
from hub.delivery.bell import bell
from hub.delivery.wake import awake

_LOG = log.get(__name__)
#: What is due later than this is left to the sweep.
_SOON_S = 2.0


class PollFailed(RuntimeError):
    """A poll broke; our log says where. What it had to ask about is asked about by the next one."""


class DrainFailed(RuntimeError):
    """A drain broke; our log says where. The rows that it held are taken back by the next one."""


class ReplayFailed(RuntimeError):
    """Going on with a replay broke; our log says where. The sweep rings for it again."""


def drain(connection_id: str) -> None:
    """Send what is due on a connection; raises DrainFailed.

    RQ logs the words of an error and keeps them in Redis. Those of the database quote rows, so they end here.
    """
    log.bind(connection_id=connection_id)
    try:
        hub = process_hub()
        done = send.drain(hub, connection_id)
        if done.waits_s is not None and done.waits_s <= _SOON_S:
            # Rows of an idle account wait a moment for company: the sweep's second would be most of their way.
            bell(hub).ring_later(connection_id, done.waits_s)
    except DBAPIError as err:
        _LOG.error("drain failed", kind=type(err).__name__, where=log.places(err))
        # The flag of the ring that led here would keep the sweep from ringing for as long as it stands.
        awake(process_hub(), connection_id)
        raise DrainFailed from None
    except Exception as err:  # noqa: BLE001 - the boundary of the job
        _LOG.error("drain failed", kind=type(err).__name__, where=log.places(err))
        raise DrainFailed from None
    finally:
        log.clear()


def poll(connection_id: str) -> None:
    """Ask what became of a connection's records; raises PollFailed, without words for the same reason."""
    log.bind(connection_id=connection_id)
    try:
        outcome_polling.poll(process_hub(), connection_id)
    except Exception as err:  # noqa: BLE001 - the boundary of the job
        _LOG.error("poll failed", kind=type(err).__name__, where=log.places(err))
        raise PollFailed from None
    finally:
        log.clear()


def go_on(replay_id: str) -> None:
    """Go on with a replay; raises ReplayFailed, without words for the same reason."""
    log.bind(replay_id=replay_id)
    try:
        replays.go_on(process_hub(), replay_id)
    except Exception as err:  # noqa: BLE001 - the boundary of the job
        _LOG.error("replay failed", kind=type(err).__name__, where=log.places(err))
        raise ReplayFailed from None
    finally:
        log.clear()
