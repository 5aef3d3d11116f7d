"""Replays: put in chunk by chunk, in a lane of their own, cancelled in the middle, gone on with after a crash."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from connectors.record import Write
from connectors.registry import connector
from hub.context import Hub
from hub.db import mappings
from hub.db.base import new_id, now
from hub.db.connections import CallCount, Connection
from hub.db.deliveries import Delivery, State
from hub.db.replays import Replay, ReplayState
from hub.delivery import claim, held, marking, replay, replay_cost, replays, reserve, send, sweep
from hub.delivery.account import Line
from hub.delivery.budget import Budget
from hub.delivery.ledger import ledger
from mappings.document import load
from tests.conftest import new_company
from tests.delivery.connected import (
    LEAD,
    LEAD_AND_TASK,
    MATCHED_LEAD,
    Connected,
    unspent,
    voicemail,
)
from tests.delivery.test_crash import end, wait_until
from tests.delivery.test_send import drain_all, drain_once, existing_lead, hurry, rows
from tests.e2e.installation import environment

PARKED = replay.Selection(state=State.PARKED)
DELIVERED = replay.Selection(state=State.DELIVERED)
URGENT = {"score": 95, "level": "critical"}


def begin(connected: Connected, selection: replay.Selection, **words) -> Replay:
    """Begin a replay as a person does."""
    return replay.begin(
        connected.hub, connected.company.tenant_id, selection, actor="person:1", **words
    )


def look(connected: Connected, made: Replay) -> replays.Progress:
    """Tell how far it is."""
    return replays.progress(connected.hub, connected.company.tenant_id, made.id)


def cancel(connected: Connected, made: Replay) -> replays.Progress:
    """Cancel it."""
    return replays.cancel(connected.hub, connected.company.tenant_id, made.id, actor="person:2")


def change(connected: Connected, *where, **values) -> None:
    """Change rows behind the hub's back."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Delivery).where(*where).values(**values))


def parked(connected: Connected, count: int, text: str = LEAD) -> list[Delivery]:
    """Accept voicemails whose rows the vendor then refused."""
    connected.publish(text)
    connected.accept(*(voicemail(number) for number in range(count)))
    tenant_id = connected.company.tenant_id
    for row in rows(connected):
        detail = f"The vendor said no to {row.id}."
        change(
            connected,
            Delivery.id == row.id,
            state="parked",
            reason="The vendor refused this record",
            reason_path="lead.set.Phone",
            detail=connected.hub.vault.seal_text(
                tenant_id, detail, about=f"deliveries.detail:{row.id}"
            ),
            attempts=3,
        )
    return rows(connected)


def copies(connected: Connected, row: Delivery, count: int) -> None:
    """Make parked rows like one, each with a key of its own, quickly."""
    with connected.hub.engine.begin() as connection:
        connection.execute(
            text(
                "insert into deliveries (id, tenant_id, event_id, connection_id, mapping_id,"
                " mapping_version, step, object, key, state, reason)"
                " select left(id, 16) || lpad(n::text, 14, '0'), tenant_id, event_id, connection_id,"
                " mapping_id, mapping_version, 'copy' || n, object, 'key' || id || n, 'parked', 'No'"
                " from deliveries, generate_series(1, :count) n where id = :id"
            ),
            {"count": count, "id": row.id},
        )


def test_a_replay_tells_how_far_it_is(connected: Connected) -> None:
    """Rows wait, then they are there; the replay ends by itself with what became of each."""
    parked(connected, 3)

    made = begin(connected, PARKED)
    before = look(connected, made)
    drain_all(connected)
    after = look(connected, made)

    assert (before.state, before.counted, before.marked) == (ReplayState.RUNNING, 3, 3)
    assert (before.deliveries, before.open, before.settled) == ({"waiting": 3}, 3, 0)
    assert (after.state, after.deliveries, after.open) == (ReplayState.DONE, {"delivered": 3}, 0)
    assert after.ended_at == max(row.updated_at for row in rows(connected))


