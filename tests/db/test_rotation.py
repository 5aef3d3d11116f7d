"""After a rotation everything sealed is under the newest key, and the hub has worked all the while."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import LargeBinary, select, update

from hub.context import Hub
from hub.db import rotation
from hub.db.alerts import WebhookEndpoint
from hub.db.audit import AuditRow
from hub.db.base import new_id
from hub.db.events import StoredEvent
from hub.db.subscriptions import HeldSubscription
from hub.db.telephone import CallRecording, RecordingPart, VoiceToolCall
from hub.db.vault import DataKey, Vault, key_number, read_master_keys
from hub.delivery import replay
from hub.delivery.plan import Incoming, accept
from hub.oauth import flow
from tests.conftest import Company, new_company
from tests.db.rows import owned
from tests.delivery.conftest import connected, salesforce_sandbox
from tests.delivery.connected import LEAD, MATCHED_LEAD, Connected, voicemail
from tests.delivery.test_send import drain_all, existing_lead, rows

__all__ = ["connected", "salesforce_sandbox"]


def numbers(hub: Hub, tenant_id: str) -> dict[str, set[int]]:
    """Give the data keys that each column's values are sealed with."""
    with hub.tenant(tenant_id) as session:
        return {
            one.name: {
                key_number(value)
                for value in session.scalars(select(one.column).where(one.column.is_not(None)))
            }
            for one in rotation.SEALED
        }


@pytest.fixture
def used(connected: Connected) -> Connected:
    """A company with a value in every sealed column."""
    hub, company = connected.hub, connected.company
    for name in ("W", "X"):
        existing_lead(connected, LastName="Whitfield", Company=name, Phone="+14155550001")
    connected.publish(MATCHED_LEAD)
    connected.accept(voicemail(1), voicemail(1), voicemail(2))
    drain_all(connected)
    parked = [row.id for row in rows(connected) if row.candidates]
    again = replay.Selection(delivery_ids=parked[:1])
    replay.replay(hub, company.tenant_id, again, actor="person:1")
    flow.begin(hub, company.tenant_id, company.person_id, "salesforce")
    endpoint_id, subscription_id = new_id("whk"), new_id("sub")
    sealed = {
        name: hub.vault.seal_text(
            company.tenant_id, "whsec_bWFkZSB1cA==", about=f"webhook_endpoints.{name}:{endpoint_id}"
        )
        for name in ("secret", "previous_secret")
    }
    with hub.tenant(company.tenant_id) as session:
        session.add(WebhookEndpoint(id=endpoint_id, url="https://alerts.harbor.example", **sealed))
        session.add(
            HeldSubscription(
                id=subscription_id,
                connection_id=connected.connection.id,
                url="https://afterbeep.example/hooks",
                secret=hub.vault.seal_text(
                    company.tenant_id, "shh", about=f"subscriptions.secret:{subscription_id}"
                ),
            )
        )
    _add_call(hub, company.tenant_id)
    return connected


def _add_call(hub: Hub, tenant_id: str) -> None:
    """Keep a tool call and a recording of one part."""
    tool_id, recording_id = new_id("vtc"), new_id("rec")
    said = hub.vault.seal_text(tenant_id, "{}", about=f"voice_tool_calls.body:{tool_id}")
    part_id = f"{recording_id}.0000"
    sound = hub.vault.seal(tenant_id, b"RIFF", about=f"call_recording_parts.body:{part_id}")
    with hub.tenant(tenant_id) as session:
        session.add(
            VoiceToolCall(
                id=tool_id, call_id="CA1", number=1, tool="end_call", sha256="-", body=said
            )
        )
        session.add(
            CallRecording(
                id=recording_id, call_id="CA1", media_type="audio/wav", size_bytes=4, sha256="-"
            )
        )
        session.flush()
        session.add(RecordingPart(id=part_id, recording_id=recording_id, body=sound))


def test_every_sealed_column_is_known() -> None:
    """A new column of bytes is either sealed, and rotated, or named here."""
    binary = {
        f"{mapper.local_table.name}.{column.name}"
        for mapper in owned()
        for column in mapper.local_table.columns
        if isinstance(column.type, LargeBinary)
    }

    assert binary == {one.name for one in rotation.SEALED} | {"data_keys.wrapped"}


