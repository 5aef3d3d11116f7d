"""Taking rows to send: one drain per connection at a time, and every row in its hands at most once.

There are three lanes: urgent before live before replayed rows, of which the urgent ones go first again. Replayed rows
fill up batches of live ones that have room, where that costs nothing.

The lock is PostgreSQL's: it ends with the process that holds it, however that ends. So a drain that
has the lock knows that rows of its connection that are still in ``sending`` belong to nobody, and
takes them back as uncertain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from hub.context import Hub
from hub.db.base import new_id, now
from hub.db.deliveries import Delivery, State


@contextmanager
def only_drain(hub: Hub, connection_id: str) -> Iterator[bool]:
    """Hold the connection's lock; gives False when another process has it.

    The lock has a database connection of its own, so that a broken transaction elsewhere does not drop it.
    """
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lock:
        values = {"name": f"drain:{connection_id}"}
        has_lock = lock.execute(
            text("select pg_try_advisory_lock(hashtextextended(:name, 0))"), values
        ).scalar_one()
        try:
            yield bool(has_lock)
        finally:
            if has_lock:
                _unlock(lock, values)


def _unlock(lock: SQLConnection, values: dict[str, Any]) -> None:
    try:
        lock.execute(text("select pg_advisory_unlock(hashtextextended(:name, 0))"), values)
    except DBAPIError:
        lock.invalidate()  # with the session the lock is gone too


@dataclass(frozen=True, slots=True)
class Head:
    """The row that is due first, and how much waits behind it.

    With ``job`` it is already in a job of the vendor's, which is asked what became of it. ``is_replay`` says that only
    replayed rows wait; otherwise ``count`` are live rows, and ``riders`` replayed ones that could go with them.
    """

    object: str
    is_urgent: bool
    waiting_since: datetime
    count: int
    job: str | None = None
    is_replay: bool = False
    riders: int = 0
    #: Since when the first row itself is due; ``waiting_since`` is that of the oldest.
    first_since: datetime = field(kw_only=True)


#: PostgreSQL shall read the lanes off their index, though it may not have noticed yet how many rows have come to wait:
#: right after a replay was begun it would rather read and sort them all.
_IN_ORDER = text("set local enable_sort = off")
_LANES = (Delivery.is_replay, Delivery.is_urgent.desc(), Delivery.due_at)


def head(
    hub: Hub, tenant_id: str, connection_id: str, *, at_most: int, with_replays: bool = True
) -> Head | None:
    """Look at the first row of the first lane, and count rows of its object up to ``at_most``.

    Without replays it is as if only live rows were there. A replayed row is never urgent to the vendor's account.
    """
    due = _due(connection_id, with_replays=with_replays)
    with hub.tenant(tenant_id) as session:
        session.execute(_IN_ORDER)
        first = session.execute(
            select(
                Delivery.object,
                Delivery.is_urgent,
                Delivery.due_at,
                Delivery.job,
                Delivery.is_replay,
            )
            .where(*due)
            .order_by(*_LANES)
            .limit(1)
        ).one_or_none()
        if first is None or first.object is None:
            return None
        ready = session.execute(
            select(Delivery.due_at, Delivery.is_replay)
            .where(
                *due,
                Delivery.object == first.object,
                Delivery.job.is_(None) if first.job is None else Delivery.job == first.job,
            )
            .order_by(*_LANES)
            .limit(at_most)
        ).all()
    dues = [due_at for due_at, lane in ready if lane == first.is_replay]
    return Head(
        first.object,
        first.is_urgent and not first.is_replay,
        min(dues, default=first.due_at),
        len(dues),
        first.job,
        first.is_replay,
        len(ready) - len(dues),
        first_since=first.due_at,
    )


def _due(connection_id: str, *, with_replays: bool) -> tuple[Any, ...]:
    found: tuple[Any, ...] = (
        Delivery.connection_id == connection_id,
        Delivery.state == State.WAITING.value,
        ~Delivery.is_blocked,
        Delivery.due_at <= now(),
    )
    # What a job of the vendor's has taken is only asked for, whatever put it there.
    return found if with_replays else (*found, ~Delivery.is_replay | Delivery.job.is_not(None))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row in our hands."""

    id: str
    event_id: str
    mapping_id: str
    mapping_version: int
    step: str
    object: str
    key: str
    attempts: int
    is_uncertain: bool
    is_urgent: bool
    waits_for: tuple[str, ...]
    record_id: str | None
    chosen_record_id: str | None
    first_failed_at: datetime | None
    job: str | None = None
    #: A replay forgets the tries that came before it, and what was delivered once has a record, known or not.
    was_sent_before: bool = False


