"""Replays are rows, with a lane of their own behind live deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replays",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("selection", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.Column("marked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("marked_until", sa.Text(), server_default="", nullable=False),
        sa.Column("put_back", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "touched_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state in ('counting', 'running', 'done', 'cancelled')", name=op.f("ck_replays_state")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_replays_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index(op.f("ix_replays_tenant_id"), "replays", ["tenant_id"])
    op.create_index("ix_replays_latest", "replays", ["tenant_id", "id"])
    op.create_index(
        "ix_replays_open", "replays", ["touched_at"], postgresql_where="ended_at is null"
    )
    # In one statement with its key: so PostgreSQL knows that there is nothing to check in the rows that are there.
    op.execute(
        "alter table deliveries add column replay_id text"
        " constraint fk_deliveries_replay_id references replays (id) on delete set null"
    )
    op.add_column(
        "deliveries", sa.Column("is_replay", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column(
        "deliveries",
        sa.Column("replayed_from", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )
    op.add_column("deliveries", sa.Column("before_detail", sa.LargeBinary(), nullable=True))
    op.add_column("deliveries", sa.Column("before_candidates", sa.LargeBinary(), nullable=True))
    op.add_column(
        "connections", sa.Column("replays_wake_at", sa.DateTime(timezone=True), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("connections", "replays_wake_at")
    for name in ("replay_id", "is_replay", "replayed_from", "before_detail", "before_candidates"):
        op.drop_column("deliveries", name)
    op.drop_table("replays")
