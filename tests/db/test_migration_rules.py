"""Each migration can run while the last release serves: the rules, and that they see what breaks them."""

from __future__ import annotations

from types import ModuleType

import pytest
from alembic import op
from alembic.script import Script, ScriptDirectory

from hub.db.migrate import config
from hub.db.migrations import beside_writers, needs_code_of
from tests.db.migration_rules import problems, statements

_SCRIPT = ScriptDirectory.from_config(config())
#: The first one makes the tables: there was no release before it.
_REVISIONS = [one for one in reversed(list(_SCRIPT.walk_revisions())) if one.down_revision]


@pytest.mark.parametrize("revision", _REVISIONS, ids=lambda one: one.revision)
def test_a_migration_runs_beside_the_last_release(revision: Script) -> None:
    """It takes nothing away, asks nothing new of the last release's inserts, and locks no table for long."""
    assert statements(revision.module)
    assert problems(revision.module) == []


def test_migrations_are_numbered_in_their_order() -> None:
    """A number of four digits, one more than the last, and a file that begins with it."""
    numbers = [one.revision for one in _REVISIONS]
    files = [str(one.path).rpartition("/")[2] for one in _REVISIONS]

    assert numbers == [f"{place:04}" for place in range(2, len(numbers) + 2)]
    assert [name.partition("_")[0] for name in files] == numbers


@pytest.mark.parametrize(
    "statement",
    [
        "alter table deliveries drop column reason",
        "drop table attempts",
        "alter table deliveries rename column reason to why",
        "alter table deliveries alter column attempts type bigint",
        "alter table deliveries alter column job set not null",
        "alter table deliveries add column lane text not null",
        "alter table deliveries add constraint ck_deliveries_lane check (attempts >= 0)",
        "create index ix_deliveries_lane on deliveries (lane)",
        "create index concurrently ix_deliveries_lane on deliveries (lane)",
        "drop index ix_deliveries_state",
        "update deliveries set reason = null",
    ],
)
def test_what_breaks_the_last_release_is_seen(statement: str) -> None:
    """Each of these would stop or break a hub that runs."""
    assert problems(_migration(statement))


def test_an_index_shares_its_migration_with_nothing() -> None:
    """Half of it could be done when it fails, and could not be done again."""
    module = ModuleType("a_migration")

    def upgrade() -> None:
        op.execute("alter table deliveries add column lane text")
        with beside_writers():
            op.execute("create index concurrently if not exists ix_lane on deliveries (lane)")

    module.upgrade = upgrade

    assert len(problems(module)) == 1


def test_taking_away_is_a_migration_that_says_which_code_it_needs() -> None:
    """With the note it is fine, and without it is not."""
    without = _migration("alter table deliveries drop column reason")
    without.PHASE = "contract"
    noted = ModuleType("a_migration")
    noted.PHASE = "contract"

    def upgrade() -> None:
        op.execute("alter table deliveries drop column reason")
        needs_code_of("0006")

    noted.upgrade = upgrade

    assert len(problems(without)) == 1
    assert problems(noted) == []


def _migration(statement: str) -> ModuleType:
    module = ModuleType("a_migration")
    module.upgrade = lambda: op.execute(statement)
    return module
