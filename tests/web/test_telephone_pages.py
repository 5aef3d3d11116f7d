"""Settings of the telephone: numbers, the document, two editors, what callers hear, the rubric, a call to try."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.base import now
from hub.db.events import StoredEvent
from hub.db.people import Role
from hub.db.telephone import PhoneNumber
from hub.voice import trial
from hub.voice.settings import VoiceSettings, save, voice_settings
from tests.conftest import Company, new_company
from tests.delivery.connected import Connected, voicemail
from tests.web.filled import fields
from tests.web.visitor import Visitor, signed_in

WHERE = "/settings/telephone"
URGENCY = "/settings/urgency"
TRY = "/settings/telephone/try"


def send(visitor: Visitor, where: str, form_id: str, **changed: str):
    """Send the form of a page with some fields changed."""
    return visitor.client.post(
        where, data=fields(visitor.client.get(where).text, form_id, **changed)
    )


def saved(hub: Hub, company: Company) -> VoiceSettings:
    """Give what is saved."""
    return voice_settings(hub, company.tenant_id).settings


def test_an_untouched_form_changes_nothing(visitor: Visitor, hub: Hub, company: Company) -> None:
    """What the form shows is what is saved, everything set."""
    rich = VoiceSettings(
        languages=("de-DE", "en-US"),
        voices={"de-DE": {"provider": "ElevenLabs", "voice": "abc"}},
        greetings={"de-DE": "Guten Tag.\nHier ist Hafen.", "fr-FR": "Bonjour"},
        persona={"name": "Ida", "style": "warm", "instructions": "Ask."},
        consent="ask",
        records=False,
        staff={"ring_first": ["+14155550101", "+14155550102"], "ring_s": 33},
        emergency={"texts": {"de-DE": "Wählen Sie 112."}, "number": "112"},
        escalation={"critical": "transfer", "asked_for_person": "message"},
        models={"conversation": "claude-x", "baa": ["twilio", "anthropic"]},
        tools=("transfer", "somebody_s_own"),
        offers_times=True,
        asks_sms_consent=True,
        hints=("Lakeside", "HVAC"),
        rubric={"lines": [{"label": "Rush", "signal": "urgent", "points": 12}]},
        business_hours={"mon": ["09:00-12:00", "13:00-17:00"], "sun": ["10:00-24:00"]},
        retention_days=30,
        openai_voice="marin",
    )
    save(hub, company.tenant_id, rich, revision=None, actor="command")

    answer = send(visitor, WHERE, "telephone")

    assert answer.status_code == 303, answer.text
    after = saved(hub, company)
    assert after.model_copy(update={"models": None}) == rich.model_copy(update={"models": None})
    assert set(after.models.baa) == {"twilio", "anthropic"}


def test_settings_are_saved(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Typed as people type: spaces in numbers, dashes in hours."""
    answer = send(
        visitor,
        WHERE,
        "telephone",
        staff__transfer_to="+1 (415) 555-0100",
        hours__mon="09:00 – 12:00, 13:00-17:00",
        consent="ask",
        retention_days="90",
        lang__0__greeting="Hi there.",
    )

    kept = saved(hub, company)
    assert answer.status_code == 303
    assert kept.staff.transfer_to == "+14155550100"
    assert kept.business_hours == {"mon": ("09:00-12:00", "13:00-17:00")}
    assert (kept.consent, kept.retention_days) == ("ask", 90)
    assert kept.greetings == {"en-US": "Hi there."}


