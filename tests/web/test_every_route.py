"""What holds for every route: marks, tenants kept apart, tokens, headers, and nothing inline."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from werkzeug.routing import Rule

from hub.alerts import endpoints
from hub.context import Hub, open_hub
from hub.db import invitations, keys, members, people
from hub.db.people import Role
from hub.delivery import replay
from hub.web.headers import CONTENT_SECURITY_POLICY
from tests.conftest import new_company
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.web.visitor import Visitor, signed_in

IDS = {
    "event_id",
    "delivery_id",
    "connection_id",
    "mapping_id",
    "webhook_id",
    "replay_id",
    "view_id",
    "invitation_id",
    "key_id",
    "sign_in_id",
    "person_id",
    "call_id",
}


def rules(app: Flask) -> list[Rule]:
    """Give all rules of the pages."""
    found = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("web.") and rule.endpoint != "web.static"
    ]
    assert len(found) > 25
    return found


def things(connected: Connected) -> dict[str, str]:
    """Make one of everything that routes name; gives values for their places."""
    mapping_id = connected.publish(LEAD)
    (accepted,) = connected.accept(voicemail())
    from sqlalchemy import select

    from hub.db.deliveries import Delivery
    from hub.db.triage import SavedView

    with connected.hub.tenant(connected.company.tenant_id) as session:
        delivery_id = session.scalars(select(Delivery.id)).one()
        view = SavedView(person_id=connected.company.person_id, name="Mine", query="tab=all")
        session.add(view)
        session.flush()
        view_id = view.id
    return {
        "view_id": view_id,
        "event_id": accepted.id,
        "call_id": "WB" + "0" * 32,
        "delivery_id": delivery_id,
        "connection_id": connected.connection.id,
        "mapping_id": mapping_id,
        "replay_id": replay.begin(
            connected.hub,
            connected.company.tenant_id,
            replay.Selection(event_id=accepted.id),
            actor="command",
        ).id,
        "webhook_id": endpoints.create(
            connected.hub,
            connected.company.tenant_id,
            url="https://ops.harbor.example/beep",
            actor="command",
        ).endpoint.id,
        **_people(connected),
        "number": "1",
        "token": "unknown",
        "connector_name": "salesforce",
    }


def _people(connected: Connected) -> dict[str, str]:
    """Invite somebody, make a key, and give a member and their sign-in."""
    company = connected.company
    with connected.hub.tenant(company.tenant_id) as session:
        made = invitations.invite(
            session, email="guest@harbor.example", role=Role.VIEWER, by="command"
        )
        key = keys.create(session, name="Program", scopes=[keys.Scope.EVENTS_READ])
        people.start_sign_in(session, person_id=company.person_id, lasts=timedelta(hours=1))
        (sign_in,) = members.sign_ins(session, company.person_id)[:1]
        return {
            "invitation_id": made.id,
            "key_id": key.id,
            "sign_in_id": sign_in.id,
            "person_id": company.person_id,
        }


def path(rule: Rule, values: dict[str, str]) -> str:
    """Fill a rule's places; fails for a place that this test does not know yet."""
    unknown = rule.arguments - values.keys()
    assert not unknown, f"{rule}: teach this test a value for {unknown}"
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: values[match[1]], rule.rule)


def test_every_view_says_who_may_use_it(app: Flask) -> None:
    """Each view is marked with a role, or as public; public are only ways in and the theme."""
    public = set()
    for rule in rules(app):
        view = app.view_functions[rule.endpoint]
        if getattr(view, "is_public", False):
            public.add(rule.endpoint)
        else:
            assert isinstance(getattr(view, "needs_role", None), Role), rule.endpoint

    assert public == {
        "web.sign_in.show",
        "web.sign_in.enter",
        "web.sign_in.theme",
        "web.people.join",
        "web.people.enter",
        "web.oidc.begin",
        "web.oidc.take_along",
        "web.oidc.back",
    }


def test_nobody_reaches_another_companys_things(app: Flask, hub: Hub, connected: Connected) -> None:
    """Every route that names a thing answers 404 to the owner of another company."""
    values = things(connected)
    stranger = signed_in(app, hub, new_company(hub))
    tried = 0

    for rule in rules(app):
        if not rule.arguments & IDS:
            continue
        for method in (rule.methods or set()) & {"GET", "POST"}:
            where = path(rule, values)
            answer = stranger.get(where) if method == "GET" else stranger.post(where)
            assert answer.status_code == 404, (method, where)
            tried += 1

    assert tried > 12


@pytest.mark.parametrize("action", ["replay", "approve", "reject"])
def test_nobody_ticks_another_companys_deliveries(
    app: Flask, hub: Hub, connected: Connected, action: str
) -> None:
    """Ids in a form's body are confined too."""
    stranger = signed_in(app, hub, new_company(hub))

    answer = stranger.post(f"/deliveries/{action}", {"delivery": things(connected)["delivery_id"]})

    assert answer.status_code == 404


def test_nobody_maps_onto_another_companys_account(
    app: Flask, hub: Hub, connected: Connected
) -> None:
    """A new mapping, its preview and its start from a preset are confined to one's own accounts."""
    values = things(connected)
    stranger = signed_in(app, hub, new_company(hub))

    new = stranger.get(f"/mappings/new?connection={values['connection_id']}&preset=blank")
    made = stranger.post("/mappings/new", {"connection": values["connection_id"], "do": "save"})

    assert (new.status_code, made.status_code) == (404, 404)


