"""One voicemail: evidence in what was said, where slots come from, the trace, payloads, a corrected bucket."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.deliveries import Attempt, Delivery
from hub.db.events import StoredEvent
from hub.db.people import Role
from hub.db.triage import BucketCorrection
from hub.delivery import send
from hub.delivery.plan import Incoming, accept
from hub.voice import tool_calls
from hub.voice.tool_calls import Used
from mappings.event import Event
from tests.api.calling import event
from tests.browser.seeding import drain
from tests.conftest import new_company
from tests.delivery.connected import LEAD, LEAD_AND_TASK, Connected, voicemail
from tests.web.visitor import Page, Visitor, signed_in

SAID = {
    "segments": [
        {
            "speaker": "agent",
            "start_s": 1.0,
            "end_s": 3.0,
            "text": "What happened, and who are you?",
        },
        {
            "speaker": "caller",
            "start_s": 3.5,
            "end_s": 9.0,
            "text": "This is Dana W1, water is  coming <b>through</b> the ceiling.",
        },
    ]
}
REASONS = [
    {"line": "Water is escaping", "points": 45, "evidence": "Water is coming <b>through</b>"},
    {"line": "Wants somebody today", "points": 25, "evidence": "not said so"},
]
BILLING = LEAD.replace("new_lead", "billing").replace("id: lead", "id: bill")


def take(hub: Hub, visitor: Visitor, one: Event) -> str:
    """Accept an event; gives its id."""
    return accept(hub, visitor.company.tenant_id, [Incoming.of(one)])[0].id


def elements(page: Page, tag: str) -> list[dict[str, str]]:
    """Give the attributes of all elements of a kind."""
    return [found for name, found in page.elements if name == tag]


def test_evidence_is_marked_in_what_was_said(hub: Hub, visitor: Visitor) -> None:
    """The words of a reason stand marked in the caller's line, and the reason leads there; others lead nowhere."""
    urgency = {"score": 70, "level": "critical", "reasons": REASONS}
    event_id = take(hub, visitor, voicemail(1, urgency=urgency, transcript=SAID))

    answer = visitor.get(f"/voicemails/{event_id}")
    page = Page(answer.text)
    links = {found.get("href") for found in elements(page, "a")}

    assert [found["id"] for found in elements(page, "mark")] == ["evidence-0"]
    assert "water is  coming &lt;b&gt;through&lt;/b&gt;</mark>" in answer.text
    assert "#evidence-0" in links
    assert "#evidence-1" not in links
    assert "not said so" in page.text


def test_slots_say_where_they_come_from(hub: Hub, visitor: Visitor) -> None:
    """A name that was said leads to its line; a number that was not is the one that called."""
    event_id = take(hub, visitor, voicemail(1, transcript=SAID))

    page = visitor.page(f"/voicemails/{event_id}")

    assert "Dana W1 Said at 0:03" in page.text
    assert "The number that called" in page.text


def test_a_number_dictated_over_several_lines_is_found(hub: Hub, visitor: Visitor) -> None:
    """The line that completes it is named; a text is found by its words in any order, and not by half of them."""
    texts = ["The ceiling of the kitchen leaks.", "It is 415 555.", "Yes?", "And then 0166."]
    segments = [
        {"speaker": "agent" if text == "Yes?" else "caller", "start_s": 4.0 * at, "text": text}
        for at, text in enumerate(texts)
    ]
    found = [
        visitor.page(f"/voicemails/{take(hub, visitor, one)}").text
        for one in (
            voicemail(
                number,
                transcript={"segments": segments},
                callback={"number": "+14155550166"},
                reason=reason,
            )
            for number, reason in ((1, "Kitchen ceiling leaks"), (2, "Kitchen tap leaks"))
        )
    ]

    assert "Call back +1 415-555-0166 Said at 0:12" in found[0]
    assert "Kitchen ceiling leaks Said at 0:00" in found[0]
    assert "Kitchen tap leaks Said" not in found[1]


def test_the_trace_of_the_call(hub: Hub, visitor: Visitor) -> None:
    """Each stage has its bar and its milliseconds; a first sound after more than a second is called slow."""
    latency = {"first_audio": 1_240.0, "first_audio_max": 1_900.0, "classify": 18.25}
    event_id = take(hub, visitor, voicemail(1, latency=latency))

    page = visitor.page(f"/voicemails/{event_id}")

    assert "Caller silent to first sound 1240 ms, at most 1,900 · slow" in page.text
    assert "Classify 18 ms" in page.text


