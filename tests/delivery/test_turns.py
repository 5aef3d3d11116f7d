"""Who may hold how many workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from rq import Queue
from sqlalchemy import select

from hub.context import Hub
from hub.db.base import new_id
from hub.db.connections import Connection, Health
from hub.delivery import turns
from hub.delivery.turns import Standing
from hub.delivery.wake import QUEUE
from tests.conftest import Company

_WORKERS = 4


def connection(hub: Hub, company: Company, vendor: str) -> Connection:
    """Connect an account on paper."""
    made = new_id("con")
    with hub.tenant(company.tenant_id) as session:
        session.add(
            Connection(
                id=made, connector=vendor, label=vendor, login_url="-", health=Health.HEALTHY.value
            )
        )
    with hub.tenant(company.tenant_id) as session:
        return session.scalars(select(Connection).where(Connection.id == made)).one()


@contextmanager
def workers(hub: Hub, number: int) -> Iterator[None]:
    """Have so many workers live."""
    stop = threading.Event()
    threads = [threading.Thread(target=turns.attend, args=(hub, stop)) for _ in range(number)]
    for one in threads:
        one.start()
    try:
        turns._SEEN.clear()
        while turns.standing_of(hub).workers < number:
            turns._SEEN.clear()
        yield
    finally:
        stop.set()
        for one in threads:
            one.join()
        turns._SEEN.clear()


@pytest.fixture
def vendors(hub: Hub, company: Company) -> Iterator[dict[str, list[Connection]]]:
    """Four accounts at each of two vendors, and four workers."""
    hub.redis.flushall()
    found = {
        name: [connection(hub, company, name) for _ in range(_WORKERS)]
        for name in ("salesforce", "hubspot")
    }
    with workers(hub, _WORKERS):
        yield found
    hub.redis.flushall()


def rung(hub: Hub) -> list[str]:
    """Give the connections that are rung for."""
    return [job.args[0] for job in Queue(QUEUE, connection=hub.redis).jobs]


def test_living_workers_are_counted(hub: Hub, vendors: dict[str, list[Connection]]) -> None:
    """Each holds a lock of the database while it lives; who has gone is not counted."""
    assert turns.standing_of(hub).workers == _WORKERS
    assert turns.standing_of(hub).vendors >= len(vendors)


def test_a_vendor_leaves_a_worker_to_the_others(
    hub: Hub, vendors: dict[str, list[Connection]]
) -> None:
    """Of four workers it holds three; the fourth of its accounts is put in line, another vendor's is not."""
    with ExitStack() as stack:
        mine = [stack.enter_context(turns.turn(hub, one)).is_mine for one in vendors["salesforce"]]
        other = stack.enter_context(turns.turn(hub, vendors["hubspot"][0])).is_mine

        assert mine == [True, True, True, False]
        assert other


def test_whoever_ends_a_turn_wakes_the_first_in_line(
    hub: Hub, vendors: dict[str, list[Connection]]
) -> None:
    """The account that found no place is rung for when one is free."""
    *first, last = vendors["salesforce"]
    with ExitStack() as stack:
        for one in first:
            stack.enter_context(turns.turn(hub, one))
        with turns.turn(hub, last) as refused:
            assert not refused.is_mine
        before = rung(hub)

    assert before == []
    assert rung(hub) == [last.id]


def test_slow_connections_share_half_of_the_workers(
    hub: Hub, vendors: dict[str, list[Connection]]
) -> None:
    """Of whichever vendors they are."""
    slow = [*vendors["salesforce"][:2], vendors["hubspot"][0]]
    for one in slow:
        hub.redis.set(f"slow:{one.id}", 1, ex=60)
    with ExitStack() as stack:
        mine = [stack.enter_context(turns.turn(hub, one)).is_mine for one in slow]
        quick = stack.enter_context(turns.turn(hub, vendors["hubspot"][1])).is_mine

        assert mine == [True, True, False]
        assert quick


def test_a_quick_batch_makes_a_connection_quick_again(
    hub: Hub, vendors: dict[str, list[Connection]]
) -> None:
    """It is not slow for longer than it is."""
    one = vendors["salesforce"][0]
    hub.redis.set(f"slow:{one.id}", 1, ex=60)

    with turns.turn(hub, one) as turn:
        turn.mark()

    assert not hub.redis.exists(f"slow:{one.id}")


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(workers=1, vendors=5), (False, 1, 1)),
        (Standing(workers=8, vendors=1), (False, 7, 4)),
        (Standing(workers=2, vendors=2), (True, 1, 1)),
        (Standing(workers=8, vendors=5), (True, 7, 4)),
    ],
)
def test_what_may_be_held(standing: Standing, expected: tuple[bool, int, int]) -> None:
    """Nothing is bounded where nobody could be delayed."""
    found = (standing.has_others, standing.of_a_vendor, standing.of_the_slow)

    assert found == expected
