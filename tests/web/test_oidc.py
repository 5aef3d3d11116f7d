"""Signing in by an OpenID provider: who gets in, and every way in which nobody does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from hub.app import create_app
from hub.context import Hub, open_hub
from hub.db import invitations, people
from hub.db.audit import AuditRow
from hub.db.base import new_id, now
from hub.db.people import Membership, Person, Role
from hub.settings import SettingsProblem, load
from tests.conftest import Company
from tests.web.provider import CLIENT, SECRET, Provider, secret_key, serving

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