def test_a_cancelled_row_is_what_it_was(connected: Connected) -> None:
    """State, reason, place, the vendor's sentence, tries and version are those of before the replay."""
    parked(connected, 2)
    names = ("state", "reason", "reason_path", "detail", "attempts", "mapping_version", "due_at")
    before = [[getattr(row, name) for name in names] for row in rows(connected)]
    connected.publish(MATCHED_LEAD, "Other")
    made = begin(connected, PARKED, version="newest")
    change(connected, reason="Throttled in the meantime", detail=None)

    found = cancel(connected, made)

    assert [[getattr(row, name) for name in names] for row in rows(connected)] == before
    assert (found.state, found.put_back, found.open) == (ReplayState.CANCELLED, 2, 0)
    assert found.ended_at is not None
    assert not any(row.is_replay or row.replay_id or row.replayed_from for row in rows(connected))


def test_cancelling_leaves_what_is_sent_or_with_the_vendor(connected: Connected) -> None:
    """A row in a worker's hands and one in a vendor's job finish, and count as the replay's."""
    first, second, third = parked(connected, 3)
    made = begin(connected, PARKED)
    change(connected, Delivery.id == first.id, state="sending", claim="clm_1", lease_until=now())
    change(connected, Delivery.id == second.id, job="750xx")

    found = cancel(connected, made)

    assert [row.state for row in rows(connected)] == ["sending", "waiting", "parked"]
    assert found.put_back == 1
    assert rows(connected)[2].id == third.id


def test_a_delivered_row_that_is_cancelled_is_delivered(connected: Connected) -> None:
    """Its record, address and time of delivery are kept."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    (before,) = rows(connected)

    cancel(connected, begin(connected, DELIVERED))

    (row,) = rows(connected)
    assert (row.state, row.record_id, row.record_url, row.delivered_at) == (
        State.DELIVERED,
        before.record_id,
        before.record_url,
        before.delivered_at,
    )


def test_a_replay_that_is_over_cannot_be_cancelled(connected: Connected) -> None:
    """Neither a finished one nor one that was cancelled before; nor one that is not there."""
    parked(connected, 1)
    made = begin(connected, PARKED)
    drain_all(connected)
    with pytest.raises(replays.HasEnded, match="done"):
        cancel(connected, made)
    again = begin(connected, DELIVERED)
    cancel(connected, again)
    with pytest.raises(replays.HasEnded, match="cancelled"):
        cancel(connected, again)
    with pytest.raises(replays.NoSuchReplay):
        replays.progress(connected.hub, connected.company.tenant_id, new_id("rpl"))


def test_the_last_of_two_replays_has_the_row(connected: Connected) -> None:
    """It is counted once, and cancelling the second gives back what it was before the first."""
    parked(connected, 2)
    first = begin(connected, PARKED)
    (taken, _) = rows(connected)

    second = begin(connected, replay.Selection(delivery_ids=[taken.id]))

    assert (look(connected, first).deliveries, look(connected, first).taken_over) == (
        {"waiting": 1},
        1,
    )
    assert look(connected, second).deliveries == {"waiting": 1}
    cancel(connected, second)
    assert rows(connected)[0].state == State.PARKED
    assert rows(connected)[0].reason == "The vendor refused this record"


def test_every_replay_by_hand_counts(connected: Connected) -> None:
    """A second one of the same row, right after the first, is a replay of its own."""
    parked(connected, 1)
    selection = replay.Selection(delivery_ids=[rows(connected)[0].id])

    made = [begin(connected, selection) for _ in range(3)]
    drain_all(connected)

    found = replays.latest(connected.hub, connected.company.tenant_id)
    assert [one.id for one in found] == [one.id for one in reversed(made)]
    assert [one.deliveries for one in found] == [{"delivered": 1}, {}, {}]
    assert [one.marked for one in found] == [1, 1, 1]


def test_live_rows_go_before_replayed_ones(connected: Connected) -> None:
    """Rows that come later, urgent and ordinary, are claimed first; replayed ones take the room that is left."""
    parked(connected, 5)
    change(connected, Delivery.id == rows(connected)[0].id, is_urgent=True)
    begin(connected, PARKED)
    connected.accept(voicemail(10), voicemail(11, urgency=URGENT))

    _, found = claim.claim(
        connected.hub,
        connected.company.tenant_id,
        connected.connection.id,
        object_name="Lead",
        at_most=4,
    )

    live, urgent = rows(connected)[-2:]
    if live.is_urgent:
        live, urgent = urgent, live
    assert [row.id for row in found[:2]] == [urgent.id, live.id]
    assert found[2].is_urgent
    assert found[2].id == rows(connected)[0].id


def test_a_bulk_of_urgent_rows_does_not_spend_the_urgent_reserve(connected: Connected) -> None:
    """What was urgent once is not any more, unless a person names it."""
    first, second = parked(connected, 2)
    change(connected, is_urgent=True)
    begin(connected, PARKED)
    bulk = claim.head(connected.hub, first.tenant_id, connected.connection.id, at_most=200)
    begin(connected, replay.Selection(delivery_ids=[second.id]))
    named = claim.head(connected.hub, first.tenant_id, connected.connection.id, at_most=200)

    assert (bulk.is_urgent, bulk.is_replay, bulk.count) == (False, True, 2)
    assert (named.is_urgent, named.is_replay, named.count, named.riders) == (True, False, 1, 1)


@pytest.fixture
def _unspent(hub: Hub) -> Iterator[None]:
    """What a test spends of the account's day is given back: all tests share the account."""
    yield
    unspent(hub)


