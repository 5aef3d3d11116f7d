"""The index that finds the earlier events of a caller; only events with a caller's number are in it."""

from __future__ import annotations

from alembic import op

from hub.db.migrations import beside_writers

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with beside_writers():
        op.create_index(
            "ix_events_caller",
            "events",
            ["tenant_id", "caller_hash", "received_at"],
            postgresql_where="caller_hash is not null",
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with beside_writers():
        op.drop_index(
            "ix_events_caller", table_name="events", if_exists=True, postgresql_concurrently=True
        )
