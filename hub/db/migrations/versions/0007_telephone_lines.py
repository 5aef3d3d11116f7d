"""Telephone numbers, what the voice front end did and recorded, and the caller of an event as a fingerprint."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "phone_numbers",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        *_owned_and_dated("phone_numbers"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_phone_numbers")),
    )
    op.create_table(
        "voice_tool_calls",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        *_owned_and_dated("voice_tool_calls"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voice_tool_calls")),
        sa.UniqueConstraint(
            "tenant_id",
            "call_id",
            "number",
            name=op.f("uq_voice_tool_calls_tenant_id_call_id_number"),
        ),
    )
    op.create_table(
        "call_recordings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        *_owned_and_dated("call_recordings"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_recordings")),
        sa.UniqueConstraint(
            "tenant_id", "call_id", name=op.f("uq_call_recordings_tenant_id_call_id")
        ),
    )
    op.create_table(
        "call_recording_parts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recording_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["call_recordings.id"],
            name=op.f("fk_call_recording_parts_recording_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_call_recording_parts_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_recording_parts")),
    )
    op.create_index(
        op.f("ix_call_recording_parts_recording_id"), "call_recording_parts", ["recording_id"]
    )
    for table in ("phone_numbers", "voice_tool_calls", "call_recordings", "call_recording_parts"):
        op.create_index(op.f(f"ix_{table}_tenant_id"), table, ["tenant_id"])
    op.add_column("events", sa.Column("caller_hash", sa.Text(), nullable=True))


def _owned_and_dated(table: str) -> list[sa.Column[object] | sa.ForeignKeyConstraint]:
    return [
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id"), ondelete="CASCADE"
        ),
    ]


def downgrade() -> None:
    op.drop_column("events", "caller_hash")
    for table in ("call_recording_parts", "call_recordings", "voice_tool_calls", "phone_numbers"):
        op.drop_table(table)