def spend(connected: Connected, part: float) -> None:
    """Let so much of the day have been spent this morning."""
    (day,) = [
        one for one in Budget(connected.hub).outlook(connected.refreshed()) if one.kind == "day"
    ]
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.add(
            CallCount(
                connection_id=connected.connection.id,
                limit_name=day.name,
                hour=now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=8),
                units=int(day.granted * part),
            )
        )
    connected.hub.redis.flushall()


@pytest.mark.usefixtures("_unspent")
def test_replays_leave_the_last_third_of_a_day_to_live_rows(connected: Connected) -> None:
    """They wait, live rows go on at once, and a full call takes some along where it costs nothing more."""
    parked(connected, 300)
    live = connected.accept(voicemail(900))
    drain_all(connected)
    spend(connected, 0.7)
    made = begin(connected, PARKED)

    drain_once(connected)
    waits = look(connected, made).deliveries
    put_off = connected.refreshed().replays_wake_at
    hurry(connected)
    is_rung_for = connected.connection.id in sweep.sweep(connected.hub)
    connected.accept(voicemail(901))
    drain_once(connected)

    assert live
    assert waits == {"waiting": 300}
    assert put_off > now() + timedelta(minutes=4)
    assert not is_rung_for
    assert [row.state for row in rows(connected)[-1:]] == [State.DELIVERED]
    assert look(connected, made).deliveries == {"waiting": 101, "delivered": 199}


@pytest.mark.usefixtures("_unspent")
def test_without_live_rows_a_replay_may_spend_the_day(connected: Connected) -> None:
    """Nothing is kept for what has not come for a day."""
    parked(connected, 3)
    spend(connected, 0.7)
    made = begin(connected, PARKED)

    drain_all(connected)

    assert look(connected, made).deliveries == {"delivered": 3}


