"""Signing in by an OpenID provider: who gets in, and every way in which nobody does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from hub.app import create_app
from hub.context import Hub, open_hub
from hub.db import invitations, people
from hub.db.audit import AuditRow
from hub.db.base import new_id, now
from hub.db.people import Membership, Person, Role
from hub.settings import SettingsProblem, load
from hub.web.viewer import COOKIE
from tests.conftest import Company
from tests.web.provider import CLIENT, SECRET, Provider, secret_key, serving
from tests.web.visitor import Page

_ADDRESSES = count(1)


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider that knows one person, whom nobody here knows yet."""
    with serving() as made:
        made.email = f"{new_id('mail')}@harbor.example"
        yield made


@pytest.fixture
def site(hub: Hub, provider: Provider) -> Flask:
    """The application, with the provider set."""
    made = create_app(open_hub(_settings(hub, provider)))
    made.testing = False
    return made


def _settings(hub: Hub, provider: Provider, **more: object):
    return load(
        data_dir=hub.settings.data_dir,
        database_url=hub.settings.database_url.get_secret_value(),
        redis_url=hub.settings.redis_url.get_secret_value(),
        allow_loopback_vendors=True,
        **{
            "oidc_issuer": provider.url,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_name": "Harbor's account",
        }
        | more,
    )


@pytest.fixture
def browser(site: Flask) -> FlaskClient:
    """A browser at an address of its own, so that tests do not use up each other's tries."""
    client = site.test_client()
    client.environ_base["REMOTE_ADDR"] = f"10.9.{time.time_ns() % 250}.{next(_ADDRESSES)}"
    return client


@pytest.fixture
def member(hub: Hub, company: Company, provider: Provider) -> str:
    """A person of the company with the address that the provider knows; gives their id."""
    with hub.everyone("a test makes a person") as session:
        person_id = people.create_without_password(
            session, email=provider.email, name="Sam Rivers"
        ).id
    with hub.tenant(company.tenant_id) as session:
        people.add_member(session, person_id=person_id, role=Role.OPERATOR)
    return person_id


def go(browser: FlaskClient, provider: Provider) -> TestResponse:
    """Go to the provider and back; gives the last answer."""
    begun = browser.get("/sign-in/with-provider?next=/voicemails")
    assert begun.status_code == 303
    back = provider.authorize(begun.location)
    return browser.get(back[back.index("/sign-in/callback") :])


def refused(browser: FlaskClient, answer: TestResponse) -> str:
    """Give what a person reads who was not let in."""
    assert (answer.status_code, answer.location) == (303, "/sign-in")
    assert browser.get("/").status_code == 303
    return browser.get("/sign-in").text


def test_a_member_is_let_in(
    browser: FlaskClient, provider: Provider, member: str, hub: Hub, company: Company
) -> None:
    """Where they wanted to go, and the audit log says how they came."""
    assert "Sign in by Harbor&#39;s account" in browser.get("/sign-in").text

    answer = go(browser, provider)

    assert (answer.status_code, answer.location) == (303, "/voicemails")
    assert browser.get("/voicemails").status_code == 200
    with hub.tenant(company.tenant_id) as session:
        row = session.scalars(select(AuditRow).where(AuditRow.action == "person.signed_in")).one()
    assert (row.actor, row.facts) == (f"person:{member}", {"by": "provider"})


def test_whoever_is_invited_joins(
    browser: FlaskClient, provider: Provider, hub: Hub, company: Company
) -> None:
    """With the role of the invitation, once, without a password."""
    with hub.tenant(company.tenant_id) as session:
        invitations.invite(session, email=provider.email.upper(), role=Role.MAPPER, by="command")

    answer = go(browser, provider)

    assert answer.status_code == 303
    assert browser.get("/mappings").status_code == 200
    with hub.everyone("a test asks") as session:
        person = session.scalars(select(Person).where(Person.email == provider.email)).one()
        role = session.scalars(
            select(Membership.role).where(Membership.person_id == person.id)
        ).one()
    assert (person.password_hash, person.name, role) == (None, "Sam Rivers", "mapper")
    with hub.tenant(company.tenant_id) as session:
        row = session.scalars(select(AuditRow).where(AuditRow.action == "person.joined")).one()
    assert row.facts["by"] == "provider"


