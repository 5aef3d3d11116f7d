"""The inbox and one voicemail: what is shown, in how many queries, and who is known to have read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.base import now
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.delivery.plan import Incoming, accept
from hub.web.inbox import PAGE_SIZE
from tests.conftest import new_company
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.web.visitor import Page, Visitor, signed_in


def take(hub: Hub, visitor: Visitor, *events: object) -> list[str]:
    """Accept events for a visitor's company, one after the other; gives their ids."""
    return [
        accept(hub, visitor.company.tenant_id, [Incoming.of(one)])[0].id  # type: ignore[arg-type]  # events they are
        for one in events
    ]


@contextmanager
def counted(hub: Hub) -> Iterator[list[str]]:
    """Count the statements that the database is asked."""
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        seen.append(statement)

    sqlalchemy_event.listen(hub.engine, "before_cursor_execute", note)
    yield seen
    sqlalchemy_event.remove(hub.engine, "before_cursor_execute", note)


def test_inbox_costs_the_same_however_long(hub: Hub, visitor: Visitor) -> None:
    """One voicemail and a full page of them need the same number of queries."""
    take(hub, visitor, voicemail(1))
    visitor.get("/voicemails")
    with counted(hub) as few:
        visitor.get("/voicemails")
    take(hub, visitor, *(voicemail(number) for number in range(2, PAGE_SIZE + 4)))

    with counted(hub) as many:
        visitor.get("/voicemails")

    assert 0 < len(many) == len(few) < 10


@pytest.mark.parametrize("order", ["newest", "urgent"])
def test_pages_hold_every_voicemail_once(hub: Hub, visitor: Visitor, order: str) -> None:
    """Going from page to page shows every voicemail exactly once, in order."""
    ids = take(
        hub,
        visitor,
        *(
            voicemail(number, urgency={"score": number % 3 * 40, "level": "normal"})
            for number in range(PAGE_SIZE * 2 + 3)
        ),
    )
    seen: list[str] = []
    path: str | None = f"/voicemails?order={order}"

    while path:
        page = visitor.page(path)
        links = [found.get("href", "") for tag, found in page.elements if tag == "a"]
        seen += [link.rsplit("/", 1)[1] for link in links if "/voicemails/evt" in link]
        path = next((link for link in links if "after=" in link), None)

    assert sorted(seen) == sorted(ids)
    if order == "newest":
        assert seen == list(reversed(ids))


def test_cursor_that_was_tampered_with_is_no_error(visitor: Visitor) -> None:
    """A cursor that is not ours shows the first page."""
    for cursor in ("x", "%00", "W10", "WzEsIjIwMjYtMDEtMDEiLCJhIl0", "e30"):
        assert visitor.get(f"/voicemails?after={cursor}").status_code == 200


def test_filters_narrow(hub: Hub, visitor: Visitor) -> None:
    """Bucket, urgency and what was done narrow the inbox, alone and together."""
    take(hub, visitor, voicemail(1), voicemail(2, bucket="billing"))

    assert "Dana W2" in visitor.page("/voicemails?bucket=billing").text
    assert "Dana W1" not in visitor.page("/voicemails?bucket=billing").text
    assert "Dana W1" in visitor.page("/voicemails?state=dropped&urgency=normal").text
    assert "No voicemail fits" in visitor.page("/voicemails?state=delivered").text


def test_callers_words_are_shown_as_text(hub: Hub, visitor: Visitor) -> None:
    """Markup in what a caller said is shown, never carried out."""
    nasty = "<script>alert(1)</script>"
    (event_id,) = take(
        hub,
        visitor,
        voicemail(1, summary=nasty, transcript={"segments": [{"text": f"{nasty} & more"}]}),
    )

    for path in ("/voicemails", f"/voicemails/{event_id}", "/"):
        answer = visitor.get(path)
        assert nasty not in answer.text
        assert "&lt;script&gt;" in answer.text


def test_vendors_address_that_is_no_web_address_is_no_link(hub: Hub, visitor: Visitor) -> None:
    """A record's address is a link only when it is http or https."""
    (event_id,) = take(hub, visitor, voicemail(1))
    with hub.tenant(visitor.company.tenant_id) as session:
        session.execute(
            update(Delivery).values(
                state=State.DELIVERED.value, record_id="1", record_url="javascript:alert(1)"
            )
        )

    assert "javascript:" not in visitor.get(f"/voicemails/{event_id}").text


def test_reading_health_data_is_written_down(app: Flask, hub: Hub) -> None:
    """For a tenant with health data, opening a voicemail leaves a row in the audit log; else it does not."""
    reads = []
    for is_phi in (True, False):
        visitor = signed_in(app, hub, new_company(hub, is_phi=is_phi))
        (event_id,) = take(hub, visitor, voicemail(1))
        visitor.get(f"/voicemails/{event_id}")
        with hub.tenant(visitor.company.tenant_id) as session:
            reads.append(
                session.scalars(
                    select(AuditRow.target).where(AuditRow.action == "voicemail.read")
                ).all()
            )
            assert session.scalars(select(StoredEvent.id)).all() == [event_id]

    assert reads[0]
    assert reads[1] == []


