"""The migrations lead from an empty database to the tables that the code knows."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, inspect

from hub.db.migrate import current, is_newest, migrate
from hub.db.schema import metadata


def test_an_empty_database_gets_the_tables_of_the_models(empty: Engine) -> None:
    """After all migrations nothing differs from the models: no table, column, index or default."""
    applied = migrate(empty)

    with empty.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        differences = compare_metadata(context, metadata)
    assert applied
    assert differences == []


def test_the_rules_of_the_models_are_in_the_database(empty: Engine) -> None:
    """Checks, which comparing does not see, have been made under their names."""
    migrate(empty)
    wanted = {
        constraint.name
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }

    found = {
        check["name"]
        for table in metadata.tables
        for check in inspect(empty).get_check_constraints(table)
    }

    assert found == wanted


def test_migrating_again_does_nothing(empty: Engine) -> None:
    """It may run at every start."""
    migrate(empty)

    again = migrate(empty)

    assert again == []
    assert is_newest(empty)


def test_an_empty_database_is_told_apart(empty: Engine) -> None:
    """Before the first migration there is no revision."""
    assert current(empty) is None
    assert not is_newest(empty)