def test_everything_is_sealed_anew_and_still_opens(used: Connected) -> None:
    """Tokens, bodies, sentences, candidates and connecting flows; the connection goes on delivering."""
    hub, tenant_id = used.hub, used.company.tenant_id

    counts = rotation.rotate(hub, tenant_id, settle_s=0)
    sealed = numbers(hub, tenant_id)
    used.publish(LEAD, name="More")
    replay.replay(hub, tenant_id, replay.Selection(connection_id=used.connection.id), actor="me")
    used.accept(voicemail(3))
    drain_all(used)

    assert set(counts) == {one.name for one in rotation.SEALED} | {rotation.UNREADABLE}
    assert counts.pop(rotation.UNREADABLE) == 0
    assert all(counts.values()), counts
    assert all(found == {2} for found in sealed.values())
    assert all(found <= {2} for found in numbers(hub, tenant_id).values())
    assert {row.state for row in rows(used)} == {"delivered", "parked"}


def test_old_keys_retire_but_the_first(hub: Hub, company: Company) -> None:
    """The first makes fingerprints; the others are marked when nothing is sealed with them."""
    for number in range(3):
        accept(hub, company.tenant_id, [Incoming.of(voicemail(number))])
        rotation.rotate(hub, company.tenant_id, settle_s=0)

    with hub.tenant(company.tenant_id) as session:
        found = session.scalars(select(DataKey).order_by(DataKey.number)).all()
        noted = session.scalars(select(AuditRow.action)).all()
    assert [row.retired_at is not None for row in found] == [False, True, True, False]
    assert noted == ["keys.rotated"] * 3


def test_an_interrupted_rotation_is_finished_first(hub: Hub, company: Company) -> None:
    """What was left under the old key is sealed with the key that is there; no third one is made."""
    accept(hub, company.tenant_id, [Incoming.of(voicemail(number)) for number in range(450)])
    hub.vault.rotate(company.tenant_id)
    with hub.tenant(company.tenant_id) as session:
        first = session.scalars(select(StoredEvent).order_by(StoredEvent.id).limit(1)).one()
        about = f"events.body:{first.id}"
        plain = hub.vault.open(company.tenant_id, first.body, about=about)
        first.body = hub.vault.seal(company.tenant_id, plain, about=about)

    counts = rotation.rotate(hub, company.tenant_id, settle_s=0)

    assert counts["events.body"] == 449
    assert numbers(hub, company.tenant_id)["events.body"] == {2}
    assert rotation.rotate(hub, company.tenant_id, settle_s=0)["events.body"] == 450


def test_a_broken_value_stops_nothing(hub: Hub, company: Company) -> None:
    """It is counted and left as it is; the rest is sealed anew, and the next rotation makes a new key."""
    (broken, *_) = accept(
        hub, company.tenant_id, [Incoming.of(voicemail(number)) for number in range(3)]
    )
    with hub.tenant(company.tenant_id) as session:
        session.execute(
            update(StoredEvent)
            .where(StoredEvent.id == broken.id)
            .values(body=b"\x01\x00\x00\x00\x01" + bytes(40))
        )

    first = rotation.rotate(hub, company.tenant_id, settle_s=0)
    second = rotation.rotate(hub, company.tenant_id, settle_s=0)

    assert (first["events.body"], first[rotation.UNREADABLE]) == (2, 1)
    assert (second["events.body"], second[rotation.UNREADABLE]) == (2, 1)


def test_other_tenants_are_left_alone(hub: Hub, company: Company) -> None:
    """Only the tenant's own values change."""
    other = new_company(hub)
    accept(hub, other.tenant_id, [Incoming.of(voicemail(1))])
    accept(hub, company.tenant_id, [Incoming.of(voicemail(1))])

    rotation.rotate(hub, company.tenant_id, settle_s=0)

    assert numbers(hub, other.tenant_id)["events.body"] == {1}


def test_events_are_accepted_and_read_meanwhile(hub: Hub, company: Company) -> None:
    """Another process goes on accepting with the key that it knows; nothing becomes unreadable."""
    accept(hub, company.tenant_id, [Incoming.of(voicemail(number)) for number in range(100)])
    own = Vault(hub.engine, read_master_keys(hub.settings))
    stop = threading.Event()
    problems: list[Any] = []
    taken: list[str] = []

    def work() -> None:
        other = replace(hub, vault=own)
        while not stop.is_set():
            try:
                (found,) = accept(other, company.tenant_id, [Incoming.of(voicemail(1))])
                taken.append(found.id)
                stop.wait(0.01)  # each is sealed anew too: without a pause there would be ever more
            except Exception as err:  # noqa: BLE001 - a thread's error must reach the test
                problems.append(err)
                return

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(2):
        rotation.rotate(hub, company.tenant_id, settle_s=0)
    stop.set()
    thread.join()

    with hub.tenant(company.tenant_id) as session:
        for row in session.scalars(select(StoredEvent)):
            assert hub.vault.open(company.tenant_id, row.body, about=f"events.body:{row.id}")
    assert problems == []
    assert taken
