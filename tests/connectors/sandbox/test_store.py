"""The sandbox's memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.sandbox.limits import LimitRule, Limits
from connectors.sandbox.store import Store


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "box.sqlite", key_field="our_key")
    yield store
    store.close()


def test_a_second_record_of_a_key_is_told(store):
    """Whatever a sandbox enforces, its statistics would show a duplicate."""
    store.insert("a", "Lead", "1", {"our_key": "k"})
    store.insert("a", "Lead", "2", {"our_key": "k"})
    store.insert("a", "Task", "3", {"our_key": "k"})

    assert store.duplicate_keys() == [{"account": "a", "object": "Lead", "key": "k", "created": 2}]


def test_updates_are_no_duplicates(store):
    """Writing to the same record again is what should happen."""
    record = store.insert("a", "Lead", "1", {"our_key": "k", "x": 1})
    record = store.update(record, {"x": 2, "y": "new"})
    store.update(record, {"y": None})

    assert store.duplicate_keys() == []
    assert store.key_writes() == (1, 2)
    assert store.get("Lead", "1").fields == {"our_key": "k", "x": 2}


def test_a_failed_transaction_leaves_nothing(store):
    """All of a batch or none of it."""

    def write_and_fail() -> None:
        with store.transaction():
            store.insert("a", "Lead", "1", {"our_key": "k"})
            with store.transaction():
                store.insert("a", "Lead", "2", {"our_key": "l"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()

    assert store.counts() == {}
    assert store.key_writes() == (0, 0)


def test_accounts_are_apart(store):
    """A look-up sees the records of its account only."""
    store.insert("a", "Lead", "1", {"Phone": "+14155550132"})
    store.insert("b", "Lead", "2", {"Phone": "+14155550132"})

    assert [r.id for r in store.find("a", "Lead", {"Phone": "+14155550132"})] == ["1"]
    assert store.get("Lead", "2", account="a") is None


def test_many_values_are_found_at_once(store):
    """More values than SQLite takes in one statement are asked in parts."""
    for number in range(1_200):
        store.insert("a", "Lead", str(number), {"our_key": f"k{number}"})

    found = store.find_any("a", "Lead", "our_key", [f"K{n}" for n in range(1_200)])

    assert [r.id for r in found] == [str(n) for n in range(1_200)]


def test_an_index_is_used(store):
    """Look-ups by key must not read every record."""
    rows = store._db.execute(
        "EXPLAIN QUERY PLAN SELECT id FROM records WHERE account = ? AND object = ? AND "
        "json_extract(fields, '$.\"our_key\"') = ? COLLATE NOCASE",
        ("a", "Lead", "k"),
    ).fetchall()

    assert "by_our_key" in str(rows)


def test_field_names_are_checked(store):
    """A name with signs of SQL never reaches the database."""
    with pytest.raises(ValueError, match="not a field name"):
        store.find("a", "Lead", {"x') OR 1=1 --": "y"})


def test_limits_survive_a_restart(tmp_path):
    """A vendor does not forget what was used because we restarted."""
    rules = (LimitRule("requests", 3, 86_400.0),)
    store = Store(tmp_path / "box.sqlite", key_field="k")
    Limits(store, rules).take("a", {"requests": 2})
    store.close()
    again = Store(tmp_path / "box.sqlite", key_field="k")
    limits = Limits(again, rules)

    assert limits.take("a", {"requests": 2})["requests"].is_over
    assert not limits.take("a", {"requests": 1})["requests"].is_over
    assert not limits.take("b", {"requests": 3})["requests"].is_over
    again.close()


def test_a_refused_call_spends_nothing(tmp_path):
    """When one limit refuses, the others are not charged."""
    store = Store(tmp_path / "box.sqlite", key_field="k")
    limits = Limits(store, (LimitRule("burst", 1, 10.0), LimitRule("day", 100, 86_400.0)))
    limits.take("a", {"burst": 1, "day": 1})
    refused = limits.take("a", {"burst": 1, "day": 1})

    assert refused["burst"].is_over
    assert limits.usage("a", "day").used == 1
    store.close()
