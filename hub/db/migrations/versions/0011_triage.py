"""What people say and do about voicemails: kept views, corrected buckets, calls returned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_views",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
            name=op.f("fk_saved_views_person_id"),
            ondelete="CASCADE",
        ),
        _tenant("saved_views"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint(
            "tenant_id", "person_id", "name", name=op.f("uq_saved_views_tenant_id_person_id_name")
        ),
    )
    op.create_index(op.f("ix_saved_views_person_id"), "saved_views", ["person_id"])
    op.create_table(
        "bucket_corrections",
        _event(),
        sa.Column("was", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        *_of_event("bucket_corrections"),
    )
    op.create_table(
        "call_backs",
        _event(),
        sa.Column("called_by", sa.Text(), nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        *_of_event("call_backs"),
    )
    for table in ("saved_views", "bucket_corrections", "call_backs"):
        op.create_index(op.f(f"ix_{table}_tenant_id"), table, ["tenant_id"])


def _event() -> sa.Column[str]:
    return sa.Column("event_id", sa.Text(), nullable=False)


def _of_event(table: str) -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f(f"fk_{table}_event_id"), ondelete="CASCADE"
        ),
        _tenant(table),
        sa.PrimaryKeyConstraint("event_id", name=op.f(f"pk_{table}")),
    ]


def _tenant(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id"), ondelete="CASCADE"
    )


def downgrade() -> None:
    for table in ("call_backs", "bucket_corrections", "saved_views"):
        op.drop_table(table)
