"""The index that finds the attempts of the last hour, in place of one that found all of a tenant's."""

from __future__ import annotations

from alembic import op

from hub.db.migrations import beside_writers

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with beside_writers():
        op.create_index(
            "ix_attempts_at",
            "attempts",
            ["tenant_id", "at"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index(
            "ix_attempts_tenant_id",
            table_name="attempts",
            if_exists=True,
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with beside_writers():
        op.create_index(
            "ix_attempts_tenant_id",
            "attempts",
            ["tenant_id"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index(
            "ix_attempts_at", table_name="attempts", if_exists=True, postgresql_concurrently=True
        )