def test_tools_are_shown_to_those_who_act(app: Flask, hub: Hub) -> None:
    """An operator sees what the agent's tools got and gave, a viewer does not; with health data it is written down."""
    seen = []
    for role in (Role.OPERATOR, Role.VIEWER):
        visitor = signed_in(app, hub, new_company(hub, role=role, is_phi=True))
        tenant_id = visitor.company.tenant_id
        event_id = take(hub, visitor, Event.model_validate(event("CA1", source="/voice")))
        at = datetime(2026, 11, 20, tzinfo=UTC)
        used = Used(1, at, "find_caller", {"number": "+14155550100"}, {"known": True}, None, 12.0)
        tool_calls.keep(hub, tenant_id, "CA1", [used])
        page = visitor.page(f"/voicemails/{event_id}")
        with hub.tenant(tenant_id) as session:
            actions = session.scalars(select(AuditRow.action)).all()
        seen.append(("find_caller" in page.text, "voice.tools_read" in actions))

    assert seen == [(True, True), (False, False)]


def test_three_payloads_side_by_side(app: Flask, hub: Hub, connected: Connected) -> None:
    """What the event says, what was sent under the version of then, and what the vendor answered."""
    visitor = signed_in(app, hub, connected.company)
    mapping_id = connected.publish(LEAD_AND_TASK)
    (accepted,) = connected.accept(voicemail(1))
    drain(connected)
    changed = LEAD_AND_TASK.replace("[not given]", "nobody")
    with hub.tenant(connected.company.tenant_id) as session:
        from hub.db import mappings
        from mappings.document import load

        mappings.save(
            session,
            connection_id=connected.connection.id,
            name="Lead",
            document=load(changed),
            source=changed,
            author="command",
            mapping_id=mapping_id,
        )
        rows = session.scalars(select(Delivery).where(Delivery.event_id == accepted.id)).all()
        lead, task = sorted(rows, key=lambda row: row.object or "")

    page, other = (visitor.page(f"/deliveries/{row.id}") for row in (lead, task))

    assert "caller.name.family W1" in page.text
    assert "Company [not given]" in page.text
    assert "under version 1" in page.text
    assert "Created" in page.text
    assert lead.record_id
    assert lead.record_id in page.text
    assert f"WhoId {lead.record_id}" in other.text


def test_payloads_of_what_cannot_be_made(hub: Hub, app: Flask, connected: Connected) -> None:
    """An event that was removed and a step that is gone are said in words."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    with hub.tenant(connected.company.tenant_id) as session:
        delivery_id = session.scalars(select(Delivery.id)).one()
        session.execute(update(Delivery).values(step="other"))
    gone = visitor.page(f"/deliveries/{delivery_id}")
    with hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(StoredEvent).values(body=b"", expunged_at=datetime.now(UTC)))

    assert "has no such step" in gone.text
    assert "is not there any more" in visitor.page(f"/deliveries/{delivery_id}").text


def test_the_timeline_runs_from_ring_to_record(app: Flask, hub: Hub, connected: Connected) -> None:
    """The ring, the end of the call, what was planned, the record with a link to it."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD)
    call = {
        "id": "CA9",
        "from": "+14155550001",
        "started_at": "2026-11-20T16:03:11Z",
        "ended_at": "2026-11-20T16:03:52Z",
    }
    extra = {"number_confirmed": True, "spoke": False}
    (accepted,) = connected.accept(voicemail(1, call=call, extra=extra))
    drain(connected)

    page = visitor.page(f"/voicemails/{accepted.id}")
    assert "Number confirmed Yes Spoke No" in page.text
    told = page.text.split("Timeline", 1)[1]
    assert "16:03:11 UTC" in told
    places = [
        told.index(text)
        for text in ("The phone rang", "hung up", "1 action was planned", "Salesforce Lead created")
    ]

    assert places == sorted(places)


