"""The player of a voicemail: there when there is something to hear, and only for those who may hear it."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.people import Role
from hub.delivery.plan import Incoming, accept
from hub.voice import recordings
from mappings.event import Event
from tests.api.calling import event
from tests.api.speaking import wav
from tests.conftest import new_company
from tests.web.visitor import Visitor, signed_in

SOUND = wav(bytes(range(251)) * 3_000)


def call(hub: Hub, visitor: Visitor, *, is_heard: bool = True, source: str = "/voice") -> str:
    """Take an event of a call, with its recording; gives our id."""
    tenant_id = visitor.company.tenant_id
    sent = Event.model_validate(event("CA1", source=source))
    [taken] = accept(hub, tenant_id, [Incoming.of(sent)])
    if is_heard:
        recordings.keep(hub, tenant_id, "CA1", media_type="audio/wav", sound=SOUND, actor="voice")
    return taken.id


def test_a_page_plays_what_was_recorded(hub: Hub, visitor: Visitor) -> None:
    """The player has the address of the sound, loads nothing by itself, and the policy lets it."""
    event_id = call(hub, visitor)

    page = visitor.page(f"/voicemails/{event_id}")
    [player] = [found for tag, found in page.elements if tag == "audio"]
    answer = visitor.get(player["src"])

    assert (player["preload"], "controls" in player) == ("none", True)
    assert (answer.status_code, answer.content_type) == (200, "audio/wav")
    assert answer.data == SOUND
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "media-src 'self'" in answer.headers["Content-Security-Policy"]


def test_the_calls_id_leads_to_the_sound_too(hub: Hub, visitor: Visitor) -> None:
    """The address in the event itself, which records at vendors link to, was written before our id was known."""
    call(hub, visitor)

    assert visitor.get("/voicemails/CA1/recording").data == SOUND


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, len(SOUND)),
        ("bytes=0-0", 0, 1),
        ("bytes=262140-262150", 262_140, 262_151),
        ("bytes=-5", len(SOUND) - 5, len(SOUND)),
        ("bytes=700000-9999999", 700_000, len(SOUND)),
    ],
)
def test_a_part_is_given_alone(
    hub: Hub, visitor: Visitor, asked: str, start: int, end: int
) -> None:
    """206 with where it lies."""
    event_id = call(hub, visitor)

    answer = visitor.get(f"/voicemails/{event_id}/recording", headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.data == SOUND[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(SOUND)}"
    assert int(answer.headers["Content-Length"]) == end - start


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=x", "bytes=5-2"])
def test_what_is_no_part_is_the_whole(hub: Hub, visitor: Visitor, asked: str) -> None:
    """Several parts, other units and nonsense are answered with everything."""
    event_id = call(hub, visitor)

    answer = visitor.get(f"/voicemails/{event_id}/recording", headers={"Range": asked})

    assert (answer.status_code, len(answer.data)) == (200, len(SOUND))


def test_a_part_behind_the_end_is_refused(hub: Hub, visitor: Visitor) -> None:
    """416 that tells how much there is."""
    event_id = call(hub, visitor)

    answer = visitor.get(f"/voicemails/{event_id}/recording", headers={"Range": "bytes=9999999-"})

    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(SOUND)}"


def test_a_part_of_another_version_is_the_whole(hub: Hub, visitor: Visitor) -> None:
    """If-Range with the sound's own tag gives the part."""
    path = f"/voicemails/{call(hub, visitor)}/recording"
    tag = visitor.get(path).headers["ETag"]

    statuses = [
        visitor.get(path, headers={"Range": "bytes=0-4", "If-Range": one}).status_code
        for one in (tag, '"other"')
    ]

    assert statuses == [206, 200]


@pytest.mark.parametrize("words", [{"is_heard": False}, {"source": "/elsewhere"}])
def test_without_a_recording_there_is_no_player(hub: Hub, visitor: Visitor, words: dict) -> None:
    """Neither for a call that was not recorded, nor for an event that only has a call's name."""
    event_id = call(hub, visitor, **words)

    assert "audio" not in [tag for tag, _ in visitor.page(f"/voicemails/{event_id}").elements]
    assert visitor.get(f"/voicemails/{event_id}/recording").status_code == 404


def test_another_company_hears_nothing(app: Flask, hub: Hub, visitor: Visitor) -> None:
    """404, as for a voicemail that does not exist; without a sign-in it leads there."""
    event_id = call(hub, visitor)
    stranger = signed_in(app, hub, new_company(hub))
    call(hub, stranger, is_heard=False)

    assert stranger.get(f"/voicemails/{event_id}/recording").status_code == 404
    assert app.test_client().get(f"/voicemails/{event_id}/recording").status_code == 303


def test_hearing_health_data_is_written_down(app: Flask, hub: Hub) -> None:
    """Each time, with who it was."""
    visitor = signed_in(app, hub, new_company(hub, is_phi=True, role=Role.VIEWER))
    event_id = call(hub, visitor)
    for asked in ("bytes=0-9", "bytes=10-"):
        visitor.get(f"/voicemails/{event_id}/recording", headers={"Range": asked})

    with hub.tenant(visitor.company.tenant_id) as session:
        rows = session.execute(
            select(AuditRow.actor, AuditRow.target).where(AuditRow.action == "recording.read")
        ).all()
    assert [(row.actor, row.target) for row in rows] == [
        (f"person:{visitor.company.person_id}", event_id)
    ] * 2
