"""What people say of pages: that one was right, or false. The false-page rate is made of these."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from hub.context import Hub
from hub.db import audit
from hub.db.base import now
from hub.db.events import StoredEvent
from hub.db.outcomes import PageVerdict
from hub.delivery.figures import has_paged


class NoSuchVoicemail(LookupError):
    """The tenant has no voicemail of this id."""


class PagedNobody(Exception):
    """The voicemail has not paged anybody; there is nothing to judge."""


def give(hub: Hub, tenant_id: str, event_id: str, *, is_false: bool | None, actor: str) -> None:
    """Say whether a voicemail's page was false; None takes back what was said.

    Raises NoSuchVoicemail and PagedNobody. Saying it again changes only who said it last, and when.
    """
    with hub.tenant(tenant_id) as session:
        found = session.scalars(select(StoredEvent.id).where(StoredEvent.id == event_id)).first()
        if found is None:
            raise NoSuchVoicemail(event_id)
        if not has_paged(session, event_id):
            raise PagedNobody(event_id)
        if is_false is None:
            session.execute(delete(PageVerdict).where(PageVerdict.event_id == event_id))
        else:
            values = {"is_false": is_false, "decided_by": actor, "decided_at": now()}
            session.execute(
                insert(PageVerdict)
                .values(event_id=event_id, tenant_id=tenant_id, **values)
                .on_conflict_do_update(index_elements=["event_id"], set_=values)
            )
        audit.record(
            session,
            actor=actor,
            action="page.judged",
            target=event_id,
            facts={"is_false": is_false},
        )
