"""Times that a caller can be offered: what the tenant's calendar has free, else its business hours.

A caller waits on the line for it, so it must be there within :data:`PATIENCE_S`. A calendar that does not answer is not
made up for by business hours: the time that is offered may be taken.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select

from connectors.errors import ConnectorError, Throttled
from connectors.interface import OffersTimes
from connectors.registry import CONNECTORS, connector
from hub import log
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.tenants import Tenant
from hub.delivery.account import Line, is_ours
from hub.delivery.budget import Budget
from hub.voice import hours
from hub.voice.settings import Kept

_LOG: Final = log.get(__name__)
MOST: Final = 6
#: Of more than one day so many are offered each, while there are enough days.
_A_DAY: Final = 2
_LOOKED_AT: Final = 200
PATIENCE_S: Final = 3.0
_THREADS: Final = 4
#: Without a calendar nobody is promised to be called on at once.
_NOTICE: Final = timedelta(hours=1)


class CannotTell(Exception):
    """No times can be offered now; the message says why."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Times at which an appointment may begin, in the tenant's zone, and the zone's name."""

    times: tuple[datetime, ...]
    timezone: str


def offer(
    hub: Hub, tenant_id: str, *, duration_minutes: int, start: datetime | None, days: int
) -> Offer:
    """Give up to six times from ``start`` (now when None) within so many days. Raises CannotTell."""
    with hub.tenant(tenant_id) as session:
        tenant = session.scalars(select(Tenant).where(Tenant.id == tenant_id)).one()
        accounts = session.scalars(
            select(Connection).order_by(Connection.created_at, Connection.id)
        ).all()
    try:
        zone = ZoneInfo(tenant.timezone)
    except (ValueError, OSError, LookupError):
        raise CannotTell(f'There is no time zone "{tenant.timezone}".') from None
    first = max(start or now(), now())
    until = (start or now()) + timedelta(days=days)
    calendar = next((one for one in accounts if _offers_times(one)), None)
    if calendar is not None:
        found = _of_calendar(hub, calendar, first, until, duration_minutes)
    else:
        found = _of_hours(tenant, zone, first, until, duration_minutes)
    chosen = hours.spread(found, zone, most=MOST, a_day=MOST if days == 1 else _A_DAY)
    return Offer(tuple(one.astimezone(zone) for one in chosen), zone.key)


def _offers_times(connection: Connection) -> bool:
    known = connection.connector in CONNECTORS
    return known and isinstance(connector(connection.connector), OffersTimes)


def _of_hours(
    tenant: Tenant, zone: ZoneInfo, first: datetime, until: datetime, minutes: int
) -> list[datetime]:
    open_hours = Kept.of(tenant.settings).settings.business_hours
    if not any(open_hours.values()):
        raise CannotTell("No calendar is connected, and no business hours are set.")
    found = hours.free_times(
        open_hours,
        zone,
        start=max(first, now() + _NOTICE),
        end=until,
        duration=timedelta(minutes=minutes),
    )
    return list(islice(found, _LOOKED_AT))


def _of_calendar(
    hub: Hub, connection: Connection, first: datetime, until: datetime, minutes: int
) -> list[datetime]:
    vendor = connector(connection.connector)
    if not isinstance(vendor, OffersTimes):  # pragma: no cover - it was chosen for that
        raise TypeError(connection.connector)
    if connection.state not in {Health.HEALTHY, Health.DEGRADED}:
        raise CannotTell("The calendar is not connected at the moment.")
    if until <= first:
        return []
    line = Line(hub, connection, Budget(hub), is_urgent=True)
    asked = _threads().submit(
        line.call, lambda account: vendor.free_times(account, first, until, minutes, _LOOKED_AT)
    )
    try:
        return list(asked.result(PATIENCE_S))
    except TimeoutError:
        asked.cancel()
        raise _silent(connection, "timeout") from None
    except Throttled as err:
        if not is_ours(err):
            line.stay_away(err.retry_after_s)  # the account is one, whoever called
        raise _silent(connection, type(err).__name__) from err
    except ConnectorError as err:
        raise _silent(connection, type(err).__name__) from err


def _silent(connection: Connection, error: str) -> CannotTell:
    _LOG.warning("calendar told no free times", connection_id=connection.id, error=error)
    return CannotTell("The calendar does not tell now when it is free.")


@cache
def _threads() -> ThreadPoolExecutor:
    """Give the threads that ask calendars: a vendor that hangs holds these, and no others."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="free-times")
