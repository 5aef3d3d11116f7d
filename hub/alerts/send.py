"""Sending what waits in ``alert_sendings``: taken by one process at a time, tried, and settled.

A row that is taken is put off and its attempt counted first. So the row of a process that died comes up again,
and whoever was given up for dead settles nothing. What a receiver sees twice has the same id both times.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks import Webhook

from hub import log, tally
from hub.alerts import endpoints, mail, outbox, words
from hub.alerts.mail import Mail, NotMailed
from hub.alerts.outbox import Item
from hub.alerts.outside import NoAnswer, NotAllowed, Outside
from hub.context import Hub
from hub.db import audit
from hub.db.alerts import (
    Alert,
    AlertSending,
    AlertType,
    Channel,
    SendingState,
    WebhookEndpoint,
)
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant
from hub.db.vault import Unreadable
from hub.tally import families

_LOG = log.get(__name__)
#: Waits in seconds after the first, second … failure; after the last one it has failed for good.
#: Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (2026-11-22)
WAITS_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
_JITTER: Final = 0.1
#: Longer than a try may take: looking names up and a mail server's many answers included.
LEASE: Final = timedelta(seconds=180)
#: An endpoint that has only failed for so long is turned off.
GIVES_UP: Final = timedelta(days=5)
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Taken:
    """A sending that is ours until the lease is over."""

    id: str
    tenant_id: str
    alert_id: str
    endpoint_id: str | None
    address: str
    attempts: int

    @property
    def target(self) -> str:
        """Who is told; one of these is told one thing at a time."""
        return self.endpoint_id or f"{self.tenant_id}:{self.address}"


@dataclass(frozen=True, slots=True)
class Try:
    """What came of one try.

    ``is_final`` says that another would end the same, ``is_gone`` that the endpoint wants no more.
    """

    ms: float
    status: int | None = None
    problem: str | None = None
    is_final: bool = False
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class _Letter:
    """What is sent, read before the network is touched."""

    alert: Alert
    endpoint: WebhookEndpoint | None
    connection: Connection | None
    tenant: Tenant


def send_one(hub: Hub, tenant_id: str, sending_id: str, at: datetime) -> dict[str, Any] | None:
    """Try to send one waiting row now; gives what came of it, or None when another process has it."""
    with hub.tenant(tenant_id) as session:
        rows = session.scalars(
            select(AlertSending)
            .where(AlertSending.id == sending_id, *_due(at))
            .with_for_update(skip_locked=True)
        ).all()
        mine = _taken(rows, at)
        session.flush()
    for taken in mine:
        deliver(hub, taken, way_out(hub), at)
    with hub.tenant(tenant_id) as session:
        row = session.scalars(select(AlertSending).where(AlertSending.id == sending_id)).one()
        return row.tries[-1] if mine and row.tries else None


def _due(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return (AlertSending.state == SendingState.WAITING.value, AlertSending.due_at <= at)


def _taken(rows: Iterable[AlertSending], at: datetime) -> list[Taken]:
    """Take locked rows: their attempt is counted, and others leave them alone until the lease is over."""
    found = []
    for row in rows:
        row.attempts += 1
        row.due_at = at + LEASE
        found.append(
            Taken(row.id, row.tenant_id, row.alert_id, row.endpoint_id, row.address, row.attempts)
        )
    return found


def take(hub: Hub, at: datetime, *, busy: Iterable[str] = (), most: int = _AT_ONCE) -> list[Taken]:
    """Take what is due, one for each target that is not busy, the longest due first."""
    target = func.coalesce(
        AlertSending.endpoint_id, AlertSending.tenant_id + ":" + AlertSending.address
    )
    first = (
        select(AlertSending.id, AlertSending.due_at)
        .where(*_due(at), target.not_in(list(busy)))
        .distinct(target)
        .order_by(target, AlertSending.due_at, AlertSending.id)
        .subquery()
    )
    with hub.everyone("alerts of all tenants are sent") as session:
        ids = session.scalars(select(first.c.id).order_by(first.c.due_at).limit(most)).all()
        rows = session.scalars(
            select(AlertSending)
            .where(AlertSending.id.in_(ids), *_due(at))
            .with_for_update(skip_locked=True)
        ).all()
        found = _taken(rows, at)
        session.flush()
    return found


def deliver(hub: Hub, taken: Taken, way: Outside, at: datetime) -> SendingState:
    """Try to send one taken row and settle it; gives what it became."""
    letter = _read(hub, taken)
    if letter is None:
        return SendingState.FAILED  # it was removed in the meantime
    began = time.monotonic()
    try:
        tried = _by_webhook(hub, letter, way) if letter.endpoint else _by_mail(hub, letter, taken)
    except Unreadable:
        tried = Try(0.0, problem="The webhook's secret cannot be read.")
    ms = (time.monotonic() - began) * 1_000
    done = Try(round(ms, 1), tried.status, tried.problem, tried.is_final, tried.is_gone)
    state = _settle(hub, taken, done, at)
    channel = Channel.WEBHOOK if letter.endpoint else Channel.MAIL
    tally.count(hub.redis, families.ALERT_TRIES, channel.value, state.value)
    _LOG.info(
        "alert sent" if state is SendingState.SENT else "alert not sent",
        sending_id=taken.id,
        alert_id=taken.alert_id,
        attempt=taken.attempts,
        state=state.value,
        status=done.status,
    )
    return state


def send_due(hub: Hub, at: datetime, way: Outside | None = None) -> int:
    """Send everything that is due, one by one; gives how many tries were made."""
    way = way or way_out(hub)
    count = 0
    while found := take(hub, at):
        for taken in found:
            deliver(hub, taken, way, at)
            count += 1
    return count


def way_out(hub: Hub) -> Outside:
    """Give the way out that the settings allow."""
    return Outside(allow_loopback=hub.settings.allow_loopback_vendors)


class Sender:
    """Sends in a few threads, so that a receiver that is slow or dead delays nobody else."""

    def __init__(self, hub: Hub, clock: Callable[[], datetime] = now) -> None:
        """Send for ``hub``; ``clock`` gives the moment."""
        self._hub, self._clock = hub, clock
        self._way = way_out(hub)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="alerts")
        self._busy: dict[str, Future[None]] = {}

    def dispatch(self) -> int:
        """Begin to send what is due; gives how many. Never waits for a receiver."""
        self._busy = {target: one for target, one in self._busy.items() if not one.done()}
        free = _AT_ONCE - len(self._busy)
        if free <= 0:
            return 0
        found = take(self._hub, self._clock(), busy=self._busy, most=free)
        for taken in found:
            self._busy[taken.target] = self._threads.submit(self._send, taken)
        return len(found)

    def close(self) -> None:
        """Finish what was begun; what was not comes up again when its lease is over."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _send(self, taken: Taken) -> None:
        try:
            deliver(self._hub, taken, self._way, self._clock())
        except SQLAlchemyError as err:
            _LOG.warning("alert not settled", sending_id=taken.id, error=type(err).__name__)
        except Exception:  # noqa: BLE001 - one alert's defect must not end the thread unseen
            _LOG.exception("alert could not be sent", sending_id=taken.id)


