"""Every route keeps tenants apart; a new route fails here until it is covered."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask

from hub.alerts import endpoints
from hub.api import document, new_app
from hub.context import Hub
from hub.db.base import new_id
from tests.api.calling import MAPPING, Program, event, program
from tests.api.conftest import Mapped
from tests.api.speaking import Speaker, new_number, speaker, used, wav
from tests.conftest import new_company

DRAFT = {"yaml": MAPPING, "name": "Leads"}

#: How each operation is asked for another company's things; ids come from that company.
FOREIGN: dict[tuple[str, str], Callable[[dict[str, str]], object]] = {
    ("get", "/v1/events/{id}"): lambda _: None,
    ("get", "/v1/events/{id}/outcomes"): lambda _: None,
    ("put", "/v1/events/{id}/page-verdict"): lambda _: {"is_false": True},
    ("get", "/v1/deliveries/{id}"): lambda _: None,
    ("post", "/v1/deliveries/{id}/replay"): lambda _: {"version": "kept"},
    ("post", "/v1/deliveries/{id}/approve"): lambda _: None,
    ("post", "/v1/deliveries/{id}/reject"): lambda _: None,
    ("post", "/v1/deliveries/{id}/choose"): lambda _: {"record_id": None},
    ("get", "/v1/replays/{id}"): lambda _: None,
    ("post", "/v1/replays/{id}/cancel"): lambda _: None,
    ("get", "/v1/mappings/{id}"): lambda _: None,
    ("put", "/v1/mappings/{id}"): lambda ids: DRAFT | {"connection_id": ids["connections"]},
    ("post", "/v1/mappings"): lambda ids: DRAFT | {"connection_id": ids["connections"]},
    ("post", "/v1/mappings/check"): lambda ids: {
        "yaml": MAPPING,
        "connection_id": ids["connections"],
    },
    ("get", "/v1/connections/{id}"): lambda _: None,
    ("post", "/v1/connections/{id}/playbook"): lambda _: {"dry_run": True},
    ("patch", "/v1/connections/{id}"): lambda _: {"label": "Mine"},
    ("get", "/v1/connections/{id}/settings/{name}/choices"): lambda _: None,
    ("get", "/v1/connections/{id}/objects"): lambda _: None,
    ("get", "/v1/connections/{id}/objects/{object}/fields"): lambda _: None,
    ("get", "/v1/webhooks/{id}"): lambda _: None,
    ("put", "/v1/webhooks/{id}"): lambda _: {"url": "https://mine.harbor.example/"},
    ("delete", "/v1/webhooks/{id}"): lambda _: None,
    ("post", "/v1/webhooks/{id}/rotate"): lambda _: None,
    ("post", "/v1/webhooks/{id}/test"): lambda _: None,
    ("get", "/v1/webhooks/{id}/sendings"): lambda _: None,
    ("delete", "/v1/voice/numbers/{number}"): lambda _: None,
}
#: What the voice front end asks with one token for all tenants: with another tenant's header there is nothing.
SPOKEN: dict[tuple[str, str], str] = {
    ("get", "/v1/voice/lines/{number}"): "/v1/voice/lines/{number}",
    ("get", "/v1/voice/callers"): "/v1/voice/callers?phone=%2B14155550132",
    ("get", "/v1/voice/calls/{call_id}/tools"): "/v1/voice/calls/CA1/tools",
}
#: Operations that list or count: another company's rows must not be among them.
LISTS = {
    ("get", "/v1/events"),
    ("get", "/v1/deliveries"),
    ("get", "/v1/mappings"),
    ("get", "/v1/connections"),
    ("get", "/v1/ledger"),
    ("get", "/v1/alerts"),
    ("get", "/v1/webhooks"),
    ("get", "/v1/metrics/outcomes"),
    ("get", "/v1/approval"),
    ("get", "/v1/replays"),
    ("post", "/v1/deliveries/replay"),
    ("post", "/v1/replays"),
    ("get", "/v1/voice/settings"),
    ("get", "/v1/voice/numbers"),
}
#: Operations that hold nothing of anybody, or that only write to the key's own tenant.
OWNERLESS = {
    ("get", "/v1/schemas/"),
    ("get", "/v1/schemas/{type}"),
    ("get", "/v1/problems/{kind}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("post", "/v1/events"),
    ("post", "/v1/webhooks"),
    ("put", "/v1/approval"),
    ("put", "/v1/voice/settings"),
    ("put", "/v1/voice/numbers/{number}"),
    ("get", "/v1/voice/times"),
    ("post", "/v1/voice/calls/{call_id}/tools"),
    ("put", "/v1/voice/calls/{call_id}/recording"),
}


def operations() -> set[tuple[str, str]]:
    """List every operation of the document."""
    found = document.build(new_app(__name__))["paths"]
    return {(method, path) for path, item in found.items() for method in item}


def test_every_operation_is_covered_here() -> None:
    """Somebody thought about each."""
    assert operations() == set(FOREIGN) | set(SPOKEN) | LISTS | OWNERLESS


def test_every_route_of_the_api_is_in_the_document(app: Flask) -> None:
    """No route is served that the document, and so this test, does not know."""
    served = {
        (method.lower(), re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/v1", "/healthz", "/readyz", "/metrics"))
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }

    assert served == operations()


def test_every_route_is_marked(app: Flask) -> None:
    """A view says which scope it needs, or that it is public."""
    unmarked = [
        name
        for name, view in app.view_functions.items()
        if name.startswith("api_")
        and not name.startswith("api_docs.")
        and not {"needs_scope", "is_public"} & set(view.__dict__)
    ]

    assert unmarked == []


@pytest.fixture
def stranger(app: Flask, hub: Hub) -> Program:
    """A program of another company."""
    return program(app, hub, new_company(hub).tenant_id)


def ids_of(mapped: Mapped) -> dict[str, str]:
    """Give one id of each kind of a company."""
    event_id = mapped.caller.take()
    hub, tenant_id = mapped.caller.hub, mapped.caller.tenant_id
    webhook = endpoints.create(hub, tenant_id, url="https://ops.harbor.example/", actor="command")
    alert = endpoints.test(hub, tenant_id, webhook.endpoint.id, actor="command")
    return {
        "webhooks": webhook.endpoint.id,
        "alerts": alert.alert_id,
        "events": event_id,
        "deliveries": mapped.caller.deliveries(event_id)[0]["id"],
        "replays": mapped.caller.send("/v1/replays", {"event_id": event_id}).json["id"],
        "mappings": mapped.mapping_id,
        "connections": mapped.connection_id,
        "voice": number_of(mapped.caller),
    }


def number_of(caller: Program) -> str:
    """Give a company a telephone number."""
    number = new_number()
    assert caller.send(f"/v1/voice/numbers/{number}", {}, "PUT").status_code == 201
    return number


@pytest.mark.parametrize(("method", "path"), sorted(FOREIGN))
def test_another_companys_things_are_not_found(
    mapped: Mapped, stranger: Program, method: str, path: str
) -> None:
    """404, exactly as for an id that does not exist."""
    ids = ids_of(mapped)
    kind = path.split("/")[2]
    body = FOREIGN[method, path](ids)
    here = path.replace("{object}", "Lead").replace("{name}", "calendar")

    place = "{number}" if kind == "voice" else "{id}"
    foreign = stranger.send(here.replace(place, ids[kind]), body, method.upper())

    assert foreign.status_code == 404, foreign.text
    made_up = new_number() if kind == "voice" else new_id(ids[kind][:3])
    body = FOREIGN[method, path](ids | {"connections": new_id("con")})
    nothing = stranger.send(here.replace(place, made_up), body, method.upper())
    assert foreign.json | {"request_id": ""} == nothing.json | {"request_id": ""}


@pytest.mark.parametrize(("method", "path"), sorted(LISTS))
def test_another_companys_rows_are_not_listed(
    mapped: Mapped, stranger: Program, method: str, path: str
) -> None:
    """A stranger's lists and sums are empty, also when they ask for these very rows."""
    ids = ids_of(mapped)
    if method == "post":
        chosen = {"delivery_ids": [ids["deliveries"]], "dry_run": False}
        answer = stranger.send(path, chosen).json
        assert answer["count" if "count" in answer else "counted"] == 0
        return

    answer = stranger.get(path)

    assert answer.status_code == 200
    assert not any(one in answer.text for one in ids.values())
    if path == "/v1/deliveries":
        assert stranger.get(path, event_id=ids["events"]).json["items"] == []
    if path == "/v1/ledger":
        assert answer.json["events"] == 0


