"""Posting events: what is taken, what is refused, and how both are said."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import func, select

from hub.context import Hub
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from tests.api.calling import BATCH, TYPE, Program, data, event
from tests.api.conftest import Mapped


def places(answer) -> dict[str, str]:
    """Give the faults of a problem by pointer."""
    assert answer.content_type == "application/problem+json", answer.text
    return {fault["pointer"]: fault["detail"] for fault in answer.json["errors"]}


def test_a_structured_event_is_stored_with_its_deliveries(hub: Hub, mapped: Mapped) -> None:
    """202 names an event that is committed with a row for every step."""
    answer = mapped.caller.post(event())

    assert answer.status_code == 202
    assert answer.json["status"] == "accepted"
    assert answer.json["deliveries"] == 2
    assert answer.headers["Location"] == answer.json["links"]["self"]
    with hub.tenant(mapped.caller.tenant_id) as session:
        rows = session.scalar(select(func.count()).where(Delivery.event_id == answer.json["id"]))
    assert rows == 2


def test_a_binary_event_is_read_from_its_headers(caller: Program) -> None:
    """Attributes are percent-decoded, quotes are undone, extensions are kept."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "Caf%C3%A9%201",
        "ce-source": '"/lines/\\"main\\""',
        "ce-type": TYPE,
        "ce-branch": "North",
    }

    answer = caller.post(data(), "application/json; charset=utf-8", headers)

    assert answer.status_code == 202, answer.text
    kept = caller.get(answer.json["links"]["self"]).json["event"]
    assert (kept["id"], kept["source"], kept["branch"]) == ("Café 1", '/lines/"main"', "North")


def test_a_header_that_is_not_utf8_is_named(caller: Program) -> None:
    """Bytes that are no text are a fault of that attribute."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "%ff",
        "ce-source": "/lines",
        "ce-type": TYPE,
    }

    answer = caller.post(data(), "application/json", headers)

    assert answer.status_code == 422
    assert set(places(answer)) == {"/id"}


def test_the_same_event_again_answers_with_the_first_result(hub: Hub, mapped: Mapped) -> None:
    """200, the same id, and no row more, however the JSON was written."""
    sent = event()
    first = mapped.caller.post(sent)

    again = mapped.caller.post(json.dumps(dict(reversed(sent.items())), indent=3).encode())

    assert (again.status_code, again.json["status"]) == (200, "known")
    assert (again.json["id"], again.json["deliveries"]) == (first.json["id"], 2)
    with hub.tenant(mapped.caller.tenant_id) as session:
        assert session.scalar(select(func.count()).select_from(StoredEvent)) == 1


def test_another_event_with_the_same_id_is_a_conflict(caller: Program) -> None:
    """409 names the event that has the id, and changes nothing."""
    first = caller.post(event("twice"))

    answer = caller.post(event("twice", data=data(summary="Something else")))

    assert answer.status_code == 409
    assert answer.json["type"] == "/v1/problems/id-taken"
    assert answer.json["event_id"] == first.json["id"]


def test_two_tenants_may_use_the_same_id(caller: Program, app, hub: Hub) -> None:
    """An event's identity belongs to its tenant."""
    from tests.api.calling import program
    from tests.conftest import new_company

    other = program(app, hub, new_company(hub).tenant_id)
    sent = event("shared")

    assert caller.post(sent).status_code == 202
    assert other.post(sent).status_code == 202


def test_malformed_json_is_a_400_with_its_position(caller: Program) -> None:
    """The reader learns line and column."""
    answer = caller.post(b'{\n "id": }')

    assert answer.status_code == 400
    assert answer.json["type"] == "/v1/problems/malformed-json"
    assert "line 2 column 8" in answer.json["detail"]


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_json_does_not_know_are_malformed(caller: Program, number: bytes) -> None:
    """NaN is not JSON, wherever it stands."""
    raw = json.dumps(event(data=data(extra={"size": 7.5}))).encode().replace(b"7.5", number)

    assert caller.post(raw).status_code == 400


def test_the_word_nan_is_fine_in_a_text(caller: Program) -> None:
    """Only the number is refused."""
    assert caller.post(event(data=data(summary="NaN said the caller"))).status_code == 202


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/json", "application/cloudevents+xml", ""]
)
def test_other_media_types_are_refused(caller: Program, media_type: str) -> None:
    """415 says which are supported."""
    answer = caller.post(event(), media_type)

    assert answer.status_code == 415
    assert "application/cloudevents+json" in answer.json["detail"]


def test_a_body_of_more_than_a_mebibyte_is_refused(caller: Program) -> None:
    """413, before it is read."""
    answer = caller.post(event(data=data(reason="x" * 1_048_577)))

    assert answer.status_code == 413
    assert answer.json["type"] == "/v1/problems/too-large"


