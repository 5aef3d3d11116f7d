"""Where an account signs in and where its API is: what a person types, and what the vendor says."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from hub.context import Hub
from hub.oauth import flow
from hub.oauth.client import NoAddress, login_address
from tests.conftest import Company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import connect, set_up_vendor


@pytest.fixture(scope="module")
def pagerduty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A PagerDuty in miniature, as a process of its own."""
    with running.sandbox("pagerduty", tmp_path_factory.mktemp("pagerduty")) as box:
        yield box


@pytest.fixture(scope="module")
def zendesk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A Zendesk in miniature, as a process of its own."""
    with running.sandbox("zendesk", tmp_path_factory.mktemp("zendesk")) as box:
        yield box


def test_the_token_answer_says_where_the_api_is(
    hub: Hub, company: Company, pagerduty: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the vendor says with the tokens (its region) goes before the address that is known for all."""
    set_up_vendor(pagerduty)
    monkeypatch.setenv("AFTERBEEP_PAGERDUTY_APP_URL", "http://127.0.0.1:9")

    found = connect(hub, company, pagerduty).connection

    assert found.base_url == pagerduty.url


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Harbor-Homes", "https://harbor-homes.zendesk.com"),
        ("harbor.zendesk.com", "https://harbor.zendesk.com"),
        (" https://harbor.zendesk.com ", "https://harbor.zendesk.com"),
    ],
)
def test_an_address_may_be_typed_in_short(
    typed: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account's own word is enough, and https:// may be left out."""
    monkeypatch.delenv("AFTERBEEP_ZENDESK_LOGIN_URL", raising=False)

    assert login_address("zendesk", typed) == meant


def test_a_vendor_without_a_common_address_needs_the_accounts(
    hub: Hub, company: Company, zendesk: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address nobody is sent anywhere; the person is told which one is meant."""
    set_up_vendor(zendesk)
    monkeypatch.delenv("AFTERBEEP_ZENDESK_LOGIN_URL")

    with pytest.raises(NoAddress):
        login_address("zendesk", " ")
    with pytest.raises(flow.ConnectProblem, match=r"https://your-company\.zendesk\.com"):
        flow.begin(hub, company.tenant_id, company.person_id, "zendesk")
    with pytest.raises(flow.ConnectProblem, match="not an address of Zendesk"):
        flow.begin(hub, company.tenant_id, company.person_id, "zendesk", login_url="harbor.example")
    url = flow.begin(hub, company.tenant_id, company.person_id, "zendesk", login_url="harbor")
    assert urlsplit(url).netloc == "harbor.zendesk.com"


def test_an_account_is_connected_at_its_own_address(
    hub: Hub, company: Company, zendesk: Sandbox
) -> None:
    """The address at which a person signed in is where the account's calls go."""
    found = connect(hub, company, zendesk).connection

    assert found.login_url == zendesk.url
    assert found.base_url == zendesk.url


@pytest.mark.parametrize(
    "granted", ["base,contacts:full", "base contacts:full", "base, contacts:full"]
)
def test_scopes_may_be_separated_by_commas(granted: str) -> None:
    """A vendor that lists what it grants with commas grants the same."""
    assert flow.scopes_in({"scope": granted}) == {"base", "contacts:full"}


def test_a_token_answer_without_scopes_says_nothing() -> None:
    """An empty list of scopes is no list of refused ones."""
    assert flow.scopes_in({"scope": ""}) == set()
    assert flow.scopes_in({}) == set()