def _read(hub: Hub, taken: Taken) -> _Letter | None:
    with hub.tenant(taken.tenant_id) as session:
        alert = session.scalars(select(Alert).where(Alert.id == taken.alert_id)).one_or_none()
        if alert is None:
            return None
        endpoint = connection = None
        if taken.endpoint_id:
            endpoint = session.scalars(
                select(WebhookEndpoint).where(WebhookEndpoint.id == taken.endpoint_id)
            ).one_or_none()
            if endpoint is None:
                return None
        if alert.connection_id:
            connection = session.scalars(
                select(Connection).where(Connection.id == alert.connection_id)
            ).one()
        tenant = session.scalars(select(Tenant).where(Tenant.id == taken.tenant_id)).one()
    return _Letter(alert, endpoint, connection, tenant)


def _by_webhook(hub: Hub, letter: _Letter, way: Outside) -> Try:
    endpoint, alert = letter.endpoint, letter.alert
    if endpoint is None or endpoint.disabled_at is not None:
        return Try(0.0, problem="The webhook was turned off.", is_final=True)
    at = now()
    body = json.dumps(
        words.payload(
            alert,
            outbox.about(letter.connection),
            tenant=letter.tenant.slug,
            connector=letter.connection.connector if letter.connection else None,
            base_url=hub.settings.base_url,
        ),
        ensure_ascii=False,
        separators=(",", ":"),
    )
    signed = [Webhook(one).sign(alert.id, at, body) for one in endpoints.secrets(hub, endpoint, at)]
    headers = {
        "content-type": "application/json",
        "user-agent": f"Afterbeep/{version('afterbeep')}",
        "webhook-id": alert.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signed),
    }
    try:
        status = way.post(endpoint.url, headers, body.encode())
    except (NotAllowed, NoAnswer) as err:
        return Try(0.0, problem=str(err))
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Try(0.0, status)
    is_gone = status == HTTPStatus.GONE
    return Try(0.0, status, f"It answered {status}.", is_final=is_gone, is_gone=is_gone)


