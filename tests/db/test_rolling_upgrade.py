"""Old code on a new schema, and new code on an old one."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from hub.cli.opening import check_tables
from hub.context import Hub
from hub.db.migrate import PATIENCE, Standing, current, migrate, standing
from hub.settings import SettingsProblem

# What the first release said to the database to take an event, to claim its row and to settle it. It stays as it was.
_TENANT = """
insert into tenants (id, slug, name, vertical, timezone, is_phi, settings, plan_revision)
values ('ten_1', 'harbor', 'Harbor Home Services', 'home_services', 'UTC', false, '{}', 1)
"""
_CONNECTION = """
insert into connections (id, tenant_id, connector, label, login_url, settings, granted_scopes, todos, budget, health,
                         health_at, failures, token_version, refresh_failures)
values ('con_1', 'ten_1', 'crm', 'CRM', '-', '{}', '[]', '[]', '{}', 'healthy', now(), 0, 0, 0)
"""
_ACCEPT = """
with taken as (
    insert into events (id, tenant_id, source, event_id, type, body_hash, body, bucket, urgency_score, urgency_level,
                        escalate, planned)
    values (:id, 'ten_1', '/tests', :id, 'voicemail', '-', 'sealed', 'new_lead', 30, 'normal', false, 1)
    returning id
)
insert into deliveries (id, tenant_id, event_id, connection_id, step, object, key, state, is_urgent)
select 'dlv_' || :id, 'ten_1', id, 'con_1', 'lead', 'Lead', :id, 'waiting', false from taken
"""
_CLAIM = """
update deliveries d set state = 'sending', claim = :claim, lease_until = now() + interval '60 s', updated_at = now()
from (
    select id from deliveries
    where connection_id = 'con_1' and tenant_id = 'ten_1' and object = 'Lead'
      and state = 'waiting' and not is_blocked and due_at <= now()
    order by is_urgent desc, due_at limit 5 for update skip locked
) as due
where d.id = due.id
returning d.id
"""
_SETTLE = """
update deliveries set state = 'delivered', claim = null, lease_until = null, record_id = 'rec_' || id,
       delivered_at = now(), updated_at = now(), attempts = attempts + 1
where claim = :claim
"""
_ATTEMPT = """
insert into attempts (tenant_id, delivery_id, batch, batch_size, ms, outcome)
select 'ten_1', id, :claim, 5, 12.5, 'created' from deliveries where id = any(:ids)
"""


class FirstRelease:
    """Takes and delivers events as the first release did, for as long as it is let."""

    def __init__(self, engine: Engine) -> None:
        """Begin."""
        self._engine = engine
        self.is_over = threading.Event()
        self.done: Counter[str] = Counter()
        self.errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(act,)) for act in (self._take, self._send)
        ]
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        """Let it end."""
        self.is_over.set()
        for one in self._threads:
            one.join(60)

    def wait_for_more(self) -> None:
        """Come back when both halves have done something again."""
        before = Counter(self.done)
        while self._is_as(before) and not self.errors:
            self.is_over.wait(0.02)

    def _is_as(self, before: Counter[str]) -> bool:
        return any(self.done[act] <= before[act] + 2 for act in ("taken", "sent"))

    def _run(self, act) -> None:
        try:
            while not self.is_over.is_set():
                act()
                self.is_over.wait(0.005)
        except BaseException as err:  # noqa: BLE001 - told by the test
            self.errors.append(err)

    def _take(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(_ACCEPT), {"id": uuid4().hex})
        self.done["taken"] += 1

    def _send(self) -> None:
        claim = uuid4().hex
        with self._engine.begin() as connection:
            ids = connection.execute(text(_CLAIM), {"claim": claim}).scalars().all()
        with self._engine.begin() as connection:
            connection.execute(text(_SETTLE), {"claim": claim})
            connection.execute(text(_ATTEMPT), {"claim": claim, "ids": ids})
        self.done["sent"] += len(ids)


def test_the_first_release_works_on_while_the_tables_become_todays(empty: Engine) -> None:
    """It takes, claims and settles before, during and after the migration, and not one statement fails."""
    migrate(empty, to="0001")
    with empty.begin() as connection:
        for statement in (_TENANT, _CONNECTION):
            connection.execute(text(statement))
    release = FirstRelease(empty)
    release.wait_for_more()

    applied = migrate(empty)
    release.wait_for_more()
    release.stop()

    assert release.errors == []
    assert applied[-1] == "0002"
    assert standing(empty) is Standing.NEWEST
    with empty.connect() as connection:
        rows = connection.execute(text("select count(*) from deliveries")).scalar()
        tried = connection.execute(text("select count(*) from attempts")).scalar()
    assert rows == release.done["taken"]
    assert tried == release.done["sent"]


def test_a_migration_gives_way_before_deadlocks_are_looked_for(empty: Engine) -> None:
    """Otherwise it might be the other's transaction that PostgreSQL ends, which is at work for a caller."""
    asked = text(
        "select cast(:patience as interval) < current_setting('deadlock_timeout')::interval"
    )
    with empty.connect() as connection:
        assert connection.execute(asked, {"patience": PATIENCE}).scalar()


