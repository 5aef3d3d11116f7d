"""Connecting an account: only by the person who began, once, in time, and only at the vendor's own addresses."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from connectors.registry import connector
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import ConnectFlow, Connection, Health
from hub.db.people import Membership
from hub.oauth import flow
from hub.oauth.client import WrongHost, check_host
from hub.settings import load
from tests.conftest import Company, new_company
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, allow, set_up_vendor


@pytest.fixture
def begun(hub: Hub, company: Company, salesforce_sandbox: Sandbox) -> tuple[str, dict[str, str]]:
    """The authorise page's address, and what comes back after "Allow"."""
    set_up_vendor(salesforce_sandbox)
    url = flow.begin(hub, company.tenant_id, company.person_id, "salesforce")
    return url, allow(url)


def connections(hub: Hub, company: Company) -> list[Connection]:
    """Give the company's connections."""
    with hub.tenant(company.tenant_id) as session:
        return list(session.scalars(select(Connection)))


def finish(hub: Hub, company: Company, back: dict[str, str]) -> Connection:
    """Come back from the vendor."""
    return flow.finish(hub, company.person_id, back["state"], code=back["code"])


def test_a_person_connects_an_account(
    hub: Hub, company: Company, begun: tuple[str, dict[str, str]]
) -> None:
    """The connection is healthy, knows its account, and belongs to the tenant."""
    found = finish(hub, company, begun[1])

    assert found.state == Health.HEALTHY
    assert found.tenant_id == company.tenant_id
    assert found.account_id
    assert found.account_name in found.label


def test_the_address_asks_for_little_and_proves_much(begun: tuple[str, dict[str, str]]) -> None:
    """Least scopes, a random state, and a PKCE challenge by SHA-256; no secret is in it."""
    query = parse_qs(urlsplit(begun[0]).query)

    assert query["scope"] == ["api refresh_token"]
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["state"][0]) >= 40
    assert "client_secret" not in query


def test_an_answer_counts_once(
    hub: Hub, company: Company, begun: tuple[str, dict[str, str]]
) -> None:
    """Coming back a second time with the same state is refused."""
    finish(hub, company, begun[1])

    with pytest.raises(flow.ConnectProblem, match="Begin again"):
        finish(hub, company, begun[1])


def test_an_answer_belongs_to_who_began(
    hub: Hub, company: Company, begun: tuple[str, dict[str, str]]
) -> None:
    """Another person's browser cannot finish it, and does not spoil it either."""
    stranger = new_company(hub)

    with pytest.raises(flow.ConnectProblem):
        finish(hub, stranger, begun[1])

    assert connections(hub, stranger) == []
    assert finish(hub, company, begun[1]).tenant_id == company.tenant_id


def test_an_answer_is_good_for_ten_minutes(
    hub: Hub, company: Company, begun: tuple[str, dict[str, str]]
) -> None:
    """What comes later is refused."""
    with hub.tenant(company.tenant_id) as session:
        session.execute(update(ConnectFlow).values(expires_at=now()))

    with pytest.raises(flow.ConnectProblem, match="ten minutes"):
        finish(hub, company, begun[1])


def test_somebody_who_left_the_company_connects_nothing(
    hub: Hub, company: Company, begun: tuple[str, dict[str, str]]
) -> None:
    """Whoever was taken out while at the vendor's page comes back in vain."""
    with hub.tenant(company.tenant_id) as session:
        session.execute(delete(Membership))

    with pytest.raises(flow.ConnectProblem, match="do not belong"):
        finish(hub, company, begun[1])


def test_a_code_of_another_authorisation_is_refused(
    hub: Hub, company: Company, begun: tuple[str, dict[str, str]]
) -> None:
    """PKCE: a code that was slipped in does not fit the verifier that we kept."""
    other = allow(flow.begin(hub, company.tenant_id, company.person_id, "salesforce"))

    with pytest.raises(flow.ConnectProblem, match="refused"):
        flow.finish(hub, company.person_id, begun[1]["state"], code=other["code"])

    assert connections(hub, company) == []


def test_who_does_not_allow_it_reads_so(
    hub: Hub, company: Company, begun: tuple[str, dict[str, str]]
) -> None:
    """Nothing is connected, and the sentence says that it can be tried again."""
    with pytest.raises(flow.ConnectProblem, match="You did not allow it"):
        flow.finish(hub, company.person_id, begun[1]["state"], error="access_denied")

    assert connections(hub, company) == []


def test_an_account_that_grants_less_is_refused(
    hub: Hub, company: Company, salesforce_sandbox: Sandbox
) -> None:
    """What is missing is named now, not in a refusal of the first record."""
    set_up_vendor(salesforce_sandbox)
    url = flow.begin(hub, company.tenant_id, company.person_id, "salesforce")
    back = allow(url.replace("scope=api+refresh_token", "scope=api"))

    with pytest.raises(flow.ConnectProblem, match="did not grant: refresh_token"):
        finish(hub, company, back)