def test_nobody_joins_uninvited(browser: FlaskClient, provider: Provider, hub: Hub) -> None:
    """Whoever is at home at the provider and unknown here stays out, and no account is made."""
    text = refused(browser, go(browser, provider))

    assert "You are not a member of any company here" in text
    with hub.everyone("a test asks") as session:
        assert not session.scalars(select(Person).where(Person.email == provider.email)).all()


@pytest.mark.parametrize("what", ["late", "revoked"])
def test_an_invitation_that_is_over_opens_nothing(
    browser: FlaskClient, provider: Provider, hub: Hub, company: Company, what: str
) -> None:
    """Neither one of last week nor one that was taken back."""
    with hub.tenant(company.tenant_id) as session:
        made = invitations.invite(session, email=provider.email, role=Role.OWNER, by="command")
        if what == "revoked":
            invitations.revoke(session, made.id)
        else:
            session.get(invitations.Invitation, made.id).expires_at = now()

    assert "not a member" in refused(browser, go(browser, provider))


def test_a_member_elsewhere_is_not_added_by_signing_in(
    browser: FlaskClient, provider: Provider, member: str, hub: Hub
) -> None:
    """An open invitation of another company is taken up by its link, not by the way."""
    from tests.conftest import new_company

    other = new_company(hub)
    with hub.tenant(other.tenant_id) as session:
        invitations.invite(session, email=provider.email, role=Role.OWNER, by="command")

    go(browser, provider)

    with hub.everyone("a test asks") as session:
        assert len(people.seats(session, member)) == 1


def test_somebody_who_is_disabled_stays_out(
    browser: FlaskClient, provider: Provider, member: str, hub: Hub
) -> None:
    """Whatever the provider says."""
    with hub.everyone("a test disables") as session:
        session.execute(update(Person).where(Person.id == member).values(disabled_at=now()))

    refused(browser, go(browser, provider))


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"nonce": "another"}, "could not be believed"),
        ({"nonce": None}, "could not be believed"),
        ({"aud": "another"}, "could not be believed"),
        ({"aud": [CLIENT, "another"]}, "could not be believed"),
        ({"azp": "another"}, "could not be believed"),
        ({"iss": "https://evil.example"}, "could not be believed"),
        ({"exp": 1_000_000_000}, "could not be believed"),
        ({"exp": None}, "could not be believed"),
        ({"exp": "tomorrow"}, "could not be believed"),
        ({"iat": 4_000_000_000}, "could not be believed"),
        ({"sub": ""}, "could not be believed"),
        ({"email_verified": False}, "does not vouch"),
        ({"email_verified": "true"}, "does not vouch"),
        ({"email_verified": None}, "does not vouch"),
        ({"email": None}, "does not vouch"),
        ({"email": ["a@b.example"]}, "does not vouch"),
    ],
)
def test_what_does_not_fit_identifies_nobody(
    browser: FlaskClient, provider: Provider, member: str, claims: dict, said: str
) -> None:
    """Each claim is checked by itself."""
    provider.claims = claims

    assert said in refused(browser, go(browser, provider))


@pytest.mark.parametrize("how", ["another key", "shared secret", "none", "no token", "no jwt"])
def test_only_the_provider_s_key_signs(
    browser: FlaskClient, provider: Provider, member: str, how: str
) -> None:
    """Neither another key of the same name, nor the client's secret, nor nothing at all."""
    if how == "another key":
        provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    elif how == "shared secret":
        provider.signs_with, provider.alg = secret_key(), "HS256"
    elif how == "none":
        provider.answer = {
            "access_token": "a",
            "token_type": "Bearer",
            "id_token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
        }
    else:
        token = {"id_token": "nonsense"} if how == "no jwt" else {}
        provider.answer = {"access_token": "a", "token_type": "Bearer"} | token

    said = "does not answer" if how == "no token" else "could not be believed"
    assert said in refused(browser, go(browser, provider))


