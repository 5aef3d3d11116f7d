"""The inbox: what is open, what narrows it, searching sealed words, kept views, and acting on many."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.base import now
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.people import Role
from hub.db.triage import SavedView
from hub.delivery.plan import Incoming, accept
from hub.web import searching
from tests.conftest import new_company
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.delivery.judged import Story
from tests.web.visitor import Page, Visitor, signed_in


def take(hub: Hub, visitor: Visitor, *events: object) -> list[str]:
    """Accept events for a visitor's company; gives their ids."""
    tenant_id = visitor.company.tenant_id
    return [accept(hub, tenant_id, [Incoming.of(one)])[0].id for one in events]  # type: ignore[arg-type]  # events they are


def shown(page: Page) -> list[str]:
    """Give the ids of the voicemails that a page lists, in order."""
    links = [found.get("href", "") for tag, found in page.elements if tag == "a"]
    return [link.rsplit("/", 1)[1] for link in links if "/voicemails/evt" in link]


def urgent(number: int, score: int, **data: object) -> object:
    """Make a voicemail of a score."""
    level = "critical" if score > 69 else "normal"
    return voicemail(number, urgency={"score": score, "level": level}, **data)


def search(visitor: Visitor, words: str, **more: str) -> Page:
    """Search; gives the page of what was found."""
    answer = visitor.post("/voicemails/search", {"q": words} | more)
    assert answer.status_code == 200, answer.status_code
    return Page(answer.text)


def test_what_is_open_comes_first_by_urgency(hub: Hub, visitor: Visitor) -> None:
    """The inbox opens with what nobody has seen to, the most urgent first; spam is not open."""
    low, high, middle, spam = take(
        hub, visitor, urgent(1, 5), urgent(2, 90), urgent(3, 40), urgent(4, 99, bucket="spam")
    )

    assert shown(visitor.page("/voicemails")) == [high, middle, low]
    assert shown(visitor.page("/voicemails?tab=all")) == [spam, middle, high, low]


def test_a_returned_call_is_not_open_any_more(hub: Hub, visitor: Visitor) -> None:
    """Marking it takes it out of what is open, and says who and when; taking it back puts it there again."""
    (event_id,) = take(hub, visitor, voicemail(1))
    path = f"/voicemails/{event_id}/called-back"

    visitor.post(path, {"done": "yes"})
    page = visitor.page(f"/voicemails/{event_id}")
    gone = shown(visitor.page("/voicemails"))
    visitor.post(path, {"done": "no"})

    assert "Robin Lake called back" in page.text
    assert gone == []
    assert shown(visitor.page("/voicemails")) == [event_id]


def test_a_record_that_somebody_works_on_is_not_open(app: Flask, hub: Hub) -> None:
    """What is touched at the vendor, and what is older than two weeks, is only under All."""
    company = new_company(hub)
    story, visitor = Story(hub, company), signed_in(app, hub, company)
    crm = (story.connection("salesforce"), "Task")
    fresh = story.voicemail(now() - timedelta(hours=1), to=crm)
    story.voicemail(now() - timedelta(hours=2), to=crm, touched=timedelta(minutes=1))
    story.voicemail(now() - timedelta(days=20), to=crm)

    assert shown(visitor.page("/voicemails")) == [fresh]
    assert len(shown(visitor.page("/voicemails?tab=all"))) == 3


