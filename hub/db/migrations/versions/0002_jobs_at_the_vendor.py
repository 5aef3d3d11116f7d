"""A delivery may be in a job that the vendor still works on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("job", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("deliveries", "job")
