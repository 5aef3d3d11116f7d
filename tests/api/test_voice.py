"""What the voice front end asks and leaves behind, through the public edge."""

from __future__ import annotations

import dataclasses
import io

import pytest
from flask import Flask
from sqlalchemy import select, update

from hub import log
from hub.app import create_app
from hub.context import Hub
from hub.db import rotation
from hub.db.audit import AuditRow
from hub.db.events import StoredEvent
from hub.db.telephone import RecordingPart, VoiceToolCall
from hub.db.tenants import Tenant
from hub.settings import Settings, SettingsProblem, load
from hub.voice import recordings
from tests.api.calling import Program, data, event, program
from tests.api.speaking import CALL, Speaker, new_number, speaker, used, wav
from tests.conftest import VOICE_TOKEN, Company, new_company
from voice.profile import Profile


@pytest.fixture
def voice(app: Flask, company: Company) -> Speaker:
    """The voice front end acting for a fresh company."""
    return speaker(app.test_client(), company.tenant_id)


@pytest.fixture
def health(app: Flask, hub: Hub) -> Speaker:
    """The voice front end acting for a company with health data."""
    return speaker(app.test_client(), new_company(hub, is_phi=True).tenant_id)


def audited(hub: Hub, tenant_id: str, action: str) -> list[AuditRow]:
    """Give the rows of the audit log of one kind."""
    with hub.tenant(tenant_id) as session:
        return list(
            session.scalars(
                select(AuditRow).where(AuditRow.action == action).order_by(AuditRow.number)
            )
        )


# The token


@pytest.mark.parametrize("token", ["", "guess", VOICE_TOKEN[:-1], VOICE_TOKEN + "x", "ü" * 40])
def test_another_token_opens_nothing(voice: Speaker, token: str) -> None:
    """401, as for a key that does not exist."""
    voice.token = token

    assert voice.get("/v1/voice/times").status_code == 401
    assert voice.post(event()).status_code == 401


def test_without_a_token_set_none_is_right(hub: Hub, company: Company) -> None:
    """An installation without a voice front end has no such door."""
    settings = Settings(**hub.settings.model_dump() | {"voice_token": None})
    app = create_app(dataclasses.replace(hub, settings=settings))

    assert speaker(app.test_client(), company.tenant_id).get("/v1/voice/times").status_code == 401


def test_a_short_token_is_refused_at_the_start() -> None:
    """It opens all tenants."""
    with pytest.raises(SettingsProblem, match=r"AFTERBEEP_VOICE_TOKEN: .*32 to 200 characters"):
        load(voice_token="secret")


def test_without_a_tenant_only_lines_are_open(app: Flask, caller: Program) -> None:
    """Everything else is a 400 that names the header; an unknown tenant is a 404."""
    number = new_number()
    caller.send(f"/v1/voice/numbers/{number}", {}, "PUT")
    nobody = speaker(app.test_client(), None)
    stranger = speaker(app.test_client(), "ten_of_nobody")

    answer = nobody.get("/v1/voice/times")

    assert (answer.status_code, "Afterbeep-Tenant" in answer.json["detail"]) == (400, True)
    assert nobody.post(event()).status_code == 400
    assert nobody.get(f"/v1/voice/lines/%2B{number[1:]}").status_code == 200
    assert stranger.get("/v1/voice/times").status_code == 404
    assert stranger.post(event()).status_code == 404


def test_the_token_does_only_what_the_voice_front_end_does(voice: Speaker) -> None:
    """It posts events and reads none; it does not change settings."""
    assert voice.get("/v1/events").status_code == 403
    assert voice.get("/v1/voice/settings").status_code == 403
    assert voice.call("PUT", "/v1/voice/numbers/+14155550100", json={}).status_code == 403


def test_an_ordinary_key_does_not_do_it(caller: Program) -> None:
    """Whatever its scopes are, and whatever tenant it names."""
    headers = {"Afterbeep-Tenant": caller.tenant_id}

    assert caller.call("GET", "/v1/voice/times", headers=headers).status_code == 403
    assert caller.get("/v1/voice/lines/+14155550100").status_code == 403
    assert caller.send(f"/v1/voice/calls/{CALL}/tools", {"calls": [used(1)]}).status_code == 403