def test_the_tab_of_what_needs_a_person(app: Flask, hub: Hub, connected: Connected) -> None:
    """Held and parked ones are there, with their number beside the tab."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD)
    first, _ = connected.accept(voicemail(1), voicemail(2))
    with hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Delivery).where(Delivery.event_id == first.id).values(state="parked")
        )

    page = visitor.page("/voicemails?tab=needs")

    assert shown(page) == [first.id]
    assert "Needs you 1" in page.text


@pytest.mark.parametrize(
    ("query", "which"),
    [
        ("language=de", {1}),
        ("escalated=yes", {1}),
        ("caller=known", {2}),
        ("caller=new", {0, 1}),
        ("bucket=billing", {1}),
        ("since=2001-01-01", {0, 1, 2}),
        ("until=2001-01-01", set()),
        ("until=9999-12-31", {0, 1, 2}),
        ("since=yesterday&language=%27&caller=x", set()),
        ("since=yesterday&caller=x", {0, 1, 2}),
    ],
)
def test_filters(hub: Hub, visitor: Visitor, query: str, which: set[int]) -> None:
    """Language, caller, escalation and days narrow the list; what is no filter narrows nothing."""
    ids = take(
        hub,
        visitor,
        voicemail(1, language="en-US"),
        voicemail(2, language="de-CH", escalate=True, bucket="billing"),
        voicemail(1, language="en-GB"),
    )

    assert set(shown(visitor.page(f"/voicemails?tab=all&{query}"))) == {ids[one] for one in which}


def test_a_search_by_number_finds_the_caller(hub: Hub, visitor: Visitor) -> None:
    """However it is typed, and however many voicemails came since."""
    mine, _, again = take(hub, visitor, voicemail(17), voicemail(18), voicemail(17))

    for typed in ("+14155550017", "(415) 555-0017", "415 555 0017"):
        page = search(visitor, typed)
        assert shown(page) == [again, mine], typed
        assert "Everything from this number" in page.text


def test_a_search_by_id_finds_the_voicemail(app: Flask, hub: Hub, connected: Connected) -> None:
    """Our id, the call's, and that of a delivery."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD)
    (accepted,) = connected.accept(voicemail(1))
    with hub.tenant(connected.company.tenant_id) as session:
        call = session.scalars(select(StoredEvent.event_id)).one()
        delivery = session.scalars(select(Delivery.id)).one()

    for asked in (accepted.id, call, delivery):
        assert shown(search(visitor, asked)) == [accepted.id], asked


