"""The indexes that the inbox is read by: a call's id, a bucket, and what was escalated."""

from __future__ import annotations

from alembic import op

from hub.db.migrations import beside_writers

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with beside_writers():
        op.create_index(
            "ix_events_call",
            "events",
            ["tenant_id", "event_id"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_events_bucket",
            "events",
            ["tenant_id", "bucket", "received_at"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_events_escalated",
            "events",
            ["tenant_id", "received_at"],
            postgresql_where="escalate",
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with beside_writers():
        for name in ("ix_events_escalated", "ix_events_bucket", "ix_events_call"):
            op.drop_index(name, table_name="events", if_exists=True, postgresql_concurrently=True)