def test_every_form_needs_its_token(app: Flask, hub: Hub, connected: Connected) -> None:
    """No POST does anything without the token, with a wrong one, or with another person's."""
    values = things(connected)
    owner = signed_in(app, hub, connected.company)
    other = signed_in(app, hub, new_company(hub))

    for rule in rules(app):
        if "POST" not in (rule.methods or set()):
            continue
        where = path(rule, values)
        for token in ({}, {"csrf": "guessed"}, {"csrf": other.csrf}):
            answer = owner.client.post(where, data=token)
            assert answer.status_code == 403, (where, token)
            assert "too old to be sent" in answer.text


def test_every_page_needs_a_sign_in(app: Flask, connected: Connected) -> None:
    """Without a sign-in every page leads to it, and shows nothing."""
    values = things(connected)
    client = app.test_client()

    for rule in rules(app):
        if getattr(app.view_functions[rule.endpoint], "is_public", False):
            continue
        if "GET" in (rule.methods or set()):
            answer = client.get(path(rule, values))
            assert answer.status_code == 303, rule
            assert "/sign-in" in answer.location


@pytest.mark.parametrize("role", list(Role))
def test_roles_are_kept_on_the_server(app: Flask, hub: Hub, role: Role) -> None:
    """Each route answers 403 exactly to the roles that do not reach its own."""
    visitor = signed_in(app, hub, new_company(hub, role=role))
    values = dict.fromkeys(IDS, "nothing") | {"number": "1", "connector_name": "nothing"}

    for rule in rules(app):
        needed = getattr(app.view_functions[rule.endpoint], "needs_role", None)
        if needed is None or rule.endpoint == "web.sign_in.leave":
            continue
        for method in (rule.methods or set()) & {"GET", "POST"}:
            where = path(rule, values)
            answer = visitor.get(where) if method == "GET" else visitor.post(where)
            assert (answer.status_code == 403) is (not role.covers(needed)), (role, method, where)


def pages(visitor: Visitor, app: Flask, values: dict[str, str]) -> dict[str, str]:
    """Open every page; gives path to HTML."""
    found = {}
    for rule in rules(app):
        if "GET" in (rule.methods or set()):
            where = path(rule, values)
            found[where] = visitor.get(where, follow_redirects=False).text
    return found


def test_pages_hold_no_inline_style_or_script(
    app: Flask, visitor: Visitor, connected: Connected
) -> None:
    """No page, error pages included, has a style or script of its own, or an address of a script."""
    found = pages(visitor, app, things(connected)) | {
        "404": visitor.get("/nowhere").text,
        "403": visitor.client.post("/sign-out").text,
    }

    for where, html in found.items():
        assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:", html), where
        assert not re.search(r"<script(?![^>]*\ssrc=)", html), where
        assert not re.search(r"hx-on|hx-vals=['\"]js:|hx-trigger=['\"][^'\"]*\[", html), where
        for address in re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"([^\"]+)\"", html):
            assert address.startswith("/assets/"), (where, address)


def test_every_answer_has_the_policy(app: Flask, visitor: Visitor, connected: Connected) -> None:
    """Pages, errors and assets come with the strict policy and are kept by nobody else."""
    values = things(connected)

    for where in [*pages(visitor, app, values), "/nowhere", "/assets/css/base.css"]:
        answer = visitor.get(where)
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY, where
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if not where.startswith("/assets/"):
            assert answer.headers["Cache-Control"] == "no-store", where


def test_policy_is_strict() -> None:
    """Nothing may be loaded or done that is not named, and nothing inline."""
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    for part in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    "where", ["/", "/voicemails", "/needs-you", "/send-again", "/connections", "/mappings"]
)
def test_pages_have_landmarks_and_one_heading(visitor: Visitor, where: str) -> None:
    """Each page has one h1, a main part, a named navigation, a title and a link past the navigation."""
    page = visitor.page(where)
    tags = [tag for tag, _ in page.elements]

    assert tags.count("h1") == 1
    assert tags.count("main") == 1
    assert ("nav", {"class": "nav", "aria-label": "Main"}) in page.elements
    assert any(tag == "a" and found.get("href") == "#main" for tag, found in page.elements)


def test_unknown_page_is_said_in_our_design(visitor: Visitor) -> None:
    """A wrong address gets a page with the way back."""
    answer = visitor.get("/nowhere")

    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert "Connections" in answer.text


def test_api_errors_are_not_pages(app: Flask) -> None:
    """Errors under /v1/ are left to the JSON edge."""
    answer = app.test_client().get("/v1/nowhere")

    assert answer.status_code == 404
    assert "html" not in answer.content_type


def test_form_that_is_too_large_is_refused(visitor: Visitor) -> None:
    """A form of more than 512 KiB gets a 413 page."""
    answer = visitor.post("/mappings/new", {"text": "x" * 600_000})

    assert answer.status_code == 413


def test_database_that_is_away_is_said_in_our_design(hub: Hub) -> None:
    """Without the database a page says that it broke on our side, without details, in its own design."""
    from hub.app import create_app
    from hub.settings import load
    from hub.web.viewer import COOKIE

    assert hub.settings.redis_url
    lost = open_hub(
        load(
            data_dir=hub.settings.data_dir,
            database_url="postgresql:///nothing?host=/nowhere",
            redis_url=hub.settings.redis_url.get_secret_value(),
        )
    )
    client = create_app(lost).test_client()
    client.set_cookie(COOKIE, "any")

    answer = client.get("/voicemails")

    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text
    assert "/nowhere" not in answer.text
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