def _by_mail(hub: Hub, letter: _Letter, taken: Taken) -> Try:
    alert, about = letter.alert, outbox.about(letter.connection)
    text = words.mail_text(alert, about, tenant=letter.tenant.name, base_url=hub.settings.base_url)
    subject = f"[Afterbeep] {words.subject(alert, about)}"
    try:
        mail.send(hub.settings, Mail(taken.address, subject, text, key=taken.id))
    except NotMailed as err:
        return Try(0.0, err.code, str(err), is_final=err.is_final)
    return Try(0.0)


def _settle(hub: Hub, taken: Taken, done: Try, at: datetime) -> SendingState:
    """Write down what came of a try, and what it means for the endpoint."""
    with hub.tenant(taken.tenant_id) as session:
        # The endpoint first, as everywhere, so that two of these never wait for each other.
        endpoint = None
        if taken.endpoint_id:
            endpoint = session.scalars(
                select(WebhookEndpoint)
                .where(WebhookEndpoint.id == taken.endpoint_id)
                .with_for_update()
            ).one_or_none()
        row = session.scalars(
            select(AlertSending)
            .where(
                AlertSending.id == taken.id,
                AlertSending.attempts == taken.attempts,
                AlertSending.state == SendingState.WAITING.value,
            )
            .with_for_update()
        ).one_or_none()
        if row is None:
            return SendingState.FAILED  # it was removed, or taken by another since
        row.tries = [*row.tries, _entry(done, at)]
        if done.problem is None:
            row.state, row.settled_at = SendingState.SENT.value, at
        elif done.is_final or taken.attempts > len(WAITS_S):
            row.state, row.settled_at = SendingState.FAILED.value, at
        else:
            row.due_at = at + _wait(taken.attempts)
        session.flush()
        if endpoint is not None and endpoint.disabled_at is None:
            _note_endpoint(hub, session, endpoint, done, at)
        return SendingState(row.state)


def _entry(done: Try, at: datetime) -> dict[str, Any]:
    return {
        "at": at.isoformat(timespec="seconds"),
        "ms": done.ms,
        "status": done.status,
        "problem": done.problem,
    }


def _wait(attempts: int) -> timedelta:
    wait_s = WAITS_S[attempts - 1]
    return timedelta(seconds=wait_s * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - spreads load, guards nothing


def _note_endpoint(
    hub: Hub, session: TenantSession, endpoint: WebhookEndpoint, done: Try, at: datetime
) -> None:
    if done.problem is None:
        endpoint.last_success_at, endpoint.failing_since = at, None
        session.flush()
        return
    endpoint.failing_since = endpoint.failing_since or at
    why = None
    if done.is_gone:
        why = "It answered 410 Gone: it wants no more alerts."
    elif at - endpoint.failing_since >= GIVES_UP:
        why = f"It took no alert for {GIVES_UP.days} days."
    if why is None:
        session.flush()
        return
    endpoint.disabled_at, endpoint.disabled_reason = at, why
    session.flush()
    session.execute(
        update(AlertSending)
        .where(
            AlertSending.endpoint_id == endpoint.id,
            AlertSending.state == SendingState.WAITING.value,
        )
        .values(state=SendingState.FAILED.value, settled_at=at),
        execution_options={"synchronize_session": False},
    )
    facts = {"host": endpoints.host(endpoint.url), "why": why}
    item = Item(endpoint.tenant_id, AlertType.WEBHOOK_DISABLED, at, facts)
    outbox.write(hub, session, [item], at)
    audit.record(
        session, actor="worker", action="webhook.disabled", target=endpoint.id, facts={"why": why}
    )