def test_keys_that_were_replaced_are_read_again(
    browser: FlaskClient,
    provider: Provider,
    member: str,
    site: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider that has a new key is believed, and asked for it no more often than it should be."""
    go(browser, provider)
    go(browser, provider)
    assert provider.asked.count("/keys") == 1
    provider.key = RSAKey.generate_key(2048, {"kid": "one"})
    refused_at_once = go(site.test_client(), provider)
    monkeypatch.setattr("hub.oauth.oidc._AGAIN_S", 0.0)

    later = go(site.test_client(), provider)

    assert refused_at_once.location == "/sign-in"
    assert later.location == "/voicemails"


def test_the_way_back_is_for_the_browser_that_left(
    browser: FlaskClient, provider: Provider, member: str, site: Flask
) -> None:
    """Neither another browser, nor another state, nor the same answer twice signs anybody in."""
    begun = browser.get("/sign-in/with-provider")
    back = provider.authorize(begun.location)
    path = back[back.index("/sign-in/callback") :]
    other = site.test_client()

    assert "another browser" in refused(other, other.get(path))
    assert "another browser" in refused(browser, browser.get(path.replace("state=", "state=x")))
    assert "another browser" in refused(browser, browser.get(path))


def test_an_old_way_back_is_closed(
    browser: FlaskClient, provider: Provider, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ten minutes one begins again."""
    monkeypatch.setattr("hub.web.oidc._LASTS_S", -1)

    assert "too long ago" in refused(browser, go(browser, provider))


def test_another_provider_cannot_answer(
    browser: FlaskClient, provider: Provider, member: str
) -> None:
    """The issuer that the answer names must be ours (RFC 9207)."""
    begun = browser.get("/sign-in/with-provider")
    back = provider.authorize(begun.location)
    path = back[back.index("/sign-in/callback") :].partition("&iss=")[0]

    answer = browser.get(f"{path}&iss=https%3A%2F%2Fevil.example")

    assert "could not be believed" in refused(browser, answer)


def test_whoever_says_no_at_the_provider_is_told_so(
    browser: FlaskClient, provider: Provider
) -> None:
    """Its own words are not repeated: anybody may write them into a link."""
    begun = browser.get("/sign-in/with-provider")
    back = provider.authorize(begun.location)
    path = back[back.index("/sign-in/callback") :].replace("code=", "error_description=EVIL&error=")

    text = refused(browser, browser.get(path))

    assert "did not let you in" in text
    assert "EVIL" not in text


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "https://evil.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
    ],
)
def test_nobody_is_sent_to_another_host(
    browser: FlaskClient, provider: Provider, discovery: dict
) -> None:
    """What the provider publishes about others is not followed."""
    provider.discovery = discovery

    answer = browser.get("/sign-in/with-provider")

    assert "does not answer as it should" in refused(browser, answer)


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
def test_no_secret_goes_to_another_host(
    browser: FlaskClient, provider: Provider, member: str, name: str
) -> None:
    """Codes, secrets and keys stay with the issuer's host."""
    provider.discovery = {name: "https://evil.example/x"}

    assert "does not answer" in refused(browser, go(browser, provider))


def test_a_provider_that_is_down_leaves_passwords(browser: FlaskClient, provider: Provider) -> None:
    """The sign-in page says so, and its form is there."""
    provider.is_down = True

    text = refused(browser, browser.get("/sign-in/with-provider"))

    assert "does not answer as it should" in text
    assert 'type="password"' in text


def test_tries_are_counted(browser: FlaskClient, provider: Provider) -> None:
    """Above ten failures a minute an address waits."""
    for _ in range(10):
        browser.get("/sign-in/callback?state=guess&code=guess")

    browser.get("/sign-in/callback?state=guess&code=guess")

    assert "Too many tries" in browser.get("/sign-in").text


def test_no_page_of_ours_is_led_away_from(
    browser: FlaskClient, provider: Provider, member: str
) -> None:
    """Where one goes afterwards is a page of ours."""
    begun = browser.get("/sign-in/with-provider?next=https://evil.example/")
    back = provider.authorize(begun.location)

    answer = browser.get(back[back.index("/sign-in/callback") :])

    assert answer.location == "/"