def test_an_event_of_the_voice_front_end_is_the_named_tenants(
    voice: Speaker, app: Flask, hub: Hub, company: Company
) -> None:
    """Taken once, known the second time, and a conflict when it says something else."""
    sent = event("CA77", source="/voice")

    answers = [voice.post(sent) for _ in range(2)] + [voice.post(sent | {"data": data(reason="x")})]

    reader = program(app, hub, company.tenant_id)
    assert [one.status_code for one in answers] == [202, 200, 409]
    assert answers[0].headers["RateLimit"]
    assert [one["event_id"] for one in reader.get("/v1/events").json["items"]] == ["CA77"]


def test_the_log_has_ids_and_nothing_that_was_said(voice: Speaker, hub: Hub) -> None:
    """No number of a caller or a line, no name, no token; who it was for is there."""
    stream = io.StringIO()
    log.configure(level="debug", stream=stream)
    try:
        voice.post(event(CALL, source="/voice"))
        voice.get("/v1/voice/callers", phone="+14155550132")
        voice.get("/v1/voice/lines/+14155550132")
        voice.keep(used(1))
        voice.keep(used(1, tool="transfer"))
        voice.record(wav(b"Whitfield"))
        voice.record(b"Whitfield")
    finally:
        log.configure()

    text = stream.getvalue()
    assert text.count(voice.tenant_id) >= 7
    for personal in ("5550132", "hitfield", "Dana", VOICE_TOKEN):
        assert personal not in text


# Lines


def test_a_line_is_the_profile_that_the_voice_front_end_reads(voice: Speaker, app: Flask) -> None:
    """Every member that it knows is there, and no other."""
    caller = program(app, app.extensions["afterbeep"], voice.tenant_id)
    number = new_number()
    caller.send(f"/v1/voice/numbers/{number}", {"label": "Front desk"}, "PUT")
    kept = caller.get("/v1/voice/settings").json
    settings = kept["settings"] | {"line": "record", "languages": ["es-US", "en-US"]}
    changed = {"revision": kept["revision"], "settings": settings}
    assert caller.send("/v1/voice/settings", changed, "PUT").status_code == 200

    answer = voice.get(f"/v1/voice/lines/{number}")

    assert answer.json.keys() == Profile.model_fields.keys()
    found = Profile.model_validate(answer.json)
    assert (found.tenant_id, found.number, found.line) == (voice.tenant_id, number, "record")
    assert (found.languages, found.name) == (("es-US", "en-US"), "Harbor Home Services")


def test_defaults_of_the_hub_are_those_of_the_voice_front_end(
    caller: Program, voice: Speaker
) -> None:
    """A tenant for whom nothing is set has what a profile without members has."""
    number = new_number()
    speaks = Speaker(voice.client, caller.tenant_id)
    caller.send(f"/v1/voice/numbers/{number}", {}, "PUT")

    found = Profile.model_validate(speaks.get(f"/v1/voice/lines/{number}").json)

    bare = Profile(tenant_id=found.tenant_id, number=number, name=found.name, vertical="sales")
    assert found == bare


@pytest.mark.parametrize("number", ["+14155559999", "4155550100", "x", "%2B1%00"])
def test_a_number_of_nobody_is_not_found(voice: Speaker, number: str) -> None:
    """404, and so is what is no number."""
    voice.tenant_id = None

    assert voice.get(f"/v1/voice/lines/{number}").status_code == 404


# Callers


def test_a_caller_is_known_by_earlier_events(voice: Speaker) -> None:
    """The newest bucket and summary, the newest name, and how often they called."""
    for number, more in enumerate(
        ({}, {"caller": {}, "bucket": "billing", "summary": "The bill", "language": "es"})
    ):
        voice.post(event(f"CA{number}", data=data(**more)))

    answer = voice.get("/v1/voice/callers", phone="+14155550132")

    assert answer.json == {
        "name": "Dana Whitfield",
        "language": "es",
        "calls": 2,
        "last_bucket": "billing",
        "last_summary": "The bill",
    }