_CLAIM = """
update deliveries d
set state = 'sending', claim = :claim, lease_until = :lease_until, updated_at = now()
from (
    select id from deliveries
    where connection_id = :connection_id and tenant_id = :tenant_id and object = :object
      and state = 'waiting' and not is_blocked and due_at <= now()
      and {in_job} and (not is_replay or :with_replays)
    order by is_replay, is_urgent desc, due_at
    limit :at_most
    for update skip locked
) as due
where d.id = due.id
returning d.id, d.event_id, d.mapping_id, d.mapping_version, d.step, d.object, d.key, d.attempts,
          d.is_uncertain, d.is_urgent, d.waits_for, d.record_id, d.chosen_record_id,
          d.first_failed_at, d.job, d.due_at, d.is_replay, d.replay_id, d.delivered_at
"""


def claim_statement(job: str | None) -> str:
    """Give the statement; in words of which PostgreSQL knows how many rows they leave, so that it reads in order."""
    return _CLAIM.format(in_job="job is null" if job is None else "job = :job")


def claim(
    hub: Hub,
    tenant_id: str,
    connection_id: str,
    *,
    object_name: str,
    at_most: int,
    job: str | None = None,
    with_replays: bool = True,
) -> tuple[str, list[Claimed]]:
    """Take due rows of one object, lane by lane and oldest first; gives the claim's name and the rows.

    With ``job`` they are those that the vendor's job has taken, else those that are in no job.
    """
    name = new_id("clm")
    with hub.engine.begin() as connection:
        connection.execute(_IN_ORDER)
        found = connection.execute(
            text(claim_statement(job)),
            {
                "claim": name,
                "lease_until": now() + timedelta(seconds=hub.settings.lease_s),
                "connection_id": connection_id,
                "tenant_id": tenant_id,
                "object": object_name,
                "at_most": at_most,
                "with_replays": with_replays,
                **({} if job is None else {"job": job}),
            },
        ).all()
    found = sorted(found, key=lambda row: (row.is_replay, not row.is_urgent, row.due_at))
    return name, [
        Claimed(
            id=row.id,
            event_id=row.event_id,
            mapping_id=row.mapping_id,
            mapping_version=row.mapping_version,
            step=row.step,
            object=row.object,
            key=row.key,
            attempts=row.attempts,
            is_uncertain=row.is_uncertain,
            is_urgent=row.is_urgent,
            waits_for=tuple(row.waits_for or ()),
            record_id=row.record_id,
            chosen_record_id=row.chosen_record_id,
            first_failed_at=row.first_failed_at,
            job=row.job,
            was_sent_before=row.replay_id is not None or row.delivered_at is not None,
        )
        for row in found
    ]


_TAKE_BACK = """
update deliveries
set state = 'waiting', claim = null, lease_until = null,
    due_at = case when job is null and (not :some_are_safe or object = any(:repeats))
                  then greatest(now(), updated_at + make_interval(secs => :runs_on_s)) else now() end,
    is_uncertain = is_uncertain or job is null,
    updated_at = now(), reason = 'The worker that sent this stopped before it had an answer.'
where connection_id = :connection_id and tenant_id = :tenant_id and state = 'sending'
  and (lease_until < now() or job is not null or (:some_are_safe and object <> all(:repeats)))
"""


def take_back(
    hub: Hub,
    tenant_id: str,
    connection_id: str,
    *,
    repeats: frozenset[str] | None,
    runs_on_s: float = 0.0,
) -> int:
    """Take rows back from a drain that died; call it only with the connection's lock.

    ``repeats`` names the objects of which the vendor could make a second record of a key while the
    lost request is still on its way (None: all); their rows are taken back when the lease is over,
    and nobody asks about them before the request can no longer be on its way (``runs_on_s``);
    the others at once, and so are those that a job of the vendor's has taken: they were only asked for.
    """
    with hub.engine.begin() as connection:
        return connection.execute(
            text(_TAKE_BACK),
            {
                "connection_id": connection_id,
                "tenant_id": tenant_id,
                "some_are_safe": repeats is not None,
                "repeats": sorted(repeats or ()),
                "runs_on_s": runs_on_s,
            },
        ).rowcount


def release(hub: Hub, claim_name: str, ids: Sequence[str]) -> None:
    """Give rows back unsent, due at once; they have cost nothing."""
    if not ids:
        return
    with hub.engine.begin() as connection:
        connection.execute(
            text(
                "update deliveries set state = 'waiting', claim = null, lease_until = null, updated_at = now()"
                " where id = any(:ids) and claim = :claim"
            ),
            {"ids": list(ids), "claim": claim_name},
        )
