"""Voice settings and telephone numbers, as programs set them."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.keys import Scope
from hub.db.tenants import Tenant
from hub.voice.settings import voice_settings
from tests.api.calling import Program, program
from tests.api.speaking import new_number
from tests.conftest import new_company


def put(caller: Program, settings: object, revision: str | None = None):
    """Set the whole document, by the present revision unless another is given."""
    if revision is None:
        revision = caller.get("/v1/voice/settings").json["revision"]
    return caller.send("/v1/voice/settings", {"revision": revision, "settings": settings}, "PUT")


FULL = {
    "line": "elevenlabs",
    "languages": ["en-US", "es-419", "zh-Hans-CN"],
    "voices": {"en-US": {"provider": "ElevenLabs", "voice": "UgBBYS2sOqTuMpoF3BR0"}},
    "greetings": {"en-US": "Harbor Home Services, how can I help?"},
    "persona": {"name": "Robin", "style": "calm", "instructions": "Ask for the floor.\nBe brief."},
    "consent": "ask",
    "records": False,
    "staff": {"ring_first": ["+14155550111"], "ring_s": 15, "transfer_to": "+14155550112"},
    "emergency": {"texts": {"en-US": "Leave the house now."}, "number": "911"},
    "escalation": {"critical": "transfer", "asked_for_person": "message"},
    "models": {"conversation": "claude-haiku", "analysis": None, "baa": ["anthropic"]},
    "tools": ["offer_times", "end_call"],
    "offers_times": True,
    "asks_sms_consent": True,
    "hints": ["Harbor", "Whitfield"],
    "rubric": {
        "levels": {"normal": 10, "high": 30, "critical": 60},
        "lines": [{"label": "Water", "signal": "hazard", "points": 45, "needs": ["now"]}],
    },
    "retention_days": 90,
    "elevenlabs_agent_id": "agent_1",
    "openai_voice": "marin",
    "business_hours": {"mon": ["09:00-12:00", "13:00-17:00"], "sat": []},
}


def test_a_whole_document_is_kept_as_it_was_sent(caller: Program, hub: Hub) -> None:
    """Every member comes back, under another revision; the audit log names what changed."""
    before = caller.get("/v1/voice/settings").json["revision"]

    answer = put(caller, FULL)

    assert answer.status_code == 200, answer.text
    assert answer.json["settings"] == FULL
    assert answer.json["revision"] != before
    assert caller.get("/v1/voice/settings").json == answer.json
    assert put(caller, FULL).json == answer.json
    with hub.tenant(caller.tenant_id) as session:
        [row] = session.scalars(select(AuditRow)).all()
    assert (row.action, row.actor) == ("voice.settings_changed", f"key:{caller.key.id}")
    assert row.facts == {"settings": sorted(FULL)}


def test_what_is_not_named_goes_back_to_its_default(caller: Program) -> None:
    """It is the whole document, not a change to it."""
    defaults = caller.get("/v1/voice/settings").json
    put(caller, FULL)

    assert put(caller, {}).json == defaults


def test_two_editors_do_not_overwrite_each_other(caller: Program) -> None:
    """The second one, who read before the first one wrote, is told so."""
    read = caller.get("/v1/voice/settings").json["revision"]
    first = put(caller, {"line": "record"}, read)
    second = put(caller, {"line": "openai"}, read)

    assert (first.status_code, second.status_code) == (200, 409)
    assert caller.get("/v1/voice/settings").json["settings"]["line"] == "record"


def test_all_that_is_wrong_is_said_at_once(caller: Program) -> None:
    """Each with its place; nothing is changed, and what was sent is not repeated."""
    before = caller.get("/v1/voice/settings").json
    wrong = {
        "line": "fax",
        "languages": ["english please"],
        "greetings": {"q!": "Hello", "en-US": ""},
        "staff": {"ring_first": ["0170 555"], "ring_s": "20", "transfer_to": "+1"},
        "emergency": {"number": "nine"},
        "rubric": {"levels": {"normal": 50, "high": 40}, "lines": []},
        "retention_days": 0,
        "business_hours": {"mon": ["17:00-09:00"], "tue": ["09:00-12:00", "11:00-13:00"]},
        "colour": "blue",
        "records": "yes",
    }

    answer = put(caller, wrong)

    assert answer.status_code == 422
    assert {one["pointer"].removeprefix("/settings") for one in answer.json["errors"]} == {
        "/line",
        "/languages/0",
        "/greetings/q!",
        "/greetings/en-US",
        "/staff/ring_first/0",
        "/staff/ring_s",
        "/staff/transfer_to",
        "/emergency/number",
        "/rubric/levels",
        "/rubric/lines",
        "/retention_days",
        "/business_hours/mon/0",
        "/business_hours/tue",
        "/colour",
        "/records",
    }
    assert "0170" not in answer.text
    assert caller.get("/v1/voice/settings").json == before


def test_a_line_that_needs_an_agent_names_it(caller: Program) -> None:
    """ElevenLabs cannot be called without one."""
    answer = put(caller, {"line": "elevenlabs"})

    assert [one["pointer"] for one in answer.json["errors"]] == ["/settings/elevenlabs_agent_id"]


def test_the_revision_must_be_named(caller: Program) -> None:
    """Nobody overwrites by leaving it out."""
    answer = caller.send("/v1/voice/settings", {"settings": {}}, "PUT")

    assert [one["pointer"] for one in answer.json["errors"]] == ["/revision"]


def test_what_another_release_kept_does_not_stop_calls(caller: Program, hub: Hub) -> None:
    """What this one does not know is passed over; all else counts."""
    kept = {"line": "record", "holograms": True, "languages": ["?"], "retention_days": 30}
    with hub.everyone("a test keeps strange settings") as session:
        session.execute(
            update(Tenant).where(Tenant.id == caller.tenant_id).values(settings={"voice": kept})
        )

    found = voice_settings(hub, caller.tenant_id).settings

    assert (found.line, found.languages, found.retention_days) == ("record", ("en-US",), 30)


def test_other_settings_of_the_tenant_stay(caller: Program, hub: Hub) -> None:
    """Voice settings are one key among others."""
    with hub.everyone("a test keeps other settings") as session:
        session.execute(
            update(Tenant)
            .where(Tenant.id == caller.tenant_id)
            .values(settings={"drop_buckets": ["spam", "other"]})
        )
    put(caller, FULL)

    with hub.everyone("a test reads them") as session:
        tenant = session.get(Tenant, caller.tenant_id)
    assert tenant is not None
    assert tenant.settings["drop_buckets"] == ["spam", "other"]


def test_a_number_is_one_tenants(caller: Program, app: Flask, hub: Hub) -> None:
    """Added, labelled anew, listed and removed; another tenant is not told whose it is."""
    other = program(app, hub, new_company(hub).tenant_id)
    number = new_number()
    path = f"/v1/voice/numbers/{number}"

    added = caller.send(path, {"label": "Desk"}, "PUT")
    again = caller.send(path, {"label": "Front desk"}, "PUT")
    taken = other.send(path, {"label": "Mine"}, "PUT")

    assert [one.status_code for one in (added, again, taken)] == [201, 200, 409]
    assert caller.tenant_id not in taken.text
    [line] = caller.get("/v1/voice/numbers").json["items"]
    assert (line["number"], line["label"]) == (number, "Front desk")
    assert other.get("/v1/voice/numbers").json["items"] == []
    assert other.call("DELETE", path).status_code == 404
    assert caller.call("DELETE", path).json["number"] == number
    assert caller.call("DELETE", path).status_code == 404
    assert other.send(path, {}, "PUT").status_code == 201
    with hub.tenant(caller.tenant_id) as session:
        actions = session.scalars(select(AuditRow.action).order_by(AuditRow.number)).all()
    assert actions == ["voice.number_added", "voice.number_changed", "voice.number_removed"]


@pytest.mark.parametrize("number", ["4155550100", "+0", "+1415555010012345678", "%2B"])
def test_what_is_no_number_is_not_found(caller: Program, number: str) -> None:
    """Only E.164."""
    assert caller.send(f"/v1/voice/numbers/{number}", {}, "PUT").status_code == 404


def test_scopes_are_kept(app: Flask, hub: Hub, caller: Program) -> None:
    """Who may read may not write, and who may write may not read."""
    reader = program(app, hub, caller.tenant_id, [Scope.VOICE_READ])
    writer = program(app, hub, caller.tenant_id, [Scope.VOICE_WRITE])
    path = f"/v1/voice/numbers/{new_number()}"

    assert put(reader, {}, "x").status_code == 403
    assert reader.send(path, {}, "PUT").status_code == 403
    assert writer.get("/v1/voice/settings").status_code == 403
    assert writer.send(path, {}, "PUT").status_code == 201