def test_a_corrected_bucket_is_kept_and_shown(hub: Hub, visitor: Visitor) -> None:
    """Who moved it from where stands on the page, in a table and in the log; moving it back takes it back."""
    event_id = take(hub, visitor, voicemail(1))
    path = f"/voicemails/{event_id}/bucket"

    visitor.post(path, {"bucket": "billing"})
    page = visitor.page(f"/voicemails/{event_id}")
    with hub.tenant(visitor.company.tenant_id) as session:
        kept = session.scalars(select(BucketCorrection)).one()
        row = session.scalars(
            select(AuditRow).where(AuditRow.action == "voicemail.bucket_corrected")
        ).one()
    visitor.post(path, {"bucket": "new_lead"})

    assert "Robin Lake moved it here from New lead" in page.text
    assert (kept.was, kept.bucket) == ("new_lead", "billing")
    assert row.facts == {"from": "new_lead", "to": "billing", "came_as": "new_lead"}
    with hub.tenant(visitor.company.tenant_id) as session:
        assert session.scalars(select(BucketCorrection)).all() == []
        assert session.scalars(select(StoredEvent.bucket)).one() == "new_lead"


def test_what_is_no_bucket_is_refused(hub: Hub, visitor: Visitor) -> None:
    """Nothing changes."""
    event_id = take(hub, visitor, voicemail(1))

    answer = visitor.post(
        f"/voicemails/{event_id}/bucket", {"bucket": "money"}, follow_redirects=True
    )

    assert "Choose a bucket" in answer.text


def test_planning_anew_under_the_corrected_bucket(
    app: Flask, hub: Hub, connected: Connected
) -> None:
    """The new bucket's mapping runs with the new bucket, what was not sent is withdrawn, and the sums hold."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD)
    connected.publish(
        BILLING.replace('Description: {text: "{summary}"', 'Description: {text: "{bucket}"'),
        "Bills",
    )
    (accepted,) = connected.accept(voicemail(1))
    visitor.post(f"/voicemails/{accepted.id}/bucket", {"bucket": "billing"})
    offered = visitor.page(f"/voicemails/{accepted.id}")

    answer = visitor.post(f"/voicemails/{accepted.id}/plan-anew", follow_redirects=True)
    send.drain(hub, connected.connection.id)
    drain(connected)

    assert "Plan it anew" in offered.text
    assert "1 action planned, 1 withdrawn" in answer.text
    assert "Plan it anew" not in visitor.page(f"/voicemails/{accepted.id}").text
    with hub.tenant(connected.company.tenant_id) as session:
        states = dict(session.execute(select(Delivery.step, Delivery.state)).tuples().all())
        bill = session.scalars(select(Delivery.id).where(Delivery.step == "bill")).one()
        planned = session.scalars(select(StoredEvent.planned)).one()
    assert states == {"lead": "rejected", "bill": "delivered"}
    assert planned == 2
    assert "Description billing" in visitor.page(f"/deliveries/{bill}").text
    assert "all accounted for" in visitor.page("/").text


def test_spam_that_is_none_is_planned(app: Flask, hub: Hub, connected: Connected) -> None:
    """A dropped voicemail that a person moves out of spam leads to its records; its placeholder goes."""
    visitor = signed_in(app, hub, connected.company)
    connected.publish(LEAD_AND_TASK)
    (accepted,) = connected.accept(voicemail(1, bucket="spam"))
    visitor.post(f"/voicemails/{accepted.id}/bucket", {"bucket": "new_lead"})

    visitor.post(f"/voicemails/{accepted.id}/plan-anew")
    drain(connected)

    with hub.tenant(connected.company.tenant_id) as session:
        rows = session.scalars(select(Delivery).order_by(Delivery.step)).all()
        tried = session.scalars(select(Attempt.outcome)).all()
    assert [(row.step, row.state) for row in rows] == [
        ("callback", "delivered"),
        ("lead", "delivered"),
    ]
    assert tried == ["created", "created"]


def test_a_stale_form_says_what_changed(app: Flask, hub: Hub, visitor: Visitor) -> None:
    """Who moves or marks a voicemail that somebody else has dealt with meanwhile is told so, and changes nothing."""
    event_id = take(hub, visitor, voicemail(1))
    path = f"/voicemails/{event_id}"
    visitor.post(f"{path}/bucket", {"bucket": "billing", "seen": "new_lead"})
    visitor.post(f"{path}/called-back", {"done": "yes"})

    moved = visitor.post(
        f"{path}/bucket", {"bucket": "spam", "seen": "new_lead"}, follow_redirects=True
    )
    again = visitor.post(f"{path}/called-back", {"done": "yes"}, follow_redirects=True)

    assert "somebody moved it to Billing while you looked" in moved.text
    assert "somebody has called back already" in again.text
    with hub.tenant(visitor.company.tenant_id) as session:
        assert session.scalars(select(StoredEvent.bucket)).one() == "billing"
