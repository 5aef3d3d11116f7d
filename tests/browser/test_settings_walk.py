"""Settings in a browser: each page as the owner, and what a viewer sees; the charts and the sync status beside them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from hub.db import people
from hub.db.base import new_id
from hub.db.people import Role
from hub.voice.settings import VoiceSettings, save, voice_settings
from tests.browser.seeding import PASSWORD, Seeded
from tests.browser.serving import Site
from tests.browser.test_pages import browser, check, press, see, wait

pytestmark = pytest.mark.browser
__all__ = ["browser"]


def type_into(driver: webdriver.Chrome, name: str, text: str) -> None:
    """Replace what stands in a field."""
    field = driver.find_element(By.NAME, name)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", field)
    field.clear()
    field.send_keys(text)


def test_company(browser: webdriver.Chrome, site: Site) -> None:
    """Settings begin with the company."""
    browser.get(f"{site.url}/settings")
    see(browser, "Time zone")
    check(browser, "settings-company")


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("people", "Invite somebody"),
        ("keys", "Make a key"),
        ("audit", "whole chain"),
        ("account", "Password"),
    ],
)
def test_other_settings(browser: webdriver.Chrome, site: Site, page: str, text: str) -> None:
    """Each has its tab."""
    browser.get(f"{site.url}/settings/{page}")
    see(browser, text)
    check(browser, f"settings-{page}")


def test_telephone(browser: webdriver.Chrome, site: Site, seeded: Seeded) -> None:
    """A number, a greeting that is read before it is saved, a wrong number mended, another editor's change kept."""
    tenant_id = seeded.company.tenant_id
    browser.get(f"{site.url}/settings/telephone")
    see(browser, "No number yet")
    see(browser, "This call is recorded")
    check(browser, "settings-telephone")
    type_into(browser, "number", "+1 415 555 0177")
    type_into(browser, "label", "Front desk")
    press(browser, "Add")
    see(browser, "calls to +14155550177 are yours")

    type_into(browser, "lang.0.greeting", "Ahoy, this is Harbor!")
    see(browser, "Ahoy, this is Harbor!”")
    type_into(browser, "staff.transfer_to", "12")
    press(browser, "Save")
    see(browser, "Nothing was saved yet")
    check(browser, "settings-telephone-wrong")
    save(
        site.hub,
        tenant_id,
        VoiceSettings(greetings={"en-US": "Theirs."}, offers_times=True),
        revision=None,
        actor="command",
    )
    type_into(browser, "staff.transfer_to", "+14155550101")
    press(browser, "Save")
    see(browser, "The command line has saved these settings")
    see(browser, "Theirs.")
    check(browser, "settings-telephone-clash")
    press(browser, "Save")

    see(browser, "Saved. It holds for calls from now on.")
    kept = voice_settings(site.hub, tenant_id).settings
    assert kept.greetings == {"en-US": "Ahoy, this is Harbor!"}
    assert kept.offers_times
    press(browser, "Add a language")
    see(browser, "Not saved yet.")
    type_into(browser, "lang.1.tag", "ar")
    see(browser, "مرحبًا")
    check(browser, "settings-telephone-arabic")


def test_urgency_is_scored_while_one_edits(browser: webdriver.Chrome, site: Site) -> None:
    """A number typed changes the scores beside it at once; saving keeps the rubric."""
    browser.get(f"{site.url}/settings/urgency")
    see(browser, "As usual for")
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".rescored li"))
    check(browser, "settings-urgency")
    scores = "return document.getElementById('scores').innerText"
    before = browser.execute_script(scores)

    level = browser.find_element(By.NAME, "level.high")
    level.clear()
    level.send_keys("16")
    wait(browser, lambda: browser.execute_script(scores) != before)
    check(browser, "settings-urgency-edited")
    points = browser.find_element(By.NAME, "line.0.points")
    points.clear()
    points.send_keys("lots", Keys.ENTER)
    see(browser, "A whole number from -100 to 100.")
    check(browser, "settings-urgency-wrong")
    points = browser.find_element(By.NAME, "line.0.points")
    points.clear()
    points.send_keys("90", Keys.ENTER)

    see(browser, "Voicemails are scored by it from now on")
    see(browser, "Start again from")
    press(browser, "Add a line")
    see(browser, "Choose")
    chosen = browser.find_elements(By.CSS_SELECTOR, ".rubric-line select")[-1]
    Select(chosen).select_by_visible_text("Anger or a complaint")


def test_a_call_is_tried(browser: webdriver.Chrome, site: Site) -> None:
    """Typed by keyboard, to the event that would come of it."""
    browser.get(f"{site.url}/settings/telephone/try")
    see(browser, "A trial")
    check(browser, "settings-try")
    says = "Hi, this is Dana Whitfield, water is coming through my ceiling, please come today."
    browser.find_element(By.NAME, "says").send_keys(says, Keys.TAB, Keys.TAB, Keys.ENTER)
    see(browser, "What number can we reach you at?")
    check(browser, "settings-try-said")
    browser.find_element(By.NAME, "says").send_keys("415 555 0132")
    press(browser, "Hang up")

    see(browser, "The call is over.")
    see(browser, "Dana Whitfield")
    check(browser, "settings-try-event")


def test_sync_status_and_charts(browser: webdriver.Chrome, site: Site) -> None:
    """How accounts keep up, and the figures of the front page."""
    browser.get(f"{site.url}/sync")
    see(browser, "Sync status")
    check(browser, "sync")
    browser.get(f"{site.url}/")
    see(browser, "Needs a person")
    check(browser, "overview-charts")


def test_what_a_viewer_sees(start_browser: Callable, site: Site, seeded: Seeded) -> None:
    """Their own account, and no way to anything else."""
    with site.hub.everyone("a test makes a colleague") as session:
        email = f"{new_id('mail')}@harbor.example"
        person_id = people.create_person(
            session, email=email, name="Vera Holm", password=PASSWORD
        ).id
    with site.hub.tenant(seeded.company.tenant_id) as session:
        people.add_member(session, person_id=person_id, role=Role.VIEWER)
    driver = start_browser()
    driver.get(f"{site.url}/")
    driver.switch_to.active_element.send_keys(email, Keys.TAB, PASSWORD, Keys.ENTER)
    wait(driver, lambda: driver.title.startswith("Overview"))

    driver.get(f"{site.url}/settings")
    see(driver, "Your account")
    tabs = [one.text for one in driver.find_elements(By.CSS_SELECTOR, ".tabs a")]
    assert tabs == ["Your account"]
    check(driver, "settings-viewer")
    driver.get(f"{site.url}/settings/telephone")
    see(driver, "This needs the role admin")
    check(driver, "settings-viewer-refused")