def test_a_connection_is_not_turned_to_another_account(hub: Hub, connected: Connected) -> None:
    """Mappings and history belong to one account: reconnecting with another one is refused."""
    company = connected.company
    url = flow.begin(
        hub,
        company.tenant_id,
        company.person_id,
        "salesforce",
        connection_id=connected.connection.id,
    )
    page = httpx.get(url).text
    (first, *others) = re.findall(r'name="account" value="([^"]+)"', page)
    assert first
    back = allow(url, account=others[0])

    with pytest.raises(flow.ConnectProblem, match="another account"):
        finish(hub, company, back)

    assert connected.refreshed().account_id == connected.connection.account_id


def test_nobody_reconnects_another_tenants_connection(hub: Hub, connected: Connected) -> None:
    """To a stranger the connection does not exist."""
    stranger = new_company(hub)

    with pytest.raises(flow.ConnectProblem, match="no such connection"):
        flow.begin(
            hub,
            stranger.tenant_id,
            stranger.person_id,
            "salesforce",
            connection_id=connected.connection.id,
        )


def test_disconnecting_gives_the_authorisation_back(hub: Hub, connected: Connected) -> None:
    """The vendor revokes it, and no token is left with us; the connection and its rows stay."""
    before = connected.sandbox.stats()["tokens"].get("revoked", 0)

    was_confirmed = flow.disconnect(
        hub, connected.company.tenant_id, connected.connection.id, actor="person:1"
    )

    found = connected.refreshed()
    assert was_confirmed
    assert connected.sandbox.stats()["tokens"]["revoked"] == before + 1
    assert (found.access_token, found.refresh_token) == (None, None)
    assert found.state == Health.DISCONNECTED


def test_an_unknown_connector_is_a_sentence(hub: Hub, company: Company) -> None:
    """Whoever asks for a vendor that there is not reads so."""
    with pytest.raises(flow.ConnectProblem, match='no connector "fax"'):
        flow.begin(hub, company.tenant_id, company.person_id, "fax")


STRICT = load(allow_loopback_vendors=False)
LAX = load(allow_loopback_vendors=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://login.salesforce.com",
        "https://login.salesforce.com.evil.example",
        "https://evil.example/login.salesforce.com",
        "https://evil.example#.salesforce.com",
        "https://evil.example?.salesforce.com",
        "https://evil.example\\.salesforce.com",
        "https://evil.example%2f.salesforce.com",
        "https://login.salesforce.com@evil.example",
        "https://user:secret@login.salesforce.com",
        "https://salesforce.com.",
        "https://login.salesforce.com:8443",
        "https://login.salesforce.com:99999",
        "https://[::1",
        "https://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:5432",
        "http://localhost",
        "http://[::1]:6379",
        "http://0.0.0.0",
        "http://2130706433",
        "file:///etc/hostname",
        "gopher://login.salesforce.com",
        "//login.salesforce.com",
        "https://login.salesforce.com\n.evil.example",
        "https://evilsalesforce.com",
        "https://ⅼogin.salesforce.com",
        "",
    ],
)
def test_no_address_but_the_vendors_is_called(url: str) -> None:
    """Neither a stranger's host nor one of our own network gets a secret."""
    with pytest.raises(WrongHost):
        check_host(STRICT, "salesforce", url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1@evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://169.254.169.254",
        "http://10.0.0.1",
        "http://[::ffff:10.0.0.1]",
    ],
)
def test_allowing_sandboxes_allows_this_machine_only(url: str) -> None:
    """An operator who allows loopback addresses allows nothing else of the network."""
    with pytest.raises(WrongHost):
        check_host(LAX, "salesforce", url)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://login.salesforce.com/", "https://login.salesforce.com"),
        ("https://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("https://TEST.salesforce.com:443/services", "https://test.salesforce.com"),
    ],
)
def test_the_vendors_addresses_are_kept_plain(url: str, kept: str) -> None:
    """Scheme and host, nothing else."""
    assert check_host(STRICT, "salesforce", url) == kept


@given(
    st.text(max_size=60), st.sampled_from(["", "https://", "http://", "https://x.salesforce.com"])
)
def test_any_text_is_the_vendors_or_refused(text: str, before: str) -> None:
    """Whatever is typed in: an https address of the vendor comes out, or WrongHost."""
    try:
        found = check_host(STRICT, "salesforce", before + text)
    except WrongHost:
        return

    host = urlsplit(found).hostname or ""
    assert found == f"https://{host}"
    assert host.endswith(connector("salesforce").hosts)
