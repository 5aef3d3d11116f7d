"""Voicemails with outcomes, made without a vendor: for facts about how they are counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.context import Hub
from hub.db.base import new_id
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.outcomes import Kind, Outcome, PageVerdict
from tests.conftest import Company


@dataclass
class Story:
    """Voicemails of one company, and what became of them."""

    hub: Hub
    company: Company

    def connection(self, connector: str) -> str:
        """Connect an account on paper; gives its id."""
        row = Connection(
            id=new_id("con"),
            tenant_id=self.company.tenant_id,
            connector=connector,
            label=connector,
            login_url="http://127.0.0.1:9",
            health=Health.NEEDS_RECONNECT.value,
        )
        with self.hub.tenant(self.company.tenant_id) as session:
            session.add(row)
        return row.id

    def voicemail(
        self,
        at: datetime,
        *,
        to: tuple[str, str] | None = None,
        bucket: str = "new_lead",
        is_false: bool | None = None,
        **spans: timedelta,
    ) -> str:
        """Leave a voicemail; gives its id.

        ``to`` are connection and object of a delivered action. ``spans`` say how long after the voicemail which
        outcome came: ``touched``, ``closed``, ``lost``, ``reopened``.
        """
        event = StoredEvent(
            id=new_id("evt"),
            tenant_id=self.company.tenant_id,
            source="/tests",
            event_id=new_id("evn"),
            type="com.afterbeep.voicemail.completed.v1",
            time=at,
            received_at=at + timedelta(seconds=2),
            body_hash="-",
            body=b"-",
            bucket=bucket,
            urgency_score=40,
            urgency_level="normal",
            escalate=False,
            planned=1 if to else 0,
        )
        with self.hub.tenant(self.company.tenant_id) as session:
            session.add(event)
            session.flush()
            if to is not None:
                delivery = self._delivery(event, *to)
                session.add(delivery)
                session.flush()
                for name, span in spans.items():
                    session.add(self._outcome(delivery, name, at + span, "reopened" in spans))
            if is_false is not None:
                session.add(
                    PageVerdict(
                        event_id=event.id, is_false=is_false, decided_by="person:1", decided_at=at
                    )
                )
        return event.id

    def _delivery(self, event: StoredEvent, connection_id: str, name: str) -> Delivery:
        return Delivery(
            id=new_id("dlv"),
            tenant_id=self.company.tenant_id,
            event_id=event.id,
            connection_id=connection_id,
            step=new_id("step"),
            object=name,
            key=new_id("key"),
            state=State.DELIVERED.value,
            record_id=new_id("rec"),
            delivered_at=event.received_at,
            created_at=event.received_at,
            updated_at=event.received_at,
        )

    def _outcome(
        self,
        delivery: Delivery,
        name: str,
        at: datetime,
        is_reopened: bool,  # noqa: FBT001 - one of two stories
    ) -> Outcome:
        kind = Kind.CLOSED if name == "lost" else Kind(name)
        return Outcome(
            tenant_id=self.company.tenant_id,
            delivery_id=delivery.id,
            kind=kind.value,
            at=at,
            result=name,
            is_success=name != "lost",
            is_current=kind is Kind.TOUCHED or not is_reopened,
            source="poll",
        )
