"""Sync status: how each account keeps up, live; its rows, and what a person may do about them."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import redis
from flask import Blueprint, Response, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from hub.context import Hub
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.people import Role
from hub.delivery.budget import Budget
from hub.delivery.outlook import LimitOutlook
from hub.delivery.sync_status import AccountStatus, sync_status
from hub.web import ledger_sums, reading, remembered
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("sync", __name__, url_prefix="/sync")

_LOOK_S: Final = 1.0
#: A stream ends by itself; the browser opens the next one. So a stop of the hub waits for none.
_STREAM_S: Final = 25.0
_AGAIN_MS: Final = 2_000
_ROWS = 50
_STATES = {one.value for one in State}


@dataclass(frozen=True, slots=True)
class Account:
    """A connection as the page shows it."""

    status: AccountStatus
    limits: tuple[LimitOutlook, ...]

    @property
    def calls(self) -> LimitOutlook | None:
        """The limit that lasts longest, which is what calls are saved for."""
        return max(self.limits, key=lambda one: one.period_s, default=None)


class Streams:
    """How many live pages this process serves: each holds a thread, and most are kept for everything else."""

    def __init__(self, most: int) -> None:
        """Let so many streams be open at a time."""
        self._free = threading.BoundedSemaphore(most)

    def enter(self) -> bool:
        """Take a place, if one is free."""
        return self._free.acquire(blocking=False)

    def leave(self) -> None:
        """Give a place back."""
        self._free.release()


def init_streams(threads: int) -> Streams:
    """Make the places for a process with so many threads: a quarter of them, at least one."""
    return Streams(max(1, threads // 4))


@pages.get("")
@needs(Role.VIEWER)
def show() -> ResponseReturnValue:
    """Show all accounts."""
    hub, me = the_hub(), viewer()
    with hub.tenant(me.tenant_id) as session:
        how = "behind" if "wait" in request.args else remembered.how(session)
    return render_template(
        "sync/list.html",
        accounts=_accounts(hub, me.tenant_id),
        sums=ledger_sums.sums(hub, me.tenant_id, how=how),
    )


@pages.get("/live")
@needs(Role.VIEWER)
def live() -> ResponseReturnValue:
    """Tell the page when something has changed, as server-sent events; 204 when too many pages are open.

    What has changed is not in the stream: the page asks for it, as it would without a stream.
    """
    streams: Streams = current_app.extensions["afterbeep.streams"]
    if not streams.enter():
        return Response(status=204)
    hub, me = the_hub(), viewer()
    answer = Response(_changes(hub, me.tenant_id), mimetype="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"
    answer.call_on_close(streams.leave)
    return answer


def _changes(hub: Hub, tenant_id: str) -> Iterator[str]:
    yield f"retry: {_AGAIN_MS}\n\n"
    last, until = "", time.monotonic() + _STREAM_S
    while time.monotonic() < until:
        try:
            found = _digest(hub, tenant_id)
        except (SQLAlchemyError, redis.RedisError):
            return  # the browser tries again
        if found != last:
            yield f"event: {'changed' if last else 'ready'}\ndata: {found}\n\n"
            last = found
        else:
            yield ": still here\n\n"
        time.sleep(_LOOK_S)


def _digest(hub: Hub, tenant_id: str) -> str:
    """Give a short name of how everything stands, which changes when that does."""
    told: list[Any] = []
    for account in _accounts(hub, tenant_id):
        row = account.status.row
        told += [row.id, row.state.value, row.health_reason, str(row.retry_at)]
        told += [asdict(one) for one in account.status.objects]
        told += [(one.name, one.used, one.remaining) for one in account.limits]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]


def _accounts(hub: Hub, tenant_id: str) -> list[Account]:
    with hub.tenant(tenant_id) as session:
        rows = session.scalars(select(Connection).order_by(Connection.label, Connection.id)).all()
        session.expunge_all()
    return [Account(one, _limits(hub, one.row)) for one in sync_status(hub, tenant_id, rows)]


def _limits(hub: Hub, row: Connection) -> tuple[LimitOutlook, ...]:
    if row.state is Health.DISCONNECTED:
        return ()
    try:
        return tuple(Budget(hub).outlook(row))
    except redis.RedisError:
        return ()


@pages.get("/<connection_id>")
@needs(Role.VIEWER)
def one(connection_id: str) -> ResponseReturnValue:
    """Show the rows of one account, of an object and a state if asked for, the latest change first."""
    hub, me = the_hub(), viewer()
    state, name = request.args.get("state", ""), request.args.get("object", "")
    with hub.tenant(me.tenant_id) as session:
        row = session.scalars(
            select(Connection).where(Connection.id == connection_id)
        ).one_or_none()
        if row is None:
            abort(404)
        session.expunge(row)
    (status,) = sync_status(hub, me.tenant_id, [row])
    states = [state] if state in _STATES else ["sending", "waiting", "parked", "held"]
    found = _rows(hub, me.tenant_id, connection_id, states, name)
    reading.note_listed(hub, me, [voicemail for _, voicemail in found])
    return render_template(
        "sync/one.html",
        account=Account(status, _limits(hub, row)),
        rows=found,
        state=state if state in _STATES else "",
        chosen=name,
        most=_ROWS,
    )


def _rows(
    hub: Hub, tenant_id: str, connection_id: str, states: Sequence[str], name: str
) -> list[tuple[reading.Done, reading.Voicemail]]:
    which = [Delivery.connection_id == connection_id, Delivery.state.in_(states)]
    if name:
        which.append(Delivery.object == name)
    return reading.latest_of(hub, tenant_id, which, size=_ROWS)