def test_a_migration_gives_way_to_a_long_transaction(empty: Engine) -> None:
    """It lets others by while somebody reads for long, and is through when they are done."""
    migrate(empty, to="0001")
    with empty.connect() as reader:
        reader.execute(text("select count(*) from deliveries"))  # holds its lock until it ends
        thread = threading.Thread(target=migrate, args=(empty,))
        thread.start()
        with empty.connect() as other:  # queues behind the migration, until that gives way
            numbers = [
                other.execute(text("select count(*) from deliveries")).scalar() for _ in range(5)
            ]
            other.rollback()
        is_waiting = thread.is_alive()
        reader.rollback()
    thread.join(60)

    assert numbers == [0] * 5
    assert is_waiting
    assert standing(empty) is Standing.NEWEST


def test_migrations_from_two_hosts_do_not_block_each_other(empty: Engine) -> None:
    """One migrates, the other waits without being waited for, and finds nothing left to do."""
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(migrate(empty))) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)

    assert sorted(map(bool, found)) == [False, True]
    assert standing(empty) is Standing.NEWEST


def test_an_index_that_was_not_finished_is_made_anew(empty: Engine) -> None:
    """What a migration left behind that died while it made an index is no index, and is in nobody's way."""
    migrate(empty, to="0005")
    with empty.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("create index ix_deliveries_replay on deliveries (step)"))
        connection.execute(
            text(
                "update pg_index set indisvalid = false where indexrelid = 'ix_deliveries_replay'::regclass"
            )
        )

    migrate(empty)

    with empty.connect() as connection:
        made = connection.execute(
            text("select pg_get_indexdef('ix_deliveries_replay'::regclass)")
        ).scalar()
    assert "replay_id, state" in str(made)


def test_new_code_does_not_start_on_old_tables(empty: Engine, hub: Hub) -> None:
    """It says in one sentence what to do."""
    migrate(empty, to="0001")
    on_old = replace(hub, engine=empty)

    with pytest.raises(SettingsProblem, match="Run: afterbeep migrate"):
        check_tables(on_old, is_ours=False)
    assert standing(empty) is Standing.OLDER


def test_code_starts_on_tables_of_the_next_release(empty: Engine, hub: Hub) -> None:
    """A worker of this release that is started again during an upgrade goes on; until its columns are taken away."""
    migrate(empty)
    newest = current(empty)
    with empty.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9001'"))
    after_adding = standing(empty)
    check_tables(replace(hub, engine=empty), is_ours=False)
    with empty.begin() as connection:
        connection.execute(text(f"comment on table alembic_version is 'needs code of {newest}'"))
    still = standing(empty)
    with empty.begin() as connection:
        connection.execute(text("comment on table alembic_version is 'needs code of 9001'"))

    assert (after_adding, still) == (Standing.NEWER, Standing.NEWER)
    assert standing(empty) is Standing.TOO_NEW
    with pytest.raises(SettingsProblem, match="cannot work beside"):
        check_tables(replace(hub, engine=empty), is_ours=False)
