"""What all tables share: names of constraints, ids, times and the tenant column."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime, ForeignKey, LargeBinary, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from hub import clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """Make an id such as ``evt_01jd…``: sorts by time, 80 random bits, safe in URLs."""
    return _written(prefix, int(clock.seconds() * 1_000) << 80 | int.from_bytes(os.urandom(10)))


def first_id(prefix: str, at: datetime) -> str:
    """Give the smallest id that could have been made at a moment: ids from then on sort at or behind it."""
    return _written(prefix, int(at.timestamp() * 1_000) << 80)


def _written(prefix: str, number: int) -> str:
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def now() -> datetime:
    """Give the present moment, aware and in UTC."""
    return datetime.fromtimestamp(clock.seconds(), UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: DateTime(timezone=True),
        bytes: LargeBinary,
        dict[str, Any]: JSONB,
        list[str]: JSONB,
    }


class TenantOwned:
    """Mixin of every table whose rows belong to one tenant; ``tenancy`` confines all queries on it."""

    @declared_attr
    def tenant_id(self) -> Mapped[str]:
        """The tenant that owns the row."""
        return mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)


class Created:
    """Mixin for the moment a row was made."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
