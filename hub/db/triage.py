"""What people say and do about voicemails: views that they keep, buckets that they correct, calls that they return."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id


class SavedView(TenantOwned, Created, Base):
    """Filters of the inbox that a person keeps under a name; ``query`` is that of the page's address."""

    __tablename__ = "saved_views"
    __table_args__ = (UniqueConstraint("tenant_id", "person_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("viw"))
    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    query: Mapped[str]


class BucketCorrection(TenantOwned, Base):
    """The bucket that a person says a voicemail belongs in, instead of the one that it came with (``was``)."""

    __tablename__ = "bucket_corrections"

    event_id: Mapped[str] = mapped_column(
        ForeignKey("events.id", ondelete="CASCADE"), primary_key=True
    )
    was: Mapped[str]
    bucket: Mapped[str]
    decided_by: Mapped[str]
    decided_at: Mapped[datetime]


class CallBack(TenantOwned, Base):
    """That somebody has called a caller back."""

    __tablename__ = "call_backs"

    event_id: Mapped[str] = mapped_column(
        ForeignKey("events.id", ondelete="CASCADE"), primary_key=True
    )
    called_by: Mapped[str]
    called_at: Mapped[datetime]