def test_a_replay_under_a_chosen_version(connected: Connected) -> None:
    """Rows are rendered by the very version, older or newer than the published one."""
    mapping_id = connected.publish(LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    for company in ("Two", "Three"):
        with connected.hub.tenant(connected.company.tenant_id) as session:
            mappings.save(
                session,
                connection_id=connected.connection.id,
                name="Lead",
                document=load(LEAD.replace("[not given]", company)),
                source=LEAD,
                author="command",
                mapping_id=mapping_id,
            )

    begin(connected, replay.Selection(mapping_id=mapping_id), version=2)
    drain_all(connected)

    (lead,) = connected.sandbox.records("Lead")
    assert lead["fields"]["Company"] == "Two"
    assert rows(connected)[0].mapping_version == 2


def test_a_version_that_lacks_the_step_parks_the_row(connected: Connected) -> None:
    """And says what is missing; nothing is sent."""
    mapping_id = connected.publish(LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        mappings.save(
            session,
            connection_id=connected.connection.id,
            name="Lead",
            document=load(LEAD.replace("id: lead", "id: person")),
            source=LEAD,
            author="command",
            mapping_id=mapping_id,
        )

    made = begin(connected, replay.Selection(mapping_id=mapping_id), version=2)
    drain_all(connected)

    (row,) = rows(connected)
    assert (row.state, row.reason_path) == (State.PARKED, "steps")
    assert look(connected, made).deliveries == {"parked": 1}


def test_versions_that_are_not_there_are_refused(connected: Connected) -> None:
    """A number needs a mapping, and the mapping that number."""
    mapping_id = connected.publish(LEAD)

    with pytest.raises(replay.NoSuchVersion, match="no version 7"):
        begin(connected, replay.Selection(mapping_id=mapping_id), version=7)
    with pytest.raises(replay.NoSuchVersion, match="needs a mapping"):
        begin(connected, PARKED, version=1)


def test_what_hangs_on_a_parked_step_waits_and_says_so(connected: Connected) -> None:
    """The count tells it before, the row's reason after; with the parent it goes through."""
    connected.publish(LEAD_AND_TASK)
    connected.accept(voicemail(1))
    change(connected, Delivery.step == "lead", state="parked", reason="No")
    change(connected, Delivery.step == "callback", state="parked", reason="No", is_blocked=False)
    task = next(row for row in rows(connected) if row.step == "callback")
    only_task = replay.Selection(delivery_ids=[task.id])
    hub, tenant_id = connected.hub, connected.company.tenant_id

    alone = replay_cost.estimate(hub, tenant_id, only_task)
    both = replay_cost.estimate(hub, tenant_id, PARKED)
    made = begin(connected, only_task)
    drain_once(connected)
    stuck = look(connected, made)
    (waiting,) = [row for row in rows(connected) if row.step == "callback"]
    begin(connected, PARKED)
    drain_all(connected)

    assert (alone.will_wait, both.will_wait) == (1, 0)
    assert (stuck.open, stuck.blocked) == (1, 1)
    assert "its step lead is parked" in waiting.reason
    assert {row.state for row in rows(connected)} == {State.DELIVERED}
    assert look(connected, made).state is ReplayState.DONE


def test_a_row_whose_other_step_was_just_done_is_let_go(connected: Connected) -> None:
    """The record came while the row was put in, so nobody unblocked it: the sweep does."""
    connected.publish(LEAD_AND_TASK)
    connected.accept(voicemail(1))
    drain_all(connected)
    begin(connected, DELIVERED)
    change(connected, Delivery.step == "callback", is_blocked=True)

    replays.tend(connected.hub)

    assert not any(row.is_blocked for row in rows(connected))


@pytest.mark.usefixtures("_unspent")
def test_a_count_says_what_it_would_take(connected: Connected) -> None:
    """Rows by state and account, the calls of full batches, and how long the account's day makes it last."""
    parked(connected, 1)
    copies(connected, rows(connected)[0], 999)

    found = replay_cost.estimate(connected.hub, connected.company.tenant_id, PARKED)

    (share,) = found.shares
    assert (found.rows, found.by_state, found.will_wait) == (1000, {"parked": 1000}, 0)
    assert (share.rows, share.units, share.at_least_s) == (1000, {"requests": 5}, 0.0)
    spend(connected, 0.8)
    (share,) = replay_cost.estimate(connected.hub, connected.company.tenant_id, PARKED).shares
    assert share.at_least_s > 0


def test_ten_thousand_rows_are_put_in_behind_the_answer(connected: Connected) -> None:
    """The first chunk at once, the rest by a worker; then all of them wait, or all are what they were."""
    parked(connected, 1)
    copies(connected, rows(connected)[0], 9_999)

    made = begin(connected, PARKED)
    at_once = look(connected, made)
    replays.go_on(connected.hub, made.id)
    later = look(connected, made)
    cancel(connected, made)
    while not look(connected, made).ended_at:
        replays.go_on(connected.hub, made.id)
    cancelled = look(connected, made)

    assert (at_once.state, at_once.counted) == (ReplayState.COUNTING, 10_000)
    assert at_once.marked == marking.CHUNK
    assert (later.state, later.deliveries) == (ReplayState.RUNNING, {"waiting": 10_000})
    assert (cancelled.put_back, cancelled.open) == (10_000, 0)
    assert ledger(connected.hub, connected.company.tenant_id).deliveries["parked"] == 10_000


def test_only_what_was_there_is_meant(connected: Connected) -> None:
    """Rows that come, and rows that change, after it was asked for are not put in."""
    parked(connected, 1)
    copies(connected, rows(connected)[0], marking.CHUNK + 10)
    made = begin(connected, PARKED)
    moved = rows(connected)[marking.CHUNK + 5]
    change(connected, Delivery.id == moved.id, updated_at=now(), reason="Something else")
    connected.accept(voicemail(50))
    change(connected, Delivery.id == rows(connected)[-1].id, state="parked")

    replays.go_on(connected.hub, made.id)

    found = look(connected, made)
    left = [row.id for row in rows(connected) if row.state == State.PARKED]
    assert sorted(left) == sorted([moved.id, rows(connected)[-1].id])
    assert found.marked == found.counted - 1
    assert found.note.startswith("1 of ")


def test_a_row_that_somebody_held_is_put_in_in_the_end(connected: Connected, hub: Hub) -> None:
    """Passed over while another transaction had it, and not forgotten."""
    first, *_ = parked(connected, 3)
    with hub.engine.begin() as other:
        other.execute(text("select 1 from deliveries where id = :id for update"), {"id": first.id})
        made = begin(connected, PARKED)
        meanwhile = look(connected, made)

    replays.go_on(hub, made.id)

    assert (meanwhile.state, meanwhile.marked) == (ReplayState.COUNTING, 2)
    assert (look(connected, made).state, look(connected, made).marked) == (ReplayState.RUNNING, 3)


def test_nothing_of_another_tenant_is_reached(hub: Hub, connected: Connected) -> None:
    """By ids, connection, mapping, event or the replay's own id: nothing is counted, touched or shown."""
    (row,) = parked(connected, 1)
    made = begin(connected, PARKED)
    change(connected, state="parked")
    stranger = new_company(hub).tenant_id

    ids = replay.begin(hub, stranger, replay.Selection(delivery_ids=[row.id]), actor="person:9")
    for foreign in (
        replay.Selection(connection_id=row.connection_id),
        replay.Selection(mapping_id=row.mapping_id),
        replay.Selection(event_id=row.event_id),
    ):
        with pytest.raises(replay.NotThere):
            replay.begin(hub, stranger, foreign, actor="person:9")
        with pytest.raises(replay.NotThere):
            replay_cost.estimate(hub, stranger, foreign)
        assert replay.count(hub, stranger, foreign) == 0
        assert replay.replay(hub, stranger, foreign, actor="person:9") == 0
    with pytest.raises(replay.NoSuchVersion):
        replay.count(hub, stranger, replay.Selection(mapping_id=row.mapping_id), 1)
    with pytest.raises(replays.NoSuchReplay):
        replays.cancel(hub, stranger, made.id, actor="person:9")
    assert replays.advance(hub, stranger, made.id)

    assert replays.progress(hub, stranger, ids.id).counted == 0
    assert [one.id for one in replays.latest(hub, stranger)] == [ids.id]
    assert rows(connected)[0].state == State.PARKED


def test_what_led_to_nothing_is_planned_anew_and_undone(connected: Connected) -> None:
    """Under the newest mappings a dropped event gets its rows; cancelled, it leads to nothing again."""
    connected.accept(voicemail(1), voicemail(2))
    connected.publish(LEAD)
    dropped = replay.Selection(state=State.DROPPED)

    made = begin(connected, dropped, version="newest")
    planned = [(row.state, row.step, row.is_replay) for row in rows(connected)]
    cancel(connected, made)

    assert planned == [("waiting", "lead", True)] * 2
    assert {row.state for row in rows(connected)} == {State.DROPPED}
    assert ledger(connected.hub, connected.company.tenant_id).is_ok


@pytest.mark.parametrize("mode", ["if_empty", "never"])
def test_a_changed_match_field_overwrites_nothing(connected: Connected, mode: str) -> None:
    """The record of a delivered row is found by its key, though the number that matched it was changed since."""
    connected.publish(
        MATCHED_LEAD.replace(
            '{text: "{summary}", max: 32000}', f'{{text: "{{summary}}", update: {mode}}}'
        )
    )
    connected.accept(voicemail(1))
    drain_all(connected)
    (row,) = rows(connected)
    edit(connected, row.record_id, Description="Ours now", Phone="+14155550999")
    with connected.hub.engine.begin() as connection:
        connection.execute(text("delete from record_links"))

    begin(connected, DELIVERED)
    drain_all(connected)

    (lead,) = connected.sandbox.records("Lead")
    assert lead["fields"]["Description"] == "Ours now"
    assert lead["id"] == rows(connected)[0].record_id


def test_a_persons_own_record_is_not_left_for_a_new_one(connected: Connected) -> None:
    """A record that was matched, not made, by us and no longer matches is updated all the same, and carefully."""
    theirs = existing_lead(
        connected, LastName="W1", Company="X", Phone="+14155550001", Description="Theirs"
    )
    connected.publish(
        MATCHED_LEAD.replace(
            '{text: "{summary}", max: 32000}', '{text: "{summary}", update: if_empty}'
        )
    )
    connected.accept(voicemail(1))
    drain_all(connected)
    edit(connected, theirs, Phone="+14155550999")

    begin(connected, DELIVERED)
    drain_all(connected)

    (lead,) = connected.sandbox.records("Lead")
    assert (lead["id"], lead["fields"]["Description"]) == (theirs, "Theirs")


def edit(connected: Connected, record_id: str, **fields: str) -> None:
    """Change a lead in the account, as a salesperson does."""
    line = Line(connected.hub, connected.refreshed(), Budget(connected.hub))
    write = Write(key="", object="Lead", fields=fields, record_id=record_id)
    (outcome,) = line.call(lambda account: connector("salesforce").write(account, [write]))
    assert outcome.error is None


def test_a_choice_that_was_made_is_not_undone(connected: Connected) -> None:
    """A row that the replay parked and a person then decided is live: cancelling leaves it."""
    parked(connected, 1)
    made = begin(connected, PARKED)
    (row,) = rows(connected)
    other = begin(connected, replay.Selection(delivery_ids=[row.id]))
    for name in ("W", "X"):
        existing_lead(connected, LastName="W0", Company=name, Phone="+14155550000")
    with connected.hub.tenant(connected.company.tenant_id) as session:
        mappings.save(
            session,
            connection_id=connected.connection.id,
            name="Lead",
            document=load(MATCHED_LEAD),
            source=MATCHED_LEAD,
            author="command",
            mapping_id=row.mapping_id,
        )
    cancel(connected, other)
    third = begin(connected, PARKED, version="newest")
    drain_all(connected)
    assert rows(connected)[0].reason == "Several records match"

    held.choose(connected.hub, row.tenant_id, row.id, None, actor="person:1")
    fourth = begin(connected, replay.Selection(connection_id=row.connection_id))

    assert look(connected, made).marked == 1
    assert look(connected, third).taken_over == 1
    assert not rows(connected)[0].is_replay
    cancel(connected, fourth)
    assert rows(connected)[0].state == State.WAITING


@pytest.mark.parametrize("is_noticed", [True, False])
def test_claiming_is_quick_behind_many_replayed_rows(connected: Connected, is_noticed) -> None:
    """The next batch is read off an index in order, whether PostgreSQL has noticed yet how many wait behind it."""
    parked(connected, 1)
    copies(connected, rows(connected)[0], 20_000)
    with connected.hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as one:
        if not is_noticed:
            one.execute(text("analyze deliveries"))
        change(connected, state="waiting", is_replay=True, is_blocked=False)
        if is_noticed:
            one.execute(text("analyze deliveries"))
    with connected.hub.engine.begin() as one:
        one.execute(claim._IN_ORDER)
        plan = "\n".join(
            one.execute(
                text("explain " + claim.claim_statement(None)),
                {
                    "claim": "clm_1",
                    "lease_until": now(),
                    "connection_id": connected.connection.id,
                    "tenant_id": connected.company.tenant_id,
                    "object": "Lead",
                    "at_most": 200,
                    "with_replays": True,
                },
            ).scalars()
        )

    assert "ix_deliveries_next" in plan
    assert "Sort" not in plan


@pytest.mark.processes
def test_a_process_killed_while_it_puts_rows_in(connected: Connected, hub: Hub) -> None:
    """SIGKILL in mid-chunk: the sweep finds the replay, another goes on, every row is in it once."""
    parked(connected, 1)
    copies(connected, rows(connected)[0], 29_999)
    made = begin(connected, PARKED)
    code = (
        "import sys; from hub.context import process_hub; from hub.delivery import replays;"
        " replays.go_on(process_hub(), sys.argv[1])"
    )
    settings = hub.settings
    process = subprocess.Popen(
        [sys.executable, "-c", code, made.id],
        stdout=subprocess.PIPE,
        env=environment(
            settings.data_dir,
            AFTERBEEP_DATABASE_URL=settings.database_url.get_secret_value(),
            AFTERBEEP_REDIS_URL=settings.redis_url.get_secret_value(),
        ),
    )
    wait_until(lambda: look(connected, made).marked > marking.CHUNK)
    end(process)
    killed = look(connected, made)
    hub.redis.flushall()
    with hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Replay).values(touched_at=now() - timedelta(seconds=6)))

    forsaken = replays.tend(hub)
    while look(connected, made).state is ReplayState.COUNTING:
        replays.go_on(hub, made.id)

    found = look(connected, made)
    with hub.tenant(connected.company.tenant_id) as session:
        in_it = session.scalars(select(Delivery.replay_id)).all()
    assert killed.marked < 30_000
    assert made.id in forsaken
    assert (found.marked, found.deliveries) == (30_000, {"waiting": 30_000})
    assert set(in_it) == {made.id}