def test_a_posted_event_belongs_to_the_keys_tenant(mapped: Mapped, stranger: Program) -> None:
    """What the event says of itself does not matter."""
    sent = event(tenantid=mapped.caller.tenant_id)
    stranger.post(sent)

    assert mapped.caller.get("/v1/events", event_id=sent["id"]).json["items"] == []
    assert len(stranger.get("/v1/events", event_id=sent["id"]).json["items"]) == 1


@pytest.mark.parametrize("asked", sorted(SPOKEN.values()))
def test_the_voice_front_end_sees_the_tenant_that_it_names(
    mapped: Mapped, stranger: Program, asked: str
) -> None:
    """With the right tenant it is there, with another one it is not found."""
    number = number_of(mapped.caller)
    owner, other = (speaker(one.client, one.tenant_id) for one in (mapped.caller, stranger))
    mapped.caller.take()
    owner.keep(used(1))
    path = asked.replace("{number}", number.replace("+", "%2B"))

    assert owner.get(path).status_code == 200
    assert other.get(path).status_code == 404


def test_what_the_voice_front_end_leaves_behind_is_the_named_tenants(
    mapped: Mapped, stranger: Program
) -> None:
    """Two tenants may have calls of one id; neither sees the other's."""
    owner: Speaker = speaker(mapped.caller.client, mapped.caller.tenant_id)
    other: Speaker = speaker(stranger.client, stranger.tenant_id)
    owner.keep(used(1))
    owner.record(wav(b"owner"))

    assert other.keep(used(1, tool="transfer")).status_code == 200
    assert other.record(wav(b"other")).status_code == 201
    assert [one["tool"] for one in owner.kept()] == ["look_up_caller"]
