"""Accounts from the shell: what is set for them, the usual mappings, and what a person approves first."""

from __future__ import annotations

import json

from sqlalchemy import select, update

from hub.context import Hub
from hub.db.connections import Connection
from hub.delivery import gate
from hub.delivery.gate import Gate
from tests.api.calling import connection_of
from tests.cli.commands import Shell
from tests.conftest import new_company


def of_twilio(hub: Hub) -> tuple[str, str]:
    """Make a company with an account whose vendor has settings; gives both ids."""
    tenant_id = new_company(hub).tenant_id
    connection_id = connection_of(hub, tenant_id)
    with hub.tenant(tenant_id) as session:
        session.execute(update(Connection).values(connector="twilio_sms"))
    return tenant_id, connection_id


def kept(hub: Hub, tenant_id: str) -> Connection:
    """Read the company's only account."""
    with hub.tenant(tenant_id) as session:
        return session.scalars(select(Connection)).one()


def test_settings_are_set_shown_and_taken_back(shell: Shell, hub: Hub):
    """Text as it is, everything else as JSON; an empty value goes back to the default."""
    tenant_id, connection_id = of_twilio(hub)
    words = ("--tenant", tenant_id)
    given = ("consent=assumed", "quiet_hours=false", "segments_per_s=3", "share=0.5")

    done = shell("connection", "set", connection_id, *given, "grants.concurrency=20", *words)
    row = kept(hub, tenant_id)
    shown = shell("connection", "show", connection_id, *words, "--json").json()
    back = shell("connection", "set", connection_id, "consent=", "--label", "Texts", *words)

    assert (done.code, back.code) == (0, 0), (done.err, back.err)
    assert row.settings == {"consent": "assumed", "quiet_hours": False, "segments_per_s": 3}
    assert row.budget == {"share": 0.5, "grants": {"concurrency": 20}}
    values = {one["name"]: one["value"] for one in shown["settings"]}
    assert (values["consent"], values["share"]) == ("assumed", 0.5)
    assert "consent" not in kept(hub, tenant_id).settings
    assert kept(hub, tenant_id).label == "Texts"


def test_all_that_is_wrong_is_said_and_nothing_is_changed(shell: Shell, hub: Hub):
    """Exit code 2, a sentence for each; also for what cannot be read, and for another company's account."""
    tenant_id, connection_id = of_twilio(hub)
    words = ("--tenant", tenant_id)

    wrong = shell("connection", "set", connection_id, "consent=perhaps", "colour=1", *words)
    unread = shell("connection", "set", connection_id, "segments_per_s=fast", *words)
    foreign = shell(
        "connection",
        "set",
        connection_id,
        "consent=assumed",
        "--tenant",
        new_company(hub).tenant_id,
    )

    assert (wrong.code, unread.code, foreign.code) == (2, 2, 2)
    assert "consent" in wrong.err
    assert "colour" in wrong.err
    assert "must be JSON" in unread.err
    assert "There is no connection" in foreign.err
    assert kept(hub, tenant_id).settings == {}


def test_accounts_are_listed(shell: Shell, hub: Hub):
    """With their connector and how they are."""
    tenant_id, connection_id = of_twilio(hub)

    [row] = shell("connection", "list", "--tenant", tenant_id, "--json").json()

    assert (row["id"], row["connector"], row["state"]) == (
        connection_id,
        "twilio_sms",
        "needs_reconnect",
    )


def test_the_usual_mappings_are_set_up_for_all_accounts(shell: Shell, hub: Hub):
    """A dry run makes nothing; then they are made; then they are there."""
    tenant_id = new_company(hub).tenant_id
    connection_of(hub, tenant_id)
    words = ("mapping", "playbook", "--tenant", tenant_id, "--json")

    dry, first, second = shell(*words, "--dry-run"), shell(*words), shell(*words)

    assert {one["state"] for one in dry.json()} == {one["state"] for one in first.json()} == {"new"}
    assert all(one["mapping_id"] is None for one in dry.json())
    assert {one["state"] for one in second.json()} == {"there"}
    listed = json.loads(shell("mapping", "list", "--tenant", tenant_id, "--json").out)
    assert {one["id"] for one in listed} == {one["mapping_id"] for one in second.json()}


def test_the_gate_is_shown_and_set(shell: Shell, hub: Hub):
    """What is not said stays as it is."""
    tenant_id = new_company(hub).tenant_id

    before = shell("tenant", "approval", tenant_id)
    shell("tenant", "approval", tenant_id, "--urgency", "80")
    after = shell("tenant", "approval", tenant_id, "--pages", "--json").json()

    assert before.out.strip() == "Only what a mapping itself wants approved is held."
    assert after == {"urgency_at_least": 80, "approve_pages": True}
    assert gate.gate(hub, tenant_id) == Gate(80, pages=True)