def test_nothing_is_sent_while_it_is_put_back(connected: Connected) -> None:
    """From the moment when somebody cancels; afterwards other replays go on."""
    parked(connected, 2)
    made = begin(connected, PARKED)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Replay).values(state="cancelled"))
        reserve.hold(session)

    send.drain(connected.hub, connected.connection.id)
    meanwhile = look(connected, made)
    replays.go_on(connected.hub, made.id)

    assert (meanwhile.deliveries, meanwhile.ended_at) == ({"waiting": 2}, None)
    assert look(connected, made).put_back == 2
    assert connected.refreshed().replays_wake_at is None


def test_a_cancelled_replay_that_nobody_put_back_is_finished(connected: Connected) -> None:
    """Who cancelled died in the middle: the sweep rings, and the rest goes back."""
    parked(connected, 2)
    made = begin(connected, PARKED)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Replay).values(state="cancelled", touched_at=now() - timedelta(minutes=1))
        )

    forsaken = replays.tend(connected.hub)
    replays.go_on(connected.hub, made.id)

    assert made.id in forsaken
    assert look(connected, made).put_back == 2
    assert {row.state for row in rows(connected)} == {State.PARKED}


def test_a_paused_account_keeps_its_replay(connected: Connected) -> None:
    """Nothing is sent and nothing is lost; the count says why."""
    parked(connected, 1)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Connection).values(paused_at=now()))
    made = begin(connected, PARKED)
    send.drain(connected.hub, connected.connection.id)

    (share,) = replay_cost.estimate(
        connected.hub, connected.company.tenant_id, replay.Selection(state=State.WAITING)
    ).shares

    assert look(connected, made).deliveries == {"waiting": 1}
    assert share.at_least_s is None
    assert "Paused" in share.problem