def test_every_bad_field_is_named_at_once(caller: Program) -> None:
    """A pointer and a sentence for each, and nothing of what was sent."""
    wrong = data(
        call={"id": "CA1", "duration_s": "41"},
        caller={"phone": "0170 5550 1234", "shoe size": 43},
        bucket="gossip",
        extra={"branch": {"deep": "SECRETWORD"}},
    )

    answer = caller.post(event(data=wrong, time="yesterday", specversion="0.3"))

    assert answer.status_code == 422
    assert set(places(answer)) == {
        "/specversion",
        "/time",
        "/data/call/duration_s",
        "/data/caller/phone",
        "/data/caller/shoe size",
        "/data/bucket",
        "/data/extra/branch",
    }
    assert "SECRETWORD" not in answer.text
    assert "0170" not in answer.text


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": "a\x00b"}, "/id"),
        ({"source": "/lines\n"}, "/source"),
        ({"data": data(language="en\x00")}, "/data/language"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "/time"),
        ({"bad_name": "x"}, "/bad_name"),
        ({"branch": {"deep": 1}}, "/branch"),
        ({"branch": 2**31}, "/branch"),
        ({"data_base64": "e30="}, "/data_base64"),
    ],
)
def test_attributes_are_what_cloudevents_asks(caller: Program, changes, pointer: str) -> None:
    """What the database or a reader could not take is a fault, not a failure."""
    answer = caller.post(event(**changes))

    assert answer.status_code == 422
    assert set(places(answer)) == {pointer}


def test_a_lone_surrogate_is_malformed(caller: Program) -> None:
    """Text that has no UTF-8 is refused, in extensions too."""
    raw = json.dumps(event(branch="X")).replace('"X"', '"\\ud800"').encode()

    assert caller.post(raw).status_code == 400


def test_a_batch_of_good_events_is_taken_whole(hub: Hub, caller: Program) -> None:
    """202, with a result for each in order."""
    sent = [event() for _ in range(100)]

    answer = caller.post(sent, BATCH)

    assert answer.status_code == 202
    assert (answer.json["accepted"], answer.json["refused"]) == (100, 0)
    assert [result["index"] for result in answer.json["results"]] == list(range(100))
    with hub.tenant(caller.tenant_id) as session:
        assert session.scalar(select(func.count()).select_from(StoredEvent)) == 100


def test_each_event_of_a_batch_is_judged_on_its_own(caller: Program) -> None:
    """207: good ones are taken, known ones said, the others named with their places."""
    known = event("known")
    caller.post(known)
    caller.post(event("taken"))
    clash = event("taken", data=data(summary="Other"))
    bad = event(data=data(call={"id": "CA1", "from": 5}))

    fresh = event("fresh")

    answer = caller.post([fresh, known, clash, bad, fresh], BATCH)

    assert answer.status_code == 207
    results = answer.json["results"]
    assert [result["status"] for result in results] == [
        "accepted",
        "known",
        "conflict",
        "invalid",
        "known",
    ]
    assert results[3]["errors"] == [{"pointer": "/3/data/call/from", "detail": "must be text"}]
    assert results[2]["errors"][0]["pointer"] == "/2/id"
    assert answer.json["refused"] == sum(
        result["status"] in {"conflict", "invalid"} for result in results
    )


def test_a_batch_of_which_nothing_was_taken_is_a_problem(caller: Program) -> None:
    """422, so that a caller who only looks at the status sees it."""
    answer = caller.post([event(specversion="9")], BATCH)

    assert answer.status_code == 422
    assert set(places(answer)) == {"/0/specversion"}
    assert answer.json["results"][0]["status"] == "invalid"


def test_a_batch_of_conflicts_is_a_conflict(caller: Program) -> None:
    """409 when every id is taken by another event."""
    caller.post(event("one"))

    answer = caller.post([event("one", subject="other")], BATCH)

    assert answer.status_code == 409


def test_an_empty_batch_is_fine(caller: Program) -> None:
    """CloudEvents allows it."""
    answer = caller.post([], BATCH)

    assert (answer.status_code, answer.json["results"]) == (202, [])


def test_more_than_a_hundred_events_are_refused(caller: Program) -> None:
    """Nothing of a batch that is too long is taken."""
    answer = caller.post([event() for _ in range(101)], BATCH)

    assert answer.status_code == 422
    assert set(places(answer)) == {""}


def test_an_event_follows_a_mapping_that_was_just_published(hub: Hub, caller: Program) -> None:
    """No process plans by what it remembers."""
    from tests.api.calling import connection_of, mapping_of

    assert caller.post(event()).json["deliveries"] == 1
    connection_id = connection_of(hub, caller.tenant_id)
    mapping_of(hub, caller.tenant_id, connection_id)

    assert caller.post(event()).json["deliveries"] == 2
