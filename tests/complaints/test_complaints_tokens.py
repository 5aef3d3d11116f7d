"""Complaints about tokens: refreshed too often, garbled, remembered too long, or given up in silence."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from hub.db.base import now
from tests.complaints.firm import Firm, holds, processes
from tests.e2e.installation import Installation

pytestmark = pytest.mark.processes

TOKEN_PATH = "/services/oauth2/token"
#: Sessions that hold a transaction open without doing anything in it.
IDLE = """
select count(*) from pg_stat_activity
where datname = current_database() and state like 'idle in transaction%' and pid <> pg_backend_pid()
"""


def expire(firm: Firm) -> None:
    """Let the access token be over, here and at the vendor."""
    over = now() - timedelta(minutes=1)
    firm.change(token_expires_at=over, token_refreshed_at=over - timedelta(hours=2))
    firm.sandbox.post("expire")


def fields(firm: Firm) -> dict:
    """Ask for the fields of a lead as the mapping editor does, from the vendor and not from memory."""
    path = f"/v1/connections/{firm.connection_id}/objects/Lead/fields"
    return firm.get(path, refresh=True)


def test_complaint_1_many_at_once_refresh_a_token_once(firm: Firm) -> None:
    """Parallel work refreshed one token several times in a second and left a dead credential.

    Ten requests in two hub processes and a worker need the token of an account that takes each refresh token only once.
    """
    firm.ready()
    firm.sandbox.set(rotates_refresh=True)
    firm.sandbox.fault(kind="slow", seconds=0.7, path=TOKEN_PATH)
    before = firm.tokens("refreshed"), firm.tokens("refused")
    expire(firm)

    with ThreadPoolExecutor(11) as pool:
        asked = [pool.submit(fields, firm) for _ in range(10)]
        firm.post(3)
        problems = {one.result()["problem"] for one in asked}
    firm.delivered(3)
    firm.sandbox.set(rotates_refresh=False)

    assert problems == {None}
    assert (firm.tokens("refreshed") - before[0], firm.tokens("refused") - before[1]) == (1, 0)
    assert firm.seen()["state"] == "healthy"


def test_complaint_2_no_database_connection_waits_for_the_token_server(
    one: Installation, firm: Firm
) -> None:
    """A lock held through the call to the token server pins a database connection; here nothing is held open."""
    firm.ready()
    firm.sandbox.fault(kind="slow", seconds=1.5, path=TOKEN_PATH)
    expire(firm)
    firm.post(1)
    holds(lambda: firm.connection().refresh_lease is not None)
    idle = []
    while firm.connection().refresh_lease is not None:
        with one.hub.engine.connect() as connection:
            idle.append(connection.execute(text(IDLE)).scalar_one())
        time.sleep(0.05)
    firm.delivered(1)

    assert len(idle) > 3
    # A statement that is just under way is seen now and then; what waits for the vendor is seen every time.
    assert min(idle) == 0


def test_complaint_3_every_process_uses_the_new_token(firm: Firm) -> None:
    """A refreshed token was stored, and others went on with the old one from their memory.

    The hub refreshes; workers that have used the old token do not present it once more.
    """
    firm.ready()
    firm.post(2)
    firm.delivered(2)
    expire(firm)

    assert fields(firm)["problem"] is None
    before = firm.statuses(401)
    for number in (3, 4, 5):
        firm.post(1)
        firm.delivered(number)

    assert firm.statuses(401) == before


def test_complaint_4_a_person_reads_what_to_do(firm: Firm) -> None:
    """The vendor's raw error code told nobody anything. Here: which account, and that it must be connected again.

    It stands in the alert too, though nobody has set up a webhook; the voicemail waits, and is delivered afterwards.
    """
    firm.ready()
    firm.sandbox.post("revoke")
    firm.post(1)
    holds(lambda: firm.seen()["state"] == "needs_reconnect")
    holds(lambda: "connection.needs_reconnect" in firm.alerts())
    seen, (waiting,) = firm.seen(), firm.deliveries()

    assert seen["reason"].endswith("Connect the account again.")
    assert "invalid_grant" not in str(seen)
    assert (waiting["state"], waiting["attempts"]) == ("waiting", 0)
    before = firm.connection_id
    assert firm.connect() == before
    firm.delivered(1)


def test_complaint_5_a_refresh_that_dies_is_not_in_the_way(one: Installation, firm: Firm) -> None:
    """A refresh that hung blocked every later one until the server was restarted.

    The process that refreshes is killed; when its lease is over, another one does it.
    """
    firm.ready()
    firm.sandbox.fault(kind="slow", seconds=3, path=TOKEN_PATH)
    expire(firm)
    firm.post(1)
    holds(lambda: firm.connection().refresh_lease is not None)
    for worker in processes(one, "worker"):
        worker.kill()

    firm.change(refresh_lease_until=now() - timedelta(seconds=1))

    firm.delivered(1)


def test_complaints_6_and_9_a_refresh_that_does_not_help_is_not_repeated(firm: Firm) -> None:
    """Refreshing succeeded, the token was refused all the same: an endless loop, or silence until a redeploy.

    Here it is tried twice at most, then a person is asked; connecting again helps, and no restart is needed.
    """
    firm.ready()
    usual_s = firm.settings()["token_lifetime_s"]
    firm.sandbox.set(token_lifetime_s=0.001)
    expire(firm)
    version = firm.connection().token_version
    firm.post(1)
    holds(lambda: firm.seen()["state"] == "needs_reconnect")
    for _ in range(3):
        firm.hurry()
        time.sleep(1.1)  # the sweep looks once a second

    firm.sandbox.set(token_lifetime_s=usual_s)

    # Each refresh makes a version; the vendor counts those of other companies too.
    assert 1 <= firm.connection().token_version - version <= 2
    assert firm.states() == {"waiting": 1}
    firm.connect()
    firm.delivered(1)


def test_complaint_10_fields_are_listed_with_an_expired_token(firm: Firm) -> None:
    """The editor's list of fields stayed empty until somebody authorised again; here it refreshes like a delivery."""
    firm.ready()
    firm.sandbox.post("expire")

    found = fields(firm)

    assert found["problem"] is None
    assert "LastName" in {one["name"] for one in found["items"]}
    assert firm.seen()["state"] == "healthy"