def test_who_never_called_is_not_found(voice: Speaker) -> None:
    """And what is no number is refused with its parameter."""
    wrong = voice.get("/v1/voice/callers", phone="0170 5550132")

    assert voice.get("/v1/voice/callers", phone="+14155550199").status_code == 404
    assert wrong.status_code == 422
    assert wrong.json["errors"][0]["parameter"] == "phone"


def test_a_caller_without_caller_id_is_known_by_the_number_they_gave(voice: Speaker) -> None:
    """The number that called comes first, then the one that they named."""
    unknown = {"call": {"id": "CA1", "from": "anonymous"}}
    voice.post(event("CA1", data=data(**unknown, caller={}, callback={"number": "+14155550177"})))

    assert voice.get("/v1/voice/callers", phone="+14155550177").json["calls"] == 1


def test_of_health_data_only_the_name_is_told_and_written_down(health: Speaker, hub: Hub) -> None:
    """No bucket, no summary; who read it is in the audit log."""
    health.post(event("CA1"))

    answer = health.get("/v1/voice/callers", phone="+14155550132")

    assert answer.json == {
        "name": "Dana Whitfield",
        "language": None,
        "calls": 1,
        "last_bucket": None,
        "last_summary": None,
    }
    [row] = audited(hub, health.tenant_id, "voice.caller_read")
    assert (row.actor, row.target[:4]) == ("voice", "evt_")


def test_callers_outlive_a_rotation_and_other_tenants_have_other_fingerprints(
    voice: Speaker, app: Flask, hub: Hub
) -> None:
    """The fingerprint is made with the tenant's first key, and tells nothing across tenants."""
    other = speaker(app.test_client(), new_company(hub).tenant_id)
    for one in (voice, other):
        one.post(event("CA1"))
    rotation.rotate(hub, voice.tenant_id, settle_s=0)

    hashes = []
    for one in (voice, other):
        with hub.tenant(one.tenant_id) as session:
            hashes += session.scalars(select(StoredEvent.caller_hash)).all()
    assert voice.get("/v1/voice/callers", phone="+14155550132").json["calls"] == 1
    assert len(set(hashes)) == 2
    assert "4155550132" not in "".join(hashes)


# Tool calls


def test_tool_calls_are_kept_once_sealed_and_audited(voice: Speaker, hub: Hub) -> None:
    """Sent again they are known; the audit log has one row each, without arguments."""
    first = voice.keep(used(1), used(2, tool="end_call", result=None, error="timeout"))
    again = voice.keep(used(2, tool="end_call", result=None, error="timeout"), used(3))

    assert (first.json["kept"], first.json["known"]) == (2, 0)
    assert (again.json["kept"], again.json["known"]) == (1, 1)
    assert voice.kept()[:1] == [used(1)]
    assert [one["number"] for one in voice.kept()] == [1, 2, 3]
    rows = audited(hub, voice.tenant_id, "voice.tool_used")
    assert [(row.actor, row.target, row.facts["tool"], row.facts["number"]) for row in rows] == [
        ("voice", CALL, "look_up_caller", 1),
        ("voice", CALL, "end_call", 2),
        ("voice", CALL, "look_up_caller", 3),
    ]
    assert all(len(row.facts["sha256"]) == 64 for row in rows)
    with hub.tenant(voice.tenant_id) as session:
        kept = session.scalars(select(VoiceToolCall.body)).all()
    assert not any(b"Dana" in body for body in kept)


