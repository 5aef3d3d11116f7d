"""Sign-ins that end while somebody works: by password and by a provider, to where one was, with what one typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from sqlalchemy import select, update

from hub.context import Hub
from hub.db import people
from hub.db.base import new_id, now
from hub.db.people import Person, Role, SignIn
from hub.delivery.plan import Incoming, accept
from tests.browser.seeding import CALLS, PASSWORD, event
from tests.browser.serving import Site, serving
from tests.browser.test_pages import check, press, see, wait
from tests.conftest import Company, new_company
from tests.web.provider import CLIENT, SECRET, Provider
from tests.web.provider import serving as serving_provider

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Door:
    """A hub whose sign-in page leads to a provider too, and a company with two members and a few voicemails."""

    site: Site
    provider: Provider
    company: Company
    email: str

    @property
    def hub(self) -> Hub:
        """What the pages ask."""
        return self.site.hub

    def end(self) -> None:
        """End whatever sign-in the company's people have."""
        with self.hub.tenant(self.company.tenant_id) as session:
            session.execute(update(SignIn).values(ended_at=now()))


def _member(hub: Hub, company: Company, name: str, role: Role) -> str:
    email = f"{new_id('mail')}@harbor.example"
    with hub.everyone("a test makes a person") as session:
        person_id = people.create_person(session, email=email, name=name, password=PASSWORD).id
    with hub.tenant(company.tenant_id) as session:
        people.add_member(session, person_id=person_id, role=role)
    return email


@pytest.fixture(scope="module")
def door(hub: Hub) -> Iterator[Door]:
    """Open it."""
    company = new_company(hub)
    for place, call in enumerate(CALLS[:8]):
        accept(hub, company.tenant_id, [Incoming.of(event(call, 5 + place))])
    with serving_provider() as provider:
        ways = {
            "oidc_issuer": provider.url,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_name": "Harbor's account",
        }
        with serving(hub, **ways) as site:
            provider.email = _member(hub, company, "Sam Rivers", Role.OPERATOR)
            email = _member(hub, company, "Vera Holm", Role.OPERATOR)
            yield Door(site, provider, company, email)


@pytest.fixture(scope="module")
def driver(start_browser: Callable, door: Door) -> webdriver.Chrome:
    """Somebody's browser."""
    return start_browser()


def by_provider(driver: webdriver.Chrome, door: Door) -> None:
    """Go to the provider, say there who one is, and come back."""
    press(driver, "Sign in by Harbor's account")
    wait(driver, lambda: driver.current_url.startswith(door.provider.url))
    driver.find_element(By.LINK_TEXT, door.provider.email).click()
    wait(driver, lambda: driver.current_url.startswith(door.site.url))


def by_password(driver: webdriver.Chrome, email: str) -> None:
    """Sign in by keyboard."""
    field = driver.find_element(By.NAME, "email")
    field.clear()
    field.send_keys(email, Keys.TAB, PASSWORD, Keys.ENTER)


def open_page(driver: webdriver.Chrome, door: Door, path: str, text: str) -> None:
    """Open a page as the provider's person, signing in first if need be."""
    driver.get(f"{door.site.url}{path}")
    if "/sign-in" in driver.current_url:
        by_provider(driver, door)
    see(driver, text)


def rename(driver: webdriver.Chrome, name: str) -> None:
    """Type one's name anew, and send it."""
    field = driver.find_element(By.ID, "name")
    field.clear()
    field.send_keys(name, Keys.ENTER)


def named(door: Door, email: str) -> str:
    """Give what a person is called."""
    with door.hub.everyone("a test asks") as session:
        return session.scalars(select(Person.name).where(Person.email == email)).one()


def test_what_was_typed_comes_back_from_the_provider(driver: webdriver.Chrome, door: Door) -> None:
    """There and back to the page that was wanted; the second time with a form, which is sent by a press only."""
    door.end()
    driver.get(f"{door.site.url}/settings/account")
    see(driver, "Sign in by Harbor's account")
    check(driver, "sign-in-provider")
    by_provider(driver, door)
    see(driver, "Where you are signed in")

    door.end()
    rename(driver, "Sam Rivers-Lake")
    see(driver, "What you typed is kept")
    check(driver, "sign-in-provider-kept")
    by_provider(driver, door)
    see(driver, "You are signed in again")
    driver.refresh()
    see(driver, "You are signed in again")
    assert named(door, door.provider.email) == "Sam Rivers"
    check(driver, "send-again-provider")
    press(driver, "Send it now")
    see(driver, "Where you are signed in")

    assert named(door, door.provider.email) == "Sam Rivers-Lake"


def test_somebody_else_does_not_get_what_was_typed(driver: webdriver.Chrome, door: Door) -> None:
    """Whoever sits down at the browser meanwhile is told that it is gone, by whichever way they come in."""
    open_page(driver, door, "/settings/account", "Where you are signed in")
    door.end()
    rename(driver, "Only Sam may see this")
    see(driver, "What you typed is kept")
    by_password(driver, door.email)

    see(driver, "Somebody else had typed")
    assert "Only Sam" not in driver.page_source
    check(driver, "sign-in-somebody-else")
    driver.get(f"{door.site.url}/settings/account")
    door.end()
    rename(driver, "Only Vera may see this")
    see(driver, "What you typed is kept")
    by_provider(driver, door)
    see(driver, "Somebody else had typed")
    assert named(door, door.email) == "Vera Holm"
    assert named(door, door.provider.email).startswith("Sam Rivers")


def test_a_search_outlives_the_sign_in(driver: webdriver.Chrome, door: Door) -> None:
    """Words typed into the inbox are searched for after signing in, with the filters that were chosen."""
    open_page(driver, door, "/voicemails?tab=all&bucket=appointment", "Hannah Kim")
    door.end()
    driver.find_element(By.ID, "search").send_keys("boiler", Keys.ENTER)
    see(driver, "What you typed is kept")
    by_provider(driver, door)
    see(driver, "You are signed in again")
    press(driver, "Send it now")

    see(driver, "1 voicemail for boiler")
    assert driver.find_element(By.ID, "search").get_attribute("value") == "boiler"
    assert driver.find_element(By.ID, "filter-bucket").get_attribute("value") == "appointment"


def test_a_page_that_looks_again_does_not_lose_what_was_typed(
    driver: webdriver.Chrome, door: Door
) -> None:
    """A part that finds the sign-in ended leaves the page alone while something stands in it that was not sent."""
    open_page(driver, door, "/voicemails?tab=all", "Hannah Kim")
    driver.find_element(By.ID, "search").send_keys("thermostat")
    door.end()
    driver.execute_script(
        "htmx.ajax('GET', '/voicemails', {target: '#results', source: '#results'})"
    )

    see(driver, "Your sign-in has ended")
    assert driver.find_element(By.ID, "search").get_attribute("value") == "thermostat"
    driver.find_element(By.ID, "search").send_keys(Keys.ENTER)
    see(driver, "What you typed is kept")
