"""Outcomes: what became of records, how far vendors were asked, and where they report."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _tenant(table: str) -> list[sa.Column[str] | sa.ForeignKeyConstraint]:
    """Give the column of the tenant that owns a row."""
    return [
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id"), ondelete="CASCADE"
        ),
    ]


def _belongs(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE"
    )


def _at(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    # The foreign keys below lock both: in the order in which accepting an event does, or the two could wait for each other.
    op.execute("lock table events, deliveries in share row exclusive mode")
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        _at("at"),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("is_success", sa.Boolean(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column(
            "seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        *_tenant("outcomes"),
        sa.CheckConstraint(
            "kind in ('touched', 'closed', 'reopened', 'failed')", name=op.f("ck_outcomes_kind")
        ),
        sa.CheckConstraint("source in ('webhook', 'poll')", name=op.f("ck_outcomes_source")),
        _belongs("outcomes", "delivery_id", "deliveries"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
        sa.UniqueConstraint(
            "delivery_id", "kind", "at", name=op.f("uq_outcomes_delivery_id_kind_at")
        ),
    )
    op.create_index(op.f("ix_outcomes_tenant_id"), "outcomes", ["tenant_id"])
    op.create_index(
        "uq_outcomes_current",
        "outcomes",
        ["delivery_id", "kind"],
        unique=True,
        postgresql_where="is_current",
    )
    op.create_table(
        "page_verdicts",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("is_false", sa.Boolean(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        _at("decided_at"),
        *_tenant("page_verdicts"),
        _belongs("page_verdicts", "event_id", "events"),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_page_verdicts")),
    )
    op.create_index(op.f("ix_page_verdicts_tenant_id"), "page_verdicts", ["tenant_id"])
    op.create_table(
        "outcome_polls",
        sa.Column("connection_id", sa.Text(), nullable=False),
        _at("looked_until"),
        _at("due_at"),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        _at("reported_at", nullable=True),
        _at("subscribe_at"),
        _at("looked_after_at", nullable=True),
        *_tenant("outcome_polls"),
        _belongs("outcome_polls", "connection_id", "connections"),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_outcome_polls")),
    )
    op.create_index(op.f("ix_outcome_polls_tenant_id"), "outcome_polls", ["tenant_id"])
    op.create_index("ix_outcome_polls_due", "outcome_polls", ["due_at"])
    op.create_table(
        "record_checks",
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        _at("wanted_at"),
        *_tenant("record_checks"),
        _belongs("record_checks", "connection_id", "connections"),
        sa.PrimaryKeyConstraint(
            "connection_id", "object", "record_id", name=op.f("pk_record_checks")
        ),
    )
    op.create_index(op.f("ix_record_checks_tenant_id"), "record_checks", ["tenant_id"])
    op.create_index("ix_record_checks_wanted", "record_checks", ["connection_id", "wanted_at"])
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        _at("expires_at", nullable=True),
        sa.Column("state", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        _at("renewed_at", nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        *_tenant("subscriptions"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        _belongs("subscriptions", "connection_id", "connections"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("connection_id", name=op.f("uq_subscriptions_connection_id")),
    )
    op.create_index(op.f("ix_subscriptions_tenant_id"), "subscriptions", ["tenant_id"])


def downgrade() -> None:
    op.drop_table("subscriptions")
    op.drop_table("record_checks")
    op.drop_table("outcome_polls")
    op.drop_table("page_verdicts")
    op.drop_table("outcomes")