@pytest.mark.parametrize(
    "change", [{"result": {"name": "Kit"}}, {"arguments": {}}, {"ms": 42}, {"tool": "transfer"}]
)
def test_another_tool_call_under_a_number_is_a_conflict(voice: Speaker, change: dict) -> None:
    """409 with its place, and nothing that came with it is kept."""
    voice.keep(used(1))

    answer = voice.keep(used(2), used(1, **change))

    assert answer.status_code == 409
    assert answer.json["errors"][0]["pointer"] == "/calls/1/number"
    assert voice.kept() == [used(1)]


def test_two_tool_calls_of_one_number_in_one_request_are_a_conflict(voice: Speaker) -> None:
    """The first says what the number is; twice the same is fine."""
    assert voice.keep(used(1), used(1, tool="transfer")).status_code == 409
    assert voice.keep(used(1), used(1)).json["kept"] == 1


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"calls": []}, "/calls"),
        ({"calls": [used(1) | {"number": "1"}]}, "/calls/0/number"),
        ({"calls": [used(1, at="yesterday")]}, "/calls/0/at"),
        ({"calls": [used(1, ms="fast")]}, "/calls/0/ms"),
        ({"calls": [used(1, more=1)]}, "/calls/0/more"),
        ({"calls": [used(1, tool="drop table")]}, "/calls/0/tool"),
    ],
)
def test_a_wrong_tool_call_is_named_by_its_place(voice: Speaker, wrong: dict, pointer: str) -> None:
    """422 with a pointer."""
    answer = voice.call("POST", f"/v1/voice/calls/{CALL}/tools", json=wrong)

    assert answer.status_code == 422
    assert pointer in [fault["pointer"] for fault in answer.json["errors"]]


def test_an_ordinary_key_reads_tool_calls_by_its_scope(
    health: Speaker, app: Flask, hub: Hub
) -> None:
    """With voice:read; for tenants with health data the reading is written down."""
    health.keep(used(1))
    reader = program(app, hub, health.tenant_id)

    answer = reader.get(f"/v1/voice/calls/{CALL}/tools")

    assert answer.json["calls"] == [used(1)]
    [row] = audited(hub, health.tenant_id, "voice.tools_read")
    assert row.actor == f"key:{reader.key.id}"


# Recordings


def test_a_recording_is_kept_once_in_sealed_parts(voice: Speaker, hub: Hub) -> None:
    """Kept, then known; another one is a conflict. What is stored is not what was sent."""
    sound = wav(bytes(range(256)) * 3_000)

    answers = [voice.record(sound), voice.record(sound), voice.record(wav(b"other"))]

    assert [one.status_code for one in answers] == [201, 200, 409]
    assert [one.json.get("status") for one in answers] == ["kept", "known", 409]
    assert answers[0].json["size_bytes"] == len(sound)
    with hub.tenant(voice.tenant_id) as session:
        parts = session.scalars(select(RecordingPart.body)).all()
    assert len(parts) == 3
    assert not any(bytes(range(256)) in part for part in parts)
    assert len(audited(hub, voice.tenant_id, "voice.recording_kept")) == 1


@pytest.mark.parametrize(
    ("media_type", "sound", "status"),
    [
        ("audio/ogg", wav(), 415),
        ("application/json", b"{}", 415),
        ("audio/wav", b"<html>", 422),
        ("audio/wav", b"", 422),
        ("audio/mpeg", wav(), 422),
        ("audio/mpeg", b"ID3\x04 sound", 201),
        ("audio/mpeg", b"\xff\xfb\x90 sound", 201),
        ("audio/x-wav; rate=8000", wav(), 201),
    ],
)
def test_only_sound_is_kept(voice: Speaker, media_type: str, sound: bytes, status: int) -> None:
    """WAV and MPEG, judged by their first bytes too."""
    assert voice.record(sound, media_type=media_type).status_code == status


def test_a_recording_has_a_largest_size(voice: Speaker) -> None:
    """32 MiB pass, one byte more is a 413; other bodies keep their limit."""
    most = wav().ljust(recordings.LARGEST_BYTES, b"\0")

    assert voice.record(most).status_code == 201
    answer = voice.record(most + b"\0", call_id="CA2")
    assert (answer.status_code, "32 MiB" in answer.json["detail"]) == (413, True)
    assert voice.keep(used(1, arguments={"x": "y" * 1_100_000})).status_code == 413


