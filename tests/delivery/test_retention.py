"""What callers said is removed when its time is over, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from hub.context import Hub
from hub.db import audit
from hub.db.audit import AuditRow
from hub.db.base import now
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.telephone import CallRecording, RecordingPart, VoiceToolCall
from hub.delivery import replay
from hub.delivery.ledger import ledger
from hub.delivery.plan import Incoming, accept
from hub.voice import recordings, retention, tool_calls
from hub.voice.settings import VoiceSettings, save
from hub.voice.tool_calls import Used
from mappings.event import Event
from tests.api.speaking import wav
from tests.conftest import Company
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.delivery.test_send import drain_all


def take(hub: Hub, tenant_id: str, *events: Event) -> list[str]:
    """Accept events; gives our ids."""
    return [one.id for one in accept(hub, tenant_id, [Incoming.of(event) for event in events])]


def age(hub: Hub, tenant_id: str, *, days: int) -> None:
    """Let so many days go by for all that the tenant has."""
    back = timedelta(days=days)
    with hub.tenant(tenant_id) as session:
        session.execute(update(StoredEvent).values(received_at=StoredEvent.received_at - back))
        for kind in (CallRecording, VoiceToolCall):
            session.execute(update(kind).values(created_at=kind.created_at - back))


def leave(hub: Hub, tenant_id: str, call_id: str) -> None:
    """Leave a recording and a tool call behind."""
    recordings.keep(hub, tenant_id, call_id, media_type="audio/wav", sound=wav(), actor="voice")
    tool_calls.keep(hub, tenant_id, call_id, [Used(1, now(), "end_call", {}, {}, None, 1.0)])


def left(hub: Hub, tenant_id: str) -> dict[str, int]:
    """Count what is left of what callers said."""
    with hub.tenant(tenant_id) as session:
        counts = {
            kind.__tablename__: session.scalar(select(func.count()).select_from(kind)) or 0
            for kind in (CallRecording, RecordingPart, VoiceToolCall)
        }
        bodies = session.scalar(
            select(func.count())
            .select_from(StoredEvent)
            .where(func.octet_length(StoredEvent.body) > 0)
        )
    return counts | {"bodies": bodies or 0}


def noted(hub: Hub, tenant_id: str) -> dict[str, int]:
    """Add up what the audit log says was removed."""
    sums = {"events": 0, "recordings": 0, "tool_calls": 0}
    with hub.tenant(tenant_id) as session:
        for facts in session.scalars(
            select(AuditRow.facts).where(AuditRow.action == "retention.applied")
        ):
            sums = {name: sums[name] + facts[name] for name in sums}
    return sums


def test_only_what_is_older_is_removed(hub: Hub, company: Company) -> None:
    """Two of three calls are older than the tenant keeps them; the third stays whole."""
    tenant_id = company.tenant_id
    for number in (1, 2):
        take(hub, tenant_id, voicemail(number))
        leave(hub, tenant_id, f"CA{number}")
    age(hub, tenant_id, days=31)
    take(hub, tenant_id, voicemail(3))
    leave(hub, tenant_id, "CA3")

    removed = retention.remove(hub, tenant_id, days=30)

    assert removed == retention.Removed(events=2, recordings=2, tool_calls=2)
    assert noted(hub, tenant_id) == removed.counts()
    assert set(left(hub, tenant_id).values()) == {1}
    with hub.tenant(tenant_id) as session:
        hashes = session.scalars(select(StoredEvent.caller_hash)).all()
    assert len([one for one in hashes if one]) == 1
    assert ledger(hub, tenant_id).is_ok
    assert retention.remove(hub, tenant_id, days=30) == retention.Removed()


def test_only_tenants_who_want_it_lose_anything(hub: Hub, company: Company) -> None:
    """Null keeps everything; a number of days counts from the next round on."""
    tenant_id = company.tenant_id
    take(hub, tenant_id, voicemail(1))
    age(hub, tenant_id, days=400)
    save(hub, tenant_id, VoiceSettings(hints=("Whitfield",)), revision=None, actor="command")
    retention.remove_all(hub)
    before = left(hub, tenant_id)["bodies"]

    save(hub, tenant_id, VoiceSettings(retention_days=365), revision=None, actor="command")
    retention.remove_all(hub)

    assert (before, left(hub, tenant_id)["bodies"]) == (1, 0)


def test_the_sweep_removes_beside_its_work(hub: Hub, company: Company) -> None:
    """The thread of the sweep does it by itself, and stops when told to."""
    take(hub, company.tenant_id, voicemail(1))
    age(hub, company.tenant_id, days=2)
    save(hub, company.tenant_id, VoiceSettings(retention_days=1), revision=None, actor="command")
    stop = threading.Event()
    thread = threading.Thread(target=retention.run, args=(hub, stop))
    thread.start()
    until = time.monotonic() + 20
    while left(hub, company.tenant_id)["bodies"] and time.monotonic() < until:
        time.sleep(0.02)
    stop.set()
    thread.join(20)

    assert not thread.is_alive()
    assert left(hub, company.tenant_id)["bodies"] == 0


@pytest.mark.parametrize("state", list(State))
def test_an_event_is_kept_while_its_deliveries_wait(
    hub: Hub, company: Company, state: State
) -> None:
    """For a worker or a person; what is done, dropped or refused needs it no more."""
    take(hub, company.tenant_id, voicemail(1))
    age(hub, company.tenant_id, days=31)
    with hub.tenant(company.tenant_id) as session:
        session.execute(
            update(Delivery).values(
                state=state.value,
                claim="c" if state is State.SENDING else None,
                record_id="r" if state is State.DELIVERED else None,
            )
        )

    removed = retention.remove(hub, company.tenant_id, days=30).events

    is_open = state in {State.HELD, State.WAITING, State.SENDING, State.PARKED}
    assert removed == (0 if is_open else 1)


def test_what_was_expunged_is_not_sent_again(connected: Connected) -> None:
    """A replay passes over it, the record at the vendor stays, and what the vendor said is gone."""
    hub, tenant_id = connected.hub, connected.company.tenant_id
    connected.publish(LEAD)
    connected.accept(voicemail(1), voicemail(2))
    drain_all(connected)
    with hub.tenant(tenant_id) as session:
        session.execute(update(Delivery).values(detail=b"sealed"))
    age(hub, tenant_id, days=31)
    retention.remove(hub, tenant_id, days=30)
    connected.accept(voicemail(3))

    chosen = replay.Selection(connection_id=connected.connection.id)
    counts = [replay.count(hub, tenant_id, chosen, version) for version in ("kept", "newest")]
    replay.replay(hub, tenant_id, chosen, actor="command")
    drain_all(connected)

    with hub.tenant(tenant_id) as session:
        rows = session.execute(select(Delivery.state, Delivery.detail)).all()
    assert counts == [1, 1]
    assert [row.state for row in rows] == ["delivered"] * 3
    assert not any(row.detail for row in rows)
    assert len(connected.sandbox.records("Lead", limit=1000)) == 3
    assert ledger(hub, tenant_id).is_ok


def test_a_row_whose_event_was_expunged_meanwhile_says_so(connected: Connected) -> None:
    """Should it come to that, a person reads why nothing can be sent."""
    hub, tenant_id = connected.hub, connected.company.tenant_id
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    with hub.tenant(tenant_id) as session:
        session.execute(update(StoredEvent).values(body=b"", expunged_at=now()))

    drain_all(connected)

    with hub.tenant(tenant_id) as session:
        row = session.scalars(select(Delivery)).one()
        assert row.state == State.PARKED
        said = hub.vault.open_text(tenant_id, row.detail, about=f"deliveries.detail:{row.id}")
    assert "has been removed" in f"{row.reason} {said}"


def test_an_expunged_event_is_still_known_by_its_sender(hub: Hub, company: Company) -> None:
    """Posted again it is the one that was taken; something else under its id is a conflict."""
    sent = voicemail(1)
    [event_id] = take(hub, company.tenant_id, sent)
    age(hub, company.tenant_id, days=31)
    retention.remove(hub, company.tenant_id, days=30)

    [again] = accept(hub, company.tenant_id, [Incoming.of(sent)])
    other = sent.model_copy(update={"subject": "other"})
    [changed] = accept(hub, company.tenant_id, [Incoming.of(other)])

    assert (again.status, again.id) == ("known", event_id)
    assert changed.status == "conflict"


@pytest.mark.processes
def test_killed_in_the_middle_it_is_finished_by_the_next(
    hub: Hub, company: Company, root: Path
) -> None:
    """However often: what the audit log says was removed is what is gone, and its chain holds."""
    tenant_id, number = company.tenant_id, 60
    take(hub, tenant_id, *(voicemail(one) for one in range(number)))
    for one in range(number // 2):
        leave(hub, tenant_id, f"CA{one}")
    age(hub, tenant_id, days=31)
    seen = []
    for moment in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.delivery.retention_process", tenant_id],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "AFTERBEEP_DATABASE_URL": hub.settings.database_url.get_secret_value(),
                "AFTERBEEP_REDIS_URL": hub.settings.redis_url.get_secret_value(),
                "AFTERBEEP_DATA_DIR": str(hub.settings.data_dir),
                "AFTERBEEP_LOG_LEVEL": "error",
            },
        )
        process.stdout.readline()
        time.sleep(0.03 + 0.03 * moment)
        process.kill()
        process.wait()
        process.stdout.close()
        seen.append((number - left(hub, tenant_id)["bodies"], noted(hub, tenant_id)["events"]))

    retention.remove(hub, tenant_id, days=30)

    assert all(gone == told for gone, told in seen), seen
    assert noted(hub, tenant_id) == {"events": 60, "recordings": 30, "tool_calls": 30}
    assert set(left(hub, tenant_id).values()) == {0}
    with hub.tenant(tenant_id) as session:
        assert audit.first_break(session) is None
    assert ledger(hub, tenant_id).is_ok