def test_a_search_by_words_says_how_far_it_looked(
    hub: Hub, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All words must be there, in any case; what was not looked at is said, and looked at next."""
    ids = take(
        hub,
        visitor,
        voicemail(1, summary="The Boiler is broken"),
        *(voicemail(number) for number in range(2, 8)),
    )
    monkeypatch.setattr(searching, "_AT_ONCE", 3)
    assert shown(search(visitor, "boiler BROKEN")) == [ids[0]]
    monkeypatch.setattr(searching, "MOST_OPENED", 3)

    page = search(visitor, "boiler")
    after = next(form["fields"]["after"] for form in page.forms if "after" in form["fields"])
    further = search(visitor, "boiler", after=after)
    last = next(form["fields"]["after"] for form in further.forms if "after" in form["fields"])

    assert shown(page) == []
    assert "Looked through the newest 3 voicemails, back to" in page.text
    assert "older ones have not been looked at" in page.text
    assert shown(search(visitor, "boiler", after=last)) == [ids[0]]


def test_a_search_is_in_no_address_and_none_is_empty(visitor: Visitor) -> None:
    """It is posted; without words the form leads to the list, with the filters that were chosen."""
    empty = visitor.post("/voicemails/search", {"q": " ", "tab": "all", "bucket": "billing"})

    assert empty.status_code == 303
    assert empty.location == "/voicemails?tab=all&bucket=billing"
    assert visitor.get("/voicemails/search").location == "/voicemails"


def test_searching_health_data_is_written_down(app: Flask, hub: Hub) -> None:
    """Who searched, by what and how far; never for what."""
    visitor = signed_in(app, hub, new_company(hub, is_phi=True))
    (event_id,) = take(hub, visitor, voicemail(1, summary="Asks for her results"))

    search(visitor, "results")

    with hub.tenant(visitor.company.tenant_id) as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.number)).all()
    found = next(row for row in rows if row.action == "voicemails.searched")
    listed = next(row for row in rows if row.action == "voicemails.listed")
    assert found.facts == {"by": "words", "opened": 1, "found": 1}
    assert listed.facts == {"events": [event_id]}
    assert "results" not in str([row.facts for row in rows])


def test_views_are_kept_for_a_person(app: Flask, hub: Hub, visitor: Visitor) -> None:
    """A name for filters, which nobody else sees; removing it takes it away."""
    take(hub, visitor, voicemail(1, bucket="billing"))

    visitor.post(
        "/voicemails/views",
        {"name": "  Money  ", "tab": "all", "bucket": "billing", "order": "newest"},
    )
    page = visitor.page("/voicemails")
    links = {found.get("href") for tag, found in page.elements if tag == "a"}
    with hub.tenant(visitor.company.tenant_id) as session:
        view = session.scalars(select(SavedView)).one()

    assert "Money" in page.text
    assert "/voicemails?tab=all&bucket=billing&order=newest" in links
    visitor.post(f"/voicemails/views/{view.id}/remove", follow_redirects=True)
    assert "Money" not in visitor.page("/voicemails").text


def test_a_view_without_a_name_is_asked_for_one(hub: Hub, visitor: Visitor) -> None:
    """Nothing is kept."""
    answer = visitor.post("/voicemails/views", {"name": " ", "tab": "all"}, follow_redirects=True)

    assert "Give the view a name" in answer.text


def test_many_are_approved_rejected_and_sent_again(
    app: Flask, hub: Hub, connected: Connected
) -> None:
    """What is ticked is acted on as far as it can be; the rest is left alone."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD)
    ids = [one.id for one in connected.accept(*(voicemail(number) for number in range(1, 5)))]
    states = dict(zip(ids, ("held", "parked", "rejected", "delivered"), strict=True))
    with hub.tenant(connected.company.tenant_id) as session:
        for event_id, state in states.items():
            session.execute(
                update(Delivery)
                .where(Delivery.event_id == event_id)
                .values(state=state, record_id="00Q1" if state == "delivered" else None)
            )

    approved = visitor.post("/voicemails/approve", {"voicemail": ids}, follow_redirects=True)
    again = visitor.post("/voicemails/replay", {"voicemail": ids}, follow_redirects=True)
    none = visitor.post("/voicemails/reject", {"voicemail": ids}, follow_redirects=True)

    assert "1 delivery approved" in approved.text
    assert "2 deliveries will be sent again" in again.text
    assert "Nothing of what you ticked waits for a person" in none.text
    with hub.tenant(connected.company.tenant_id) as session:
        found = dict(session.execute(select(Delivery.event_id, Delivery.state)).tuples().all())
    assert [found[one] for one in ids] == ["waiting", "waiting", "waiting", "delivered"]


@pytest.mark.parametrize("action", ["approve", "reject", "replay", "called-back"])
def test_nobody_ticks_another_companys_voicemails(
    app: Flask, hub: Hub, visitor: Visitor, action: str
) -> None:
    """Ids in a form's body are confined; without any the form says so."""
    (event_id,) = take(hub, visitor, voicemail(1))
    stranger = signed_in(app, hub, new_company(hub))

    refused = stranger.post(f"/voicemails/{action}", {"voicemail": event_id})
    empty = visitor.post(f"/voicemails/{action}", follow_redirects=True)

    assert refused.status_code == 404
    assert "Nothing was chosen" in empty.text


def test_a_viewer_sees_no_buttons(app: Flask, hub: Hub) -> None:
    """Who may only look gets neither boxes nor actions, on the list and on a voicemail."""
    visitor = signed_in(app, hub, new_company(hub, role=Role.VIEWER))
    (event_id,) = take(hub, visitor, voicemail(1))

    inbox, one = visitor.page("/voicemails"), visitor.page(f"/voicemails/{event_id}")

    assert not [found for tag, found in inbox.elements if found.get("name") == "voicemail"]
    assert "Approve and send" not in inbox.text
    assert "Mark as called back" not in one.text
    assert "Move it" not in one.text