def test_only_the_part_that_is_asked_for_is_opened(voice: Speaker, hub: Hub) -> None:
    """Parts fit together again, from any place to any other."""
    sound = wav(bytes(range(251)) * 4_000)
    voice.post(event(CALL, source="/voice"))
    voice.record(sound)
    with hub.tenant(voice.tenant_id) as session:
        event_id = session.scalars(select(StoredEvent.id)).one()
        found = recordings.of_event(session, event_id)

    for start, end in ((0, len(sound)), (5, 9), (262_140, 262_150), (524_288, 524_289)):
        assert b"".join(recordings.sound_of(hub, found, start, end)) == sound[start:end]


def test_an_event_of_another_source_has_no_recording(voice: Speaker, hub: Hub) -> None:
    """A sender who calls an event like a call does not get at its sound."""
    voice.post(event(CALL, source="/elsewhere"))
    voice.record(wav())

    with hub.tenant(voice.tenant_id) as session:
        event_id = session.scalars(select(StoredEvent.id)).one()
        assert recordings.of_event(session, event_id) is None


# Times


def hours(hub: Hub, tenant_id: str, **week: list[str]) -> None:
    """Set business hours."""
    with hub.everyone("a test sets business hours") as session:
        session.execute(
            update(Tenant)
            .where(Tenant.id == tenant_id)
            .values(timezone="America/New_York", settings={"voice": {"business_hours": week}})
        )


def test_times_are_of_business_hours_where_no_calendar_is(voice: Speaker, hub: Hub) -> None:
    """In the tenant's zone, at most six, within the hours, two a day while there are days."""
    hours(hub, voice.tenant_id, mon=["09:00-12:00"], tue=["13:00-14:00"], wed=["09:00-17:00"])

    answer = voice.get("/v1/voice/times", **{"from": "2027-03-08T00:00:00-05:00", "days": "4"})

    assert answer.json == {
        "times": [
            "2027-03-08T09:00:00-05:00",
            "2027-03-08T10:30:00-05:00",
            "2027-03-09T13:00:00-05:00",
            "2027-03-09T13:30:00-05:00",
            "2027-03-10T09:00:00-05:00",
            "2027-03-10T13:00:00-05:00",
        ],
        "timezone": "America/New_York",
    }


def test_times_of_one_day_are_its_first(voice: Speaker, hub: Hub) -> None:
    """Who asks for a day gets that day, and a length that fits."""
    hours(hub, voice.tenant_id, mon=["09:00-11:00", "14:00-15:00"])
    day = {"from": "2027-03-08T00:00:00-05:00", "days": "1", "duration_minutes": "60"}

    found = voice.get("/v1/voice/times", **day).json["times"]

    assert [one[11:16] for one in found] == ["09:00", "09:30", "10:00", "14:00"]


def test_without_calendar_and_hours_no_times_can_be_told(voice: Speaker) -> None:
    """503 with when to try again."""
    answer = voice.get("/v1/voice/times")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "business hours" in answer.json["detail"]


@pytest.mark.parametrize(
    "query",
    [{"days": "0"}, {"duration_minutes": "many"}, {"from": "tomorrow"}, {"until": "x"}],
)
def test_wrong_questions_for_times_are_refused(voice: Speaker, query: dict) -> None:
    """422 that names the parameter."""
    answer = voice.get("/v1/voice/times", **query)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["parameter"] == next(iter(query))


def test_the_end_of_time_is_no_time(voice: Speaker, hub: Hub) -> None:
    """A moment that the calendar of this world does not reach is refused, not broken."""
    hours(hub, voice.tenant_id, mon=["09:00-12:00"])

    for moment in ("9999-12-31T00:00:00Z", "0001-01-01T00:00:00Z"):
        answer = voice.get("/v1/voice/times", **{"from": moment, "days": "60"})
        assert answer.status_code in {200, 422}, answer.text
