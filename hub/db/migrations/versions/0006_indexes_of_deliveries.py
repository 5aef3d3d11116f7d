"""Indexes of deliveries: for outcomes by record, for replays, and for the lanes in place of the plain order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.db.migrations import beside_writers

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WAITING = "state = 'waiting' and not is_blocked"
_ORDER: list[str | sa.TextClause] = ["is_replay", sa.text("is_urgent desc"), "due_at"]


def upgrade() -> None:
    with beside_writers():
        _make("ix_deliveries_record", ["connection_id", "record_id"], "record_id is not null")
        _make("ix_deliveries_next", ["connection_id", *_ORDER], _WAITING)
        _make("ix_deliveries_next_object", ["connection_id", "object", *_ORDER], _WAITING)
        _make("ix_deliveries_replay", ["replay_id", "state"], "replay_id is not null")
        _drop("ix_deliveries_due", "ix_deliveries_due_object")


def _make(name: str, columns: list[str | sa.TextClause], where: str) -> None:
    op.create_index(
        name,
        "deliveries",
        columns,
        postgresql_where=where,
        postgresql_concurrently=True,
        if_not_exists=True,
    )


def _drop(*names: str) -> None:
    for name in names:
        op.drop_index(name, table_name="deliveries", if_exists=True, postgresql_concurrently=True)


def downgrade() -> None:
    with beside_writers():
        _make("ix_deliveries_due", ["connection_id", "is_urgent", "due_at"], _WAITING)
        _make(
            "ix_deliveries_due_object", ["connection_id", "object", "is_urgent", "due_at"], _WAITING
        )
        _drop(
            "ix_deliveries_next",
            "ix_deliveries_next_object",
            "ix_deliveries_replay",
            "ix_deliveries_record",
        )
