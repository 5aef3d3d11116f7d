"""Sending again from the shell: counted, asked about, watched, cancelled."""

from __future__ import annotations

import os
import pty
import signal
import subprocess

import pytest
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.base import new_id
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.delivery import replays
from hub.delivery.plan import Incoming, accept
from tests.api.calling import connection_of, mapping_of
from tests.cli.commands import Shell
from tests.conftest import Company
from tests.delivery.connected import LEAD, voicemail
from tests.e2e.installation import COMMAND


@pytest.fixture
def parked(hub: Hub, company: Company) -> Company:
    """A company with three parked deliveries for an account that must be reconnected."""
    connection_id = connection_of(hub, company.tenant_id)
    mapping_of(hub, company.tenant_id, connection_id, LEAD)
    accept(hub, company.tenant_id, [Incoming.of(voicemail(number)) for number in range(3)])
    with hub.tenant(company.tenant_id) as session:
        session.execute(update(Delivery).values(state="parked", reason="No"))
    return company


def states(hub: Hub, company: Company) -> list[str]:
    """Give the states of the company's deliveries."""
    with hub.tenant(company.tenant_id) as session:
        return list(session.scalars(select(Delivery.state)))


def test_a_replay_is_counted_before(shell: Shell, hub: Hub, parked: Company):
    """``--dry-run`` says what it would take and changes nothing."""
    words = ("delivery", "replay", "--state", "parked", "--tenant", parked.tenant_id, "--dry-run")

    people, machines = shell(*words), shell(*words, "--json")

    assert "3 deliveries: 3 parked" in people.err
    assert "Harbor CRM: 3 deliveries, 1 requests, The account no longer accepts us." in people.err
    assert (machines.json()["deliveries"], machines.json()["at_least_s"]) == (3, None)
    assert states(hub, parked) == ["parked"] * 3


def test_a_replay_is_begun_listed_and_cancelled(shell: Shell, hub: Hub, parked: Company):
    """In a pipe nothing is watched; afterwards every row is what it was."""
    tenant = ("--tenant", parked.tenant_id)

    begun = shell("delivery", "replay", "--state", "parked", *tenant, "--yes", "--json").json()
    waiting = states(hub, parked)
    listed = shell("delivery", "replays", *tenant, "--json").json()
    rows = shell("delivery", "list", "--replay", begun["replay"], *tenant, "--json").json()
    done = shell("delivery", "cancel", begun["replay"], *tenant, "--json").json()
    again = shell("delivery", "cancel", begun["replay"], *tenant)

    assert begun["deliveries"] == 3
    assert waiting == ["waiting"] * 3
    assert [(one["id"], one["state"], one["open"]) for one in listed] == [
        (begun["replay"], "running", 3)
    ]
    assert len(rows) == 3
    assert done["put_back"] == 3
    assert states(hub, parked) == ["parked"] * 3
    assert (again.code, "cancelled already" in again.err) == (2, True)


def test_asking_is_the_default(shell: Shell, hub: Hub, parked: Company):
    """Who does not say yes changes nothing."""
    answer = shell(
        "delivery", "replay", "--state", "parked", "--tenant", parked.tenant_id, stdin="n\n"
    )

    assert answer.code == 1
    assert "Send 3 deliveries again?" in answer.err
    assert states(hub, parked) == ["parked"] * 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--connection", "con_nothing"), "no such connection"),
        (("--state", "parked", "--version", "2"), "needs a mapping"),
        (("--state", "parked", "--version", "2", "--newest"), "not both"),
    ],
)
def test_what_cannot_be_sent_again_is_a_sentence(shell: Shell, parked: Company, words, says):
    """Exit code 2, and what is wrong."""
    answer = shell("delivery", "replay", *words, "--tenant", parked.tenant_id)

    assert answer.code == 2
    assert says in answer.err


@pytest.mark.processes
@pytest.mark.parametrize(("reply", "becomes"), [("y", "parked"), ("n", "waiting")])
def test_ctrl_c_asks_whether_to_cancel(
    shell: Shell, hub: Hub, parked: Company, reply: str, becomes: str
):
    """On a terminal it is watched; stopping to watch is not yet cancelling."""
    leader, follower = pty.openpty()
    words = ["delivery", "replay", "--state", "parked", "--tenant", parked.tenant_id, "--yes"]
    process = subprocess.Popen(
        [*COMMAND, *words],
        env=shell.env | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)

    shown = read_until(leader, "0/3")
    process.send_signal(signal.SIGINT)
    asked = read_until(leader, "Cancel what is not sent yet?")
    os.write(leader, f"{reply}\n".encode())
    rest = read_until(leader, None)

    assert process.wait(timeout=30) == 0, shown + asked + rest
    os.close(leader)
    assert "Sending again" in shown + asked
    assert ("3 are what they were before" if reply == "y" else "It goes on") in rest
    assert states(hub, parked) == [becomes] * 3
    (found,) = replays.latest(hub, parked.tenant_id)
    assert found.state.value == ("cancelled" if reply == "y" else "running")


def read_until(leader: int, wanted: str | None) -> str:
    """Read from a terminal until a text stands there, or to its end."""
    found = ""
    while wanted is None or wanted not in found:
        try:
            part = os.read(leader, 4_096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        found += part.decode(errors="replace")
    return found


def test_an_account_is_paused_and_resumed(shell: Shell, hub: Hub, parked: Company):
    """By its id; one that is not there is a sentence."""
    tenant = ("--tenant", parked.tenant_id)
    with hub.tenant(parked.tenant_id) as session:
        connection_id = session.scalars(select(Connection.id)).one()

    assert shell("delivery", "pause", connection_id, *tenant).code == 0
    with hub.tenant(parked.tenant_id) as session:
        paused_by = session.scalars(select(Connection.paused_by)).one()
    assert shell("delivery", "resume", connection_id, *tenant).code == 0
    with hub.tenant(parked.tenant_id) as session:
        resumed = session.scalars(select(Connection.paused_at)).one()
    missing = shell("delivery", "pause", new_id("con"), *tenant)

    assert (paused_by, resumed) == ("command", None)
    assert (missing.code, "There is no connection" in missing.err) == (2, True)