def test_all_problems_are_said_at_once(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Each beside its field, and nothing is saved."""
    answer = send(
        visitor,
        WHERE,
        "telephone",
        line="elevenlabs",
        lang__0__tag="english please",
        staff__transfer_to="12",
        hours__mon="all day",
        retention_days="soon",
        emergency__number="help",
    )

    assert answer.status_code == 422
    ids = set(re.findall(r'id="([\w.]+)-problem"', answer.text))
    assert ids >= {
        "lang.0.tag",
        "staff.transfer_to",
        "hours.mon",
        "retention_days",
        "emergency.number",
        "elevenlabs_agent_id",
    }
    assert 'value="soon"' in answer.text
    assert saved(hub, company) == VoiceSettings()


@pytest.mark.parametrize(
    "name",
    ["line", "consent", "staff__ring_s", "escalation__critical", "models__baa", "tools", "hints"],
)
def test_nonsense_is_refused_in_words(visitor: Visitor, name: str) -> None:
    """Also what no browser sends."""
    answer = send(visitor, WHERE, "telephone", **{name: "N0 SUCH\x07"})

    assert answer.status_code == 422


def test_two_editors_lose_nothing(visitor: Visitor, hub: Hub, company: Company) -> None:
    """What they changed apart is saved together; what both changed is shown, and decided by a person."""
    page = visitor.client.get(WHERE).text
    other = VoiceSettings(greetings={"en-US": "Theirs."}, retention_days=10)
    save(hub, company.tenant_id, other, revision=None, actor="key:key_1")

    def stale(**changed):
        return visitor.client.post(WHERE, data=fields(page, "telephone", **changed))

    apart = stale(persona__name="Ida")
    kept, told = saved(hub, company), visitor.page(WHERE).text
    clash = stale(lang__0__greeting="Mine.")

    assert apart.status_code == 303
    assert (kept.persona.name, kept.greetings, kept.retention_days) == (
        "Ida",
        {"en-US": "Theirs."},
        10,
    )
    assert clash.status_code == 409
    assert "Robin Lake</bdi> has saved these settings" in clash.text  # with what they changed apart
    assert "A program had changed meanwhile" in told
    assert "Theirs." in clash.text
    assert "Mine.</textarea>" in clash.text
    assert 'id="persona.name" name="persona.name" type="text" value="Ida"' in clash.text
    assert saved(hub, company).greetings == {"en-US": "Theirs."}
    again = visitor.client.post(WHERE, data=fields(clash.text, "telephone"))
    assert again.status_code == 303
    assert saved(hub, company).greetings == {"en-US": "Mine."}
    assert saved(hub, company).persona.name == "Ida"


def test_fewer_days_say_first_what_goes(connected: Connected, app: Flask) -> None:
    """Nothing is removed before somebody has agreed to the count."""
    hub, company = connected.hub, connected.company
    connected.accept(voicemail())
    with hub.tenant(company.tenant_id) as session:
        session.execute(update(StoredEvent).values(received_at=now() - timedelta(days=40)))
    visitor = signed_in(app, hub, company)

    asked = send(visitor, WHERE, "telephone", retention_days="30")
    told = saved(hub, company)
    sure = send(visitor, WHERE, "telephone", retention_days="30", sure="30")

    assert asked.status_code == 422
    assert "1 voicemail" in asked.text
    assert told.retention_days is None
    assert sure.status_code == 303
    assert saved(hub, company).retention_days == 30


def test_a_language_is_added_without_losing_what_was_typed(
    visitor: Visitor, hub: Hub, company: Company
) -> None:
    """The form grows by a row, and saves both in the order that was chosen."""
    page = send(visitor, WHERE, "telephone", persona__name="Ida", do="language")
    assert 'name="lang.1.tag"' in page.text
    assert 'value="Ida"' in page.text

    send(
        visitor,
        WHERE,
        "telephone",
        main="1",
        lang__1__tag="es-US",
        lang__1__spoken="yes",
        lang__1__greeting="Hola.",
    )

    kept = saved(hub, company)
    assert kept.languages == ("es-US", "en-US")
    assert kept.greetings == {"es-US": "Hola."}


def test_what_callers_hear_is_read_before_it_is_saved(
    visitor: Visitor, hub: Hub, company: Company
) -> None:
    """By a button, and as a part of the page; nothing is saved by it."""
    page = send(visitor, WHERE, "telephone", lang__0__greeting="Ahoy, Harbor!", do="preview")
    part = visitor.client.post(
        f"{WHERE}/heard",
        data=fields(visitor.client.get(WHERE).text, "telephone", consent="ask"),
    )

    assert "This call is recorded" in page.text
    assert "“This call is recorded so that your message is passed on correctly. Ahoy, Harbor!”" in (
        page.text
    )
    assert "<html" not in part.text
    assert "Ahoy" not in part.text
    assert saved(hub, company) == VoiceSettings()


def test_numbers_are_added_labelled_and_removed(
    app: Flask, visitor: Visitor, hub: Hub, company: Company
) -> None:
    """One that another company has is refused without saying whose; no number is another's to remove."""
    number = (
        f"+1415{company.tenant_id.encode().hex()[-7:].translate(str.maketrans('abcdef', '123456'))}"
    )
    for label in ("Front desk", "Hall"):
        visitor.post(f"{WHERE}/numbers", {"number": f"{number[:5]} {number[5:]}", "label": label})
    stranger = signed_in(app, hub, new_company(hub))
    taken = stranger.post(f"{WHERE}/numbers", {"number": number})
    gone = stranger.post(f"{WHERE}/numbers/remove", {"number": number})
    wrong = visitor.post(f"{WHERE}/numbers", {"number": "4155550100"})

    with hub.tenant(company.tenant_id) as session:
        assert session.scalars(select(PhoneNumber)).one().label == "Hall"
    assert (taken.status_code, gone.status_code, wrong.status_code) == (422, 404, 422)
    assert "This number is taken" in taken.text
    visitor.post(f"{WHERE}/numbers/remove", {"number": number})
    with hub.tenant(company.tenant_id) as session:
        assert session.scalars(select(PhoneNumber)).all() == []


@pytest.mark.parametrize("where", [WHERE, URGENCY, TRY])
def test_the_telephone_is_for_admins(app: Flask, hub: Hub, where: str) -> None:
    """A mapper neither sees nor reaches it."""
    mapper = signed_in(app, hub, role=Role.MAPPER)

    assert mapper.get(where).status_code == 403
    assert where not in mapper.client.get("/settings/account").text


def test_a_rubric_is_tried_on_voicemails_and_saved(connected: Connected, app: Flask) -> None:
    """The score that each had stands beside the one that it would get."""
    hub, company = connected.hub, connected.company
    connected.accept(voicemail())
    visitor = signed_in(app, hub, company)
    scored = send(visitor, URGENCY, "rubric", do="score", line__0__points="1")
    part = visitor.client.post(
        f"{URGENCY}/scores", data=fields(visitor.client.get(URGENCY).text, "rubric")
    )

    assert scored.status_code == 200
    assert 'class="rescored"' in scored.text
    assert 'class="rescored"' in part.text
    assert "<html" not in part.text
    assert saved(hub, company).rubric is None

    send(visitor, URGENCY, "rubric", line__0__points="77", level__critical="77")

    own = saved(hub, company).rubric
    assert own.lines[0].points == 77
    assert own.levels.critical == 77


def test_the_trade_s_rubric_stays_the_trade_s(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Saved as it is usual, nothing of one's own is kept; so a better one of a later release comes through."""
    save(
        hub,
        company.tenant_id,
        VoiceSettings(rubric={"lines": [{"label": "Rush", "signal": "urgent", "points": 12}]}),
        revision=None,
        actor="command",
    )
    usual = send(visitor, URGENCY, "rubric", do="usual")

    answer = visitor.client.post(URGENCY, data=fields(usual.text, "rubric"))

    assert answer.status_code == 303
    assert saved(hub, company).rubric is None


def test_a_wrong_rubric_is_refused_in_place(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Points, levels and signals that do not exist."""
    answer = send(
        visitor,
        URGENCY,
        "rubric",
        line__0__points="many",
        line__1__signal="nonsense",
        line__2__label="",
        level__high="5",
    )

    assert answer.status_code == 422
    assert set(re.findall(r'id="([\w.]+)-problem"', answer.text)) == {
        "line.0.points",
        "line.1.signal",
        "line.2.label",
        "level.normal",
    }
    assert saved(hub, company).rubric is None


def test_two_editors_of_a_rubric(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Other settings that changed do not matter; another rubric is told of, line by line."""
    page = visitor.client.get(URGENCY).text

    def stale(points):
        return visitor.client.post(URGENCY, data=fields(page, "rubric", line__0__points=points))

    save(hub, company.tenant_id, VoiceSettings(offers_times=True), revision=None, actor="command")
    first, second = stale("50"), stale("60")

    assert (first.status_code, second.status_code) == (303, 409)
    assert "has 50 points there, 60 here" in second.text
    assert "Robin Lake</bdi> has saved another rubric" in second.text
    assert saved(hub, company).offers_times
    assert saved(hub, company).rubric.lines[0].points == 50


def test_whose_words_are_health_data_are_noted(connected: Connected, app: Flask) -> None:
    """Each look is written down, and none is taken by typing alone."""
    hub, company = connected.hub, connected.company
    with hub.everyone("a test makes a clinic") as session:
        from hub.db.tenants import Tenant

        session.execute(update(Tenant).where(Tenant.id == company.tenant_id).values(is_phi=True))
    connected.accept(voicemail())
    visitor = signed_in(app, hub, company)
    page = visitor.client.get(URGENCY).text
    send(visitor, URGENCY, "rubric", do="score")

    assert "input from:#rubric" not in page
    with hub.tenant(company.tenant_id) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action == "voicemails.listed")).all()
    assert len(rows) == 1


def test_a_typed_call_is_answered_and_kept_nowhere(
    visitor: Visitor, hub: Hub, company: Company
) -> None:
    """Said in turns, it ends in the event that a call would have; the database knows nothing of it."""
    begun = visitor.page(TRY)
    first = visitor.post(TRY, {"do": "say", "says": "Hi, this is Dana Whitfield, my sink leaks."})
    ended = visitor.post(
        TRY,
        {
            "do": "hang_up",
            "said": ["Hi, this is Dana Whitfield, my sink leaks.", "415 555 0132"],
            "caller": "+1 415 555 0132",
        },
    )

    assert "This call is recorded" in begun.text
    assert "What number can we reach you at?" in first.text
    assert "Dana Whitfield" in ended.text
    assert "The whole event" in ended.text
    assert "The call is over" in ended.text
    with hub.tenant(company.tenant_id) as session:
        assert session.scalars(select(StoredEvent)).all() == []


def test_a_typed_call_needs_words(visitor: Visitor) -> None:
    """An empty turn is asked for again, and a number that is none is refused; hanging up needs none."""
    empty = visitor.post(TRY, {"do": "say", "said": ["Hello"]})
    number = visitor.post(TRY, {"do": "say", "says": "Hi", "caller": "12"})
    silent = visitor.post(TRY, {"do": "hang_up"})

    assert (empty.status_code, number.status_code, silent.status_code) == (422, 422, 200)
    assert 'name="said" value="Hello"' in empty.text
    assert "hung up without a word" in silent.text


def test_settings_can_be_saved_when_nothing_can_be_tried(
    visitor: Visitor, hub: Hub, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the process that tries things, pages say so and lose nothing."""

    def away(*_args, **_words):
        raise trial.NoAnswer

    monkeypatch.setattr(trial, "ask", away)
    from hub.web import rubric

    rubric._usual.cache_clear()

    assert send(visitor, WHERE, "telephone", persona__name="Ida").status_code == 303
    assert "could not be worked out" in send(visitor, WHERE, "telephone", do="preview").text
    assert visitor.get(URGENCY).status_code == 503
    assert "could not be played" in visitor.post(TRY, {"do": "say", "says": "Hi"}).text