def late_form(browser: FlaskClient, hub: Hub, company: Company, person_id: str) -> Page:
    """Type into a form of a sign-in that has ended, and send it; gives the page that comes instead."""
    with hub.tenant(company.tenant_id) as session:
        token = people.start_sign_in(session, person_id=person_id, lasts=timedelta(hours=1))
        session.execute(update(people.SignIn).values(ended_at=now()))
    browser.set_cookie(COOKIE, token)
    late = browser.post(
        "/settings/account/name",
        data={"csrf": "of yesterday", "name": "Sammy Rivers"},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert late.status_code == 401
    return Page(late.text)


def take_along(browser: FlaskClient, provider: Provider, page: Page) -> TestResponse:
    """Press the provider's button of a sign-in page that holds a form, and go on to the end."""
    (form,) = [one for one in page.forms if one["action"] == "/sign-in/with-provider"]
    going = browser.post(form["action"], data=form["fields"])
    assert going.status_code == 200
    begun = browser.get(going.headers["Refresh"].partition("url=")[2])
    back = provider.authorize(begun.location)
    return browser.get(back[back.index("/sign-in/callback") :])


def test_a_form_waits_while_its_person_is_at_the_provider(
    browser: FlaskClient, provider: Provider, member: str, hub: Hub, company: Company
) -> None:
    """It is sealed meanwhile, offered at the end, sent by a press only, and then gone."""
    page = late_form(browser, hub, company, member)
    before = set(hub.redis.keys("kept-form:*"))

    answer = take_along(browser, provider, page)

    assert (answer.status_code, answer.location) == (303, "/sign-in/kept")
    (key,) = set(hub.redis.keys("kept-form:*")) - before
    assert 0 < hub.redis.ttl(key) <= 900
    assert b"Sammy" not in (hub.redis.get(key) or b"")
    offered = Page(browser.get("/sign-in/kept").text)
    assert "You are signed in again" in offered.text
    form = offered.forms[0]
    assert (form["action"], form["fields"]["name"]) == ("/settings/account/name", "Sammy Rivers")
    with hub.everyone("a test asks") as session:
        assert people.by_email(session, provider.email).name == "Sam Rivers"
    browser.post(form["action"], data=form["fields"])
    with hub.everyone("a test asks") as session:
        assert people.by_email(session, provider.email).name == "Sammy Rivers"
    assert browser.get("/sign-in/kept").location == "/"


def test_a_form_is_not_given_to_somebody_else_who_comes_back(
    browser: FlaskClient, provider: Provider, member: str, hub: Hub, company: Company
) -> None:
    """Another person whom the provider vouches for sees nothing of it, then or later."""
    page = late_form(browser, hub, company, company.person_id)

    answer = take_along(browser, provider, page)

    assert answer.location == "/"
    assert "Somebody else had typed" in browser.get("/").text
    assert browser.get("/sign-in/kept").location == "/"


def test_a_form_that_waits_is_for_its_browser(
    browser: FlaskClient, provider: Provider, member: str, hub: Hub, company: Company
) -> None:
    """The same person elsewhere finds nothing."""
    take_along(browser, provider, late_form(browser, hub, company, member))
    other = browser.application.test_client()
    go(other, provider)

    assert other.get("/sign-in/kept").location == "/"


def test_a_form_outlives_a_provider_that_says_no(
    browser: FlaskClient, provider: Provider, member: str, hub: Hub, company: Company
) -> None:
    """The sign-in page says that it is still there, and it is, for whoever gets in then."""
    provider.claims = {"nonce": "another"}
    page = late_form(browser, hub, company, member)
    said = refused(browser, take_along(browser, provider, page))
    provider.claims = {}

    assert "What you typed is kept" in said
    assert go(browser, provider).location == "/sign-in/kept"


def test_without_redis_a_form_stays_in_the_page(
    hub: Hub, provider: Provider, member: str, company: Company
) -> None:
    """Nothing is lost: the page says so and holds it still."""
    settings = _settings(hub, provider).model_copy(
        update={"redis_url": SecretStr("unix:///nowhere/redis.sock")}
    )
    lonely = create_app(open_hub(settings)).test_client()
    page = late_form(lonely, hub, company, member)
    (form,) = [one for one in page.forms if one["action"] == "/sign-in/with-provider"]

    answer = lonely.post(form["action"], data=form["fields"])

    assert answer.status_code == 503
    assert "cannot be taken along just now" in answer.text
    assert Page(answer.text).forms[0]["fields"]["kept.name"] == "Sammy Rivers"


def test_without_a_provider_there_is_no_way(app: Flask) -> None:
    """The button and the addresses are there only where one is set."""
    client = app.test_client()

    assert client.get("/sign-in/with-provider").status_code == 404
    assert client.get("/sign-in/callback").status_code == 404
    assert "with-provider" not in client.get("/sign-in").text


def test_settings_of_a_provider_are_whole(hub: Hub, provider: Provider) -> None:
    """Half of them is refused when the hub starts."""
    with pytest.raises(SettingsProblem, match="OIDC_CLIENT_SECRET"):
        _settings(hub, provider, oidc_client_secret=None)
    with pytest.raises(SettingsProblem, match="OIDC_ISSUER"):
        _settings(hub, provider, oidc_issuer="login.example.com")
