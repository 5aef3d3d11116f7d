"""Setting an account up in a real browser: its vendor's form, its settings, the usual mappings, the approval gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from sqlalchemy import select

from hub.db import people
from hub.db.people import Person
from tests.browser.seeding import PASSWORD
from tests.browser.serving import Site
from tests.browser.test_pages import check, press, see, wait
from tests.conftest import new_company
from tests.connectors import running
from tests.delivery.connected import Connected, connect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def calendar(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    """A company that has connected its calendar and nothing else."""
    with running.sandbox("google_calendar", tmp_path_factory.mktemp("google")) as box:
        yield connect(site.hub, new_company(site.hub), box)


@pytest.fixture(scope="module")
def browser(start_browser: Callable, site: Site, calendar: Connected) -> webdriver.Chrome:
    """Chromium, in which the company's owner has signed in."""
    person_id = calendar.company.person_id
    with site.hub.tenant(calendar.company.tenant_id) as session:
        people.set_password(session, person_id=person_id, password=PASSWORD)
        email = session.scalars(select(Person.email).where(Person.id == person_id)).one()
    driver = start_browser()
    driver.get(f"{site.url}/")
    driver.switch_to.active_element.send_keys(email, Keys.TAB, PASSWORD, Keys.ENTER)
    wait(driver, lambda: driver.title.startswith("Overview"))
    return driver


def test_seven_vendors_are_a_list_that_opens(
    browser: webdriver.Chrome, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is open at a time; a vendor without a common address asks for the account's own, in words when empty."""
    monkeypatch.setenv("AFTERBEEP_ZENDESK_CLIENT_ID", "afterbeep")
    monkeypatch.setenv("AFTERBEEP_ZENDESK_CLIENT_SECRET", "secret")
    monkeypatch.delenv("AFTERBEEP_ZENDESK_LOGIN_URL", raising=False)
    browser.get(f"{site.url}/connections/new")
    check(browser, "connect-list")

    browser.find_element(By.CSS_SELECTOR, "#twilio_sms > summary").click()
    see(browser, "API key secret")
    browser.find_element(By.CSS_SELECTOR, "#zendesk > summary").click()
    see(browser, "Your Zendesk address")
    assert not browser.find_element(By.ID, "twilio_sms-account_sid").is_displayed()
    address = browser.find_element(By.ID, "login-zendesk")
    browser.execute_script("arguments[0].required = false", address)
    press(browser, "Continue to Zendesk")

    see(browser, "Fill in your Zendesk address, such as https://your-company.zendesk.com.")
    check(browser, "connect-refused")


def test_settings_of_an_account(browser: webdriver.Chrome, site: Site, calendar: Connected) -> None:
    """The account's calendars can be chosen; what is wrong is said beside its field; what is right is kept."""
    browser.get(f"{site.url}/connections")
    browser.find_element(By.CSS_SELECTOR, ".account-list h2 a").click()
    see(browser, "What you can do")
    browser.find_element(By.CSS_SELECTOR, "main a[href$='/settings']").click()
    see(browser, "Opening hours")
    check(browser, "connection-settings")

    zone = browser.find_element(By.ID, "set-time_zone")
    zone.send_keys("Mars/Base")
    calendars = Select(browser.find_element(By.ID, "set-calendar"))
    calendars.select_by_index(1)
    chosen = calendars.first_selected_option.get_attribute("value")
    press(browser, "Save")
    see(browser, "is not a time zone such as Europe/Zurich")
    check(browser, "connection-settings-refused")
    zone = browser.find_element(By.ID, "set-time_zone")
    zone.clear()
    zone.send_keys("Europe/Zurich")
    press(browser, "Save")

    see(browser, "are saved")
    assert calendar.refreshed().settings == {"time_zone": "Europe/Zurich", "calendar": chosen}


def test_the_usual_mappings_with_one_press(browser: webdriver.Chrome, site: Site) -> None:
    """What would be made is shown with what is missing; one press makes it."""
    browser.get(f"{site.url}/connections")
    see(browser, "No mapping writes to it yet")
    check(browser, "connections-new")
    browser.find_element(By.PARTIAL_LINK_TEXT, "Set up the usual mappings").click()
    see(browser, "Google Calendar: Appointment hold")
    see(browser, "No account keeps a record of: new lead")
    check(browser, "playbook")

    press(browser, "Set up the usual mappings")

    see(browser, "1 mapping is in use now.")
    see(browser, "In use")


def test_the_approval_gate(browser: webdriver.Chrome, site: Site) -> None:
    """A score is kept; what is no score is refused in place."""
    browser.get(f"{site.url}/mappings")
    press(browser, "Approval")
    browser.find_element(By.ID, "urgency").send_keys("soon")
    press(browser, "Save")
    see(browser, "must be a whole number from 0 to 100")
    check(browser, "approval")
    field = browser.find_element(By.ID, "urgency")
    field.clear()
    field.send_keys("80")
    press(browser, "Save")

    see(browser, "Saved. It holds for voicemails that come from now on.")
