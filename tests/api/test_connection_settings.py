"""Settings of a connection over the API: read, changed, and refused with every place that is wrong."""

from __future__ import annotations

from sqlalchemy import update

from hub.db.connections import Connection
from hub.db.keys import Scope
from tests.api.calling import program
from tests.api.conftest import Mapped


def of_twilio(mapped: Mapped) -> str:
    """Let the connection be one whose vendor has settings; gives its path."""
    with mapped.caller.hub.tenant(mapped.caller.tenant_id) as session:
        session.execute(update(Connection).values(connector="twilio_sms"))
    return f"/v1/connections/{mapped.connection_id}"


def test_settings_are_changed_and_read_back(mapped: Mapped) -> None:
    """A setting's value, its default and its choices are told; null goes back to the default."""
    path = of_twilio(mapped)

    changed = mapped.caller.send(
        path,
        {
            "label": "Texts",
            "settings": {"consent": "assumed", "quiet_hours": False},
            "budget": {"share": 0.5, "grants": {"concurrency": 20}},
        },
        "PATCH",
    )
    back = mapped.caller.send(path, {"settings": {"consent": None}}, "PATCH")

    assert changed.status_code == 200, changed.text
    lines = {one["name"]: one for one in changed.json["settings"]}
    assert lines["consent"]["value"] == "assumed"
    assert lines["consent"]["default"] == "required"
    assert [one["value"] for one in lines["consent"]["choices"]] == ["required", "assumed"]
    assert lines["quiet_hours"]["value"] is False
    assert (changed.json["label"], changed.json["share"]) == ("Texts", 0.5)
    assert changed.json["grants"] == {"concurrency": 20}
    values = {one["name"]: one["value"] for one in back.json["settings"]}
    assert (values["consent"], values["quiet_hours"]) == (None, False)


def test_every_wrong_place_is_named(mapped: Mapped) -> None:
    """All problems at once, each with a pointer into the body."""
    answer = mapped.caller.send(
        of_twilio(mapped),
        {
            "label": "",
            "settings": {"consent": "perhaps", "segments_per_s": 0, "colour": "red"},
            "budget": {"grants": {"moon": 1}},
        },
        "PATCH",
    )

    assert answer.status_code == 422
    assert {one["pointer"] for one in answer.json["errors"]} == {
        "/label",
        "/settings/consent",
        "/settings/segments_per_s",
        "/settings/colour",
        "/budget/grants/moon",
    }


def test_a_share_above_one_is_refused(mapped: Mapped) -> None:
    """More than the whole account cannot be ours."""
    answer = mapped.caller.send(of_twilio(mapped), {"budget": {"share": 2}}, "PATCH")

    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json["errors"]] == ["/budget/share"]


def test_a_key_that_only_reads_changes_nothing(mapped: Mapped, app) -> None:
    """Changing needs the scope connections:write."""
    reader = program(app, mapped.caller.hub, mapped.caller.tenant_id, (Scope.CONNECTIONS_READ,))

    answer = reader.send(of_twilio(mapped), {"label": "Mine"}, "PATCH")

    assert answer.status_code == 403


def test_choices_of_a_setting(mapped: Mapped) -> None:
    """Fixed choices are told without a call; an account that is silent says why; no setting is a 404."""
    path = f"{of_twilio(mapped)}/settings"

    fixed = mapped.caller.get(f"{path}/consent/choices")
    silent = mapped.caller.get(f"{path}/sender/choices")
    none = mapped.caller.get(f"{path}/colour/choices")

    assert [one["value"] for one in fixed.json["items"]] == ["required", "assumed"]
    assert silent.json["items"] == []
    assert silent.json["problem"]
    assert none.status_code == 404


def test_what_cannot_be_stored_is_refused_with_its_place(mapped: Mapped) -> None:
    """U+0000 in any text, name or query is told of, and nothing is changed."""
    path = of_twilio(mapped)
    before = mapped.caller.get(path).json["label"]

    body = mapped.caller.send(
        path, {"label": "a\0b", "settings": {"sender": ["x", "\0"], "na\0me": 1}}, "PATCH"
    )
    query = mapped.caller.get("/v1/deliveries", connection_id="\0")
    address = mapped.caller.get("/v1/connections/%00")

    assert body.status_code == query.status_code == 422
    pointers = {one["pointer"] for one in body.json["errors"]}
    assert pointers == {"/label", "/settings", "/settings/sender/1"}
    assert [one["parameter"] for one in query.json["errors"]] == ["connection_id"]
    assert address.status_code == 404
    assert mapped.caller.get(path).json["label"] == before