def test_times_are_in_the_companys_zone(app: Flask, hub: Hub) -> None:
    """Absolute times stand in the title with their zone; the text tells how long ago."""
    visitor = signed_in(app, hub, new_company(hub, timezone="Asia/Kolkata"))
    take(hub, visitor, voicemail(1))

    page = visitor.page("/voicemails")

    (time,) = [found for tag, found in page.elements if tag == "time"]
    assert time["title"].endswith("IST")
    assert "just now" in page.text


def test_removed_voicemail_says_so(hub: Hub, visitor: Visitor) -> None:
    """A voicemail whose words were expunged still shows what was done, and is not opened."""
    (event_id,) = take(hub, visitor, voicemail(1))
    with hub.tenant(visitor.company.tenant_id) as session:
        session.execute(update(StoredEvent).values(expunged_at=now(), body=b""))

    assert "has been removed" in visitor.page(f"/voicemails/{event_id}").text
    assert "Removed" in visitor.page("/voicemails").text


def test_unreadable_voicemail_does_not_break_the_list(hub: Hub, visitor: Visitor) -> None:
    """A body that was tampered with is said to be unreadable; the other voicemails are there."""
    first, _ = take(hub, visitor, voicemail(1), voicemail(2))
    with hub.tenant(visitor.company.tenant_id) as session:
        session.execute(
            update(StoredEvent).where(StoredEvent.id == first).values(body=b"\x01" + b"0" * 40)
        )

    page = visitor.page("/voicemails")

    assert "Cannot be read" in page.text
    assert "Dana W2" in page.text


def test_parked_rows_are_sent_again_and_rejected(
    app: Flask, hub: Hub, connected: Connected
) -> None:
    """Parked rows stand under "Needs you" with their reason, and leave by either button."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD)
    connected.accept(voicemail(1), voicemail(2))
    with hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Delivery).values(state="parked", reason="The vendor refused this record")
        )
        first, second = session.scalars(select(Delivery.id).order_by(Delivery.id)).all()
    page = visitor.page("/needs-you")
    assert "The vendor refused this record" in page.text
    assert "2 deliveries" in page.text

    asked = visitor.page("/send-again?state=parked")
    visitor.post("/deliveries/replay", {"delivery": first, "version": "kept"})
    answer = visitor.post("/deliveries/reject", {"delivery": second}, follow_redirects=True)

    assert "Send again 2 deliveries" in asked.text
    assert "1 delivery rejected" in answer.text
    with hub.tenant(connected.company.tenant_id) as session:
        states = dict(session.execute(select(Delivery.id, Delivery.state)).tuples().all())
    assert states == {first: "waiting", second: "rejected"}


def test_nothing_ticked_changes_nothing(visitor: Visitor) -> None:
    """A form without a choice says so, and goes back."""
    answer = visitor.post("/deliveries/replay", follow_redirects=True)

    assert "Nothing was chosen" in answer.text


def test_form_goes_back_only_to_our_pages(app: Flask, hub: Hub, connected: Connected) -> None:
    """The place to go back to cannot be another site."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    with hub.tenant(connected.company.tenant_id) as session:
        delivery_id = session.scalars(select(Delivery.id)).one()

    answer = visitor.post("/deliveries/replay", {"delivery": delivery_id, "back": "//evil.example"})

    assert answer.location == "/needs-you"


def test_overview_says_when_the_sums_do_not_agree(hub: Hub, visitor: Visitor) -> None:
    """The line below the overview is a check, not a decoration."""
    take(hub, visitor, voicemail(1), voicemail(2))
    assert "2 events, 2 planned actions, 0 delivered: all accounted for" in visitor.page("/").text
    with hub.tenant(visitor.company.tenant_id) as session:
        row = session.scalars(select(Delivery).limit(1)).one()
        session.delete(row)

    assert "The sums do not agree" in visitor.page("/").text


def test_page_is_read_as_html() -> None:
    """The tests' own reader sees forms and their fields."""
    page = Page('<form action="/a"><input type="hidden" name="b" value="c"></form>')

    assert page.forms == [{"action": "/a", "method": "get", "fields": {"b": "c"}}]


def test_waiting_row_says_what_it_waits_for(app: Flask, hub: Hub, connected: Connected) -> None:
    """While the connection is paused, a waiting delivery names that as the reason."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD)
    (accepted,) = connected.accept(voicemail(1))
    path = f"/voicemails/{accepted.id}"
    assert "as soon as the account allows" in visitor.page(path).text

    visitor.post(f"/connections/{connected.connection.id}/pause")

    assert "Waits until the connection works again: paused" in visitor.page(path).text


def test_part_of_a_page_after_the_sign_in_ended(visitor: Visitor) -> None:
    """A part that htmx asks for is answered 401, so that no sign-in form appears inside a page."""
    visitor.post("/sign-out")

    answer = visitor.get("/voicemails", headers={"HX-Request": "true"})

    assert answer.status_code == 401
