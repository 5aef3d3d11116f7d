"""Every page in a real browser: its main job, nothing refused by the policy, nothing that bars people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from sqlalchemy import select

from hub.alerts import outbox
from hub.alerts.outbox import Item
from hub.alerts.send import send_due
from hub.db import mappings, people
from hub.db.alerts import AlertType
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.people import SignIn
from mappings.document import load
from tests.alerts.receiving import receiver
from tests.browser.screens import set_size, set_theme, take
from tests.browser.seeding import PASSWORD, Seeded, drain
from tests.browser.serving import Site

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("mapping_as_it_was")]
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
#: What paper would show of the overview: the colour of its ink, how wide it is, and how high the table of a chart is.
PRINTED = """
return [getComputedStyle(document.querySelector("h1")).color, document.querySelector("main").offsetWidth,
        document.querySelector(".chart table").offsetHeight]
"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def browser(start_browser: Callable, site: Site, seeded: Seeded) -> webdriver.Chrome:
    """Chromium, signed in through the form by keyboard alone."""
    driver = start_browser()
    driver.get(f"{site.url}/")
    driver.switch_to.active_element.send_keys(seeded.email, Keys.TAB, PASSWORD, Keys.ENTER)
    wait(driver, lambda: driver.title.startswith("Overview"))
    return driver


def wait(driver: webdriver.Chrome, until: Callable[[], object]) -> None:
    """Wait until something holds, at most ten seconds."""
    changing = (StaleElementReferenceException, NoSuchElementException)
    WebDriverWait(driver, 10, 0.05, ignored_exceptions=changing).until(lambda _: until())


def see(driver: webdriver.Chrome, text: str) -> None:
    """Wait until the page says something."""
    # Asked in one step: a part of the page may be replaced between two.
    words = "return document.body.innerText"
    try:
        wait(driver, lambda: text in driver.execute_script(words))
    except TimeoutException:
        pytest.fail(f"{text!r} is not on {driver.current_url}: {driver.execute_script(words)}")


def press(driver: webdriver.Chrome, text: str, *, inside: str = "main") -> None:
    """Press the button or link of this name."""
    part = driver.find_element(By.CSS_SELECTOR, inside)
    found = [
        one
        for one in part.find_elements(By.CSS_SELECTOR, "button, a, summary")
        if one.text.strip() == text and one.is_displayed()
    ]
    assert found, f"no {text!r} on {driver.current_url}"
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found[0])
    found[0].click()


def check(driver: webdriver.Chrome, name: str) -> None:
    """Take pictures; nobody is kept out, nothing was refused or broke, nothing sticks out at phone width."""
    take(driver, name)
    set_size(driver, "phone")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390, name
    set_size(driver, "desktop")
    _barriers(driver, name)
    log = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    expected = ("status of 40", "status of 42", "Response Status Error Code 401")
    assert [entry for entry in log if not any(one in entry["message"] for one in expected)] == []


def _barriers(driver: webdriver.Chrome, name: str) -> None:
    """Ask axe-core in both themes; through the debugger, since pages themselves may run no other script."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed; run npm ci")
    for theme in ("light", "dark"):
        set_theme(driver, theme)
        driver.execute_script(AXE.read_text("utf-8"))
        found = driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {runOnly: arguments[0]}).then(r => done(r.violations));",
            RULES,
        )
        told = [
            (
                one["id"],
                one["impact"],
                [node["html"][:160] for node in one["nodes"][:3]],
                one["nodes"][0].get("failureSummary", "")[:300],
            )
            for one in found
        ]
        assert told == [], f"{name} ({theme}): {json.dumps(told, indent=1)}"
    set_theme(driver, "light")


def test_sign_in_page(start_browser: Callable, site: Site, seeded: Seeded) -> None:
    """A wrong password is said without losing the address."""
    driver = start_browser()
    driver.get(f"{site.url}/sign-in")
    check(driver, "sign-in")

    driver.find_element(By.NAME, "email").send_keys("nobody@harbor.example")
    driver.find_element(By.NAME, "password").send_keys("not the password", Keys.ENTER)

    see(driver, "do not belong together")
    assert driver.find_element(By.NAME, "email").get_attribute("value") == "nobody@harbor.example"
    check(driver, "sign-in-wrong")


def test_overview(browser: webdriver.Chrome, site: Site) -> None:
    """The front page tells how the day stands."""
    browser.get(f"{site.url}/")

    see(browser, "all accounted for")
    see(browser, "Needs a person")
    check(browser, "overview")

    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", **dark})
    ink, width, numbers = browser.execute_script(PRINTED)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    set_theme(browser, "light")
    assert ink == "rgb(20, 25, 27)"
    assert width > 1000
    assert numbers > 100


def test_inbox_filters_in_place(browser: webdriver.Chrome, site: Site) -> None:
    """Choosing a bucket narrows the list at once, and the address follows."""
    browser.get(f"{site.url}/voicemails")
    check(browser, "voicemails")

    Select(browser.find_element(By.ID, "filter-bucket")).select_by_visible_text("Billing")

    wait(browser, lambda: "bucket=billing" in browser.current_url)
    wait(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, ".inbox > li")) == 1)
    browser.back()
    wait(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, ".inbox > li")) > 5)


def test_inbox_without_matches(browser: webdriver.Chrome, site: Site) -> None:
    """Filters that nothing fits say so and offer the way out."""
    browser.get(f"{site.url}/voicemails?bucket=spam&urgency=critical")

    see(browser, "No voicemail fits these filters")
    check(browser, "voicemails-none")


def test_one_voicemail(browser: webdriver.Chrome, site: Site, seeded: Seeded) -> None:
    """One voicemail shows what was said, why it is urgent, and leads to the record."""
    browser.get(f"{site.url}/voicemails/{seeded.event_ids[0]}")

    see(browser, "Water or gas is escaping")
    see(browser, "Salesforce Lead")
    link = browser.find_element(By.PARTIAL_LINK_TEXT, "Open record")
    assert link.get_attribute("href").startswith(seeded.salesforce.sandbox.url)
    check(browser, "voicemail")


def test_voicemail_in_arabic(browser: webdriver.Chrome, site: Site, seeded: Seeded) -> None:
    """Words that run from right to left do so."""
    browser.get(f"{site.url}/voicemails/{seeded.event_ids[4]}")

    heading = browser.find_element(By.CSS_SELECTOR, "h1")
    assert (
        browser.execute_script("return getComputedStyle(arguments[0]).direction", heading) == "rtl"
    )
    check(browser, "voicemail-arabic")


def test_person_chooses_the_record(browser: webdriver.Chrome, site: Site, seeded: Seeded) -> None:
    """Where two contacts have the caller's number, a person says which it is, and the row goes on."""
    browser.get(f"{site.url}/voicemails/{seeded.event_ids[2]}")
    see(browser, "Which record is this caller?")
    check(browser, "voicemail-choose")
    choices = browser.find_elements(By.CSS_SELECTOR, "input[name=record]")
    assert len(choices) == 3

    choices[0].click()
    press(browser, "Use this record and send")

    see(browser, "this caller is remembered")
    drain(seeded.salesforce)
    browser.refresh()
    see(browser, "Delivered")


def test_needs_you(browser: webdriver.Chrome, site: Site, seeded: Seeded) -> None:
    """What waits for a person is grouped by reason; held rows are approved here."""
    browser.get(f"{site.url}/needs-you")
    see(browser, "Approve first")
    check(browser, "needs-you")

    held = browser.find_element(By.CSS_SELECTOR, "form[aria-labelledby=held]")
    button = next(
        one for one in held.find_elements(By.TAG_NAME, "button") if one.text == "Approve and send"
    )
    assert not button.is_enabled()
    held.find_element(By.CSS_SELECTOR, "input[name=delivery]").click()
    assert button.is_enabled()
    button.click()

    see(browser, "1 delivery approved")


def test_everything_parked_is_counted_first(browser: webdriver.Chrome, site: Site) -> None:
    """Before everything is sent again, the page says how many that is."""
    browser.get(f"{site.url}/needs-you")
    press(browser, "Send everything parked again")

    see(browser, "You can cancel while it goes on")
    check(browser, "send-again-count")
    browser.find_element(By.CSS_SELECTOR, "#takes button").click()
    see(browser, "to go")
    check(browser, "send-again-going")
    press(browser, "Cancel what is not sent")
    see(browser, "What was not sent yet is what it was before")
    check(browser, "send-again-cancelled")


def test_sending_again_is_chosen_and_watched(
    browser: webdriver.Chrome, site: Site, seeded: Seeded
) -> None:
    """The count follows the choice at once; the page follows the replay to its end, and the list keeps it."""
    browser.get(f"{site.url}/send-again")
    see(browser, "Choose a state, an account")
    check(browser, "send-again")
    Select(browser.find_element(By.NAME, "state")).select_by_visible_text("Rejected")
    see(browser, "Nothing fits")
    check(browser, "send-again-nothing")
    Select(browser.find_element(By.NAME, "mapping")).select_by_visible_text("New leads")
    Select(browser.find_element(By.NAME, "state")).select_by_visible_text("Delivered")
    see(browser, "No limit holds it up")
    Select(browser.find_element(By.NAME, "version")).select_by_visible_text("Version 1")
    check(browser, "send-again-chosen")

    browser.find_element(By.CSS_SELECTOR, "#takes button").click()
    see(browser, "under version 1")
    drain(seeded.salesforce)
    see(browser, "Done")
    check(browser, "send-again-done")

    browser.get(f"{site.url}/send-again")
    see(browser, "Delivered of New leads")
    check(browser, "send-again-list")


def test_connections(browser: webdriver.Chrome, site: Site) -> None:
    """A connection is paused and resumed."""
    browser.get(f"{site.url}/connections")
    check(browser, "connections")

    press(browser, "Pause")
    see(browser, "is paused")
    check(browser, "connections-paused")
    press(browser, "Resume")
    see(browser, "is sending again")


def test_disconnecting_says_what_follows(browser: webdriver.Chrome, site: Site) -> None:
    """The page before disconnecting names the mappings and what waits."""
    browser.get(f"{site.url}/connections")
    press(browser, "Salesforce, sales team")
    press(browser, "Disconnect…")

    see(browser, "New leads")
    check(browser, "disconnect")
    press(browser, "Keep it")
    see(browser, "Salesforce, sales team")


def test_account_is_connected_at_the_vendor(browser: webdriver.Chrome, site: Site) -> None:
    """From our form to the vendor's authorise page and back, under the policy that forbids foreign forms."""
    browser.get(f"{site.url}/connections/new")
    check(browser, "connect")
    browser.find_element(By.CSS_SELECTOR, "#salesforce > summary").click()
    browser.find_element(By.ID, "label-salesforce").send_keys("Second org")

    press(browser, "Continue to Salesforce")

    wait(browser, lambda: site.url not in browser.current_url)
    browser.find_element(By.CSS_SELECTOR, "button[value=allow]").click()
    wait(browser, lambda: browser.current_url.startswith(f"{site.url}/connections"))
    see(browser, "Second org is connected")


def test_mapping_list(browser: webdriver.Chrome, site: Site) -> None:
    """The mappings stand with the account that they write to."""
    browser.get(f"{site.url}/mappings")

    see(browser, "Emergencies")
    check(browser, "mappings")


def test_new_mapping(browser: webdriver.Chrome, site: Site) -> None:
    """A new mapping starts from a preset."""
    browser.get(f"{site.url}/mappings/new")
    check(browser, "mapping-new")

    browser.find_element(By.CSS_SELECTOR, ".rows h3 a").click()

    see(browser, "Save as a new mapping")


def test_mapping_is_checked_previewed_and_saved(
    browser: webdriver.Chrome, site: Site, seeded: Seeded
) -> None:
    """Problems stand with their place, a preview shows the fields, and saving makes a version."""
    browser.get(f"{site.url}/mappings/{seeded.mapping_id}?view=yaml")
    press(browser, "Preview")
    see(browser, "Nothing is sent.")
    see(browser, "This mapping")
    check(browser, "mapping-preview")

    area = browser.find_element(By.ID, "text")
    good = area.get_attribute("value")
    _type(
        browser,
        good.replace("LastName:", "LastNam:").replace("{from: caller.phone", "{from: caller.fone"),
    )
    press(browser, "Check")
    see(browser, "LastNam")
    see(browser, "caller.fone")
    check(browser, "mapping-problems")

    _type(browser, good.replace("critical: Hot", "critical: Warm"))
    browser.find_element(By.ID, "note").send_keys("Critical is warm")
    number = _press_save(browser)
    see(browser, f"Version {number} of New leads is in use")
    press(browser, "Versions")
    check(browser, "mapping-versions")
    press(browser, f"Version {number}")
    see(browser, f"What changed since version {number - 1}")
    check(browser, "mapping-version")


def _press_save(driver: webdriver.Chrome) -> int:
    """Save what is written; gives the version it is to become, since other tests save versions too."""
    labels = [one.text for one in driver.find_elements(By.CSS_SELECTOR, "button.main")]
    label = next(one for one in labels if one.startswith("Save as version"))
    press(driver, label)
    return int(label.split()[-1])


def _type(driver: webdriver.Chrome, text: str) -> None:
    driver.execute_script(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
        driver.find_element(By.ID, "text"),
        text,
    )


def test_tab_indents_and_escape_lets_go(
    browser: webdriver.Chrome, site: Site, seeded: Seeded
) -> None:
    """Tab indents in the editor; after Escape it moves on, so that nobody is trapped."""
    browser.get(f"{site.url}/mappings/{seeded.mapping_id}?view=yaml")
    area = browser.find_element(By.ID, "text")
    before = area.get_attribute("value")

    area.send_keys(Keys.CONTROL, Keys.HOME, Keys.NULL, Keys.TAB)
    assert area.get_attribute("value") == "  " + before
    area.send_keys(Keys.ESCAPE, Keys.TAB)

    assert browser.switch_to.active_element.get_attribute("id") == "note"
    area.send_keys(Keys.BACKSPACE)
    _type(browser, before)


def test_two_people_edit_one_mapping(browser: webdriver.Chrome, site: Site, seeded: Seeded) -> None:
    """Who saves second loses nothing: both texts are shown and the own one stays in the editor."""
    browser.get(f"{site.url}/mappings/{seeded.mapping_id}?view=yaml")
    text = browser.find_element(By.ID, "text").get_attribute("value")
    with seeded.salesforce.hub.tenant(seeded.company.tenant_id) as session:
        mappings.save(
            session,
            connection_id=seeded.salesforce.connection.id,
            name="New leads",
            document=load(text),
            source="# theirs\n" + text,
            author=f"person:{seeded.company.person_id}",
            mapping_id=seeded.mapping_id,
        )

    _type(browser, "# mine\n" + text)
    _press_save(browser)

    see(browser, "while you were editing")
    assert browser.find_element(By.ID, "text").get_attribute("value").startswith("# mine")
    check(browser, "mapping-conflict")


def test_sign_in_that_ends_while_editing_loses_nothing(
    start_browser: Callable, site: Site, seeded: Seeded
) -> None:
    """The check says that the sign-in has ended; saving leads through it and sends what was typed."""
    driver = start_browser()
    driver.get(f"{site.url}/mappings/{seeded.mapping_id}?view=yaml")
    _sign_in(driver, seeded)
    see(driver, "Mapping, as YAML")
    text = driver.find_element(By.ID, "text").get_attribute("value")
    _type(driver, f"# kept through the sign-in\n{text}")
    with site.hub.tenant(seeded.company.tenant_id) as session:
        newest = session.scalars(select(SignIn).order_by(SignIn.created_at.desc()).limit(1)).one()
        people.end_sign_in(session, newest.id)

    press(driver, "Check")
    see(driver, "Your sign-in has ended. Nothing you typed is lost")
    driver.find_element(By.CSS_SELECTOR, "button[value=save]").click()
    see(driver, "What you typed is kept")
    check(driver, "sign-in-again")
    _sign_in(driver, seeded)
    see(driver, "You are signed in again")
    check(driver, "send-again")
    press(driver, "Send it now")

    see(driver, "of New leads is in use")
    typed = driver.find_element(By.ID, "text").get_attribute("value")
    assert typed.startswith("# kept through the sign-in")


def _sign_in(driver: webdriver.Chrome, seeded: Seeded) -> None:
    driver.find_element(By.NAME, "email").send_keys(seeded.email)
    driver.find_element(By.NAME, "password").send_keys(PASSWORD, Keys.ENTER)


def test_everything_works_without_scripts(
    start_browser: Callable, site: Site, seeded: Seeded
) -> None:
    """With JavaScript switched off, people sign in, filter, check and preview all the same."""
    driver = start_browser(1280, 900, "--blink-settings=scriptEnabled=false")
    driver.get(f"{site.url}/voicemails")
    _sign_in(driver, seeded)
    wait(driver, lambda: driver.find_element(By.ID, "filter-bucket").is_enabled())

    Select(driver.find_element(By.ID, "filter-bucket")).select_by_visible_text("Billing")
    press(driver, "Show")
    wait(driver, lambda: "bucket=billing" in driver.current_url)
    wait(driver, lambda: len(driver.find_elements(By.CSS_SELECTOR, ".inbox > li")) == 1)
    driver.get(f"{site.url}/mappings/{seeded.mapping_id}?view=yaml")
    area = driver.find_element(By.ID, "text")
    area.clear()
    area.send_keys("version: 9")
    press(driver, "Check")

    wait(driver, lambda: "version" in driver.find_element(By.ID, "findings").text)
    assert "steps" in driver.find_element(By.ID, "findings").text
    assert driver.find_element(By.ID, "text").get_attribute("value").strip() == "version: 9"


def test_notifications(browser: webdriver.Chrome, site: Site, seeded: Seeded) -> None:
    """A webhook is added, its secret is seen once, a test of it stands in the log, and it can be removed."""
    with receiver() as received:
        browser.get(f"{site.url}/connections")
        press(browser, "Notifications")
        see(browser, "No webhook yet")
        check(browser, "notifications-empty")
        press(browser, "Add a webhook")
        see(browser, "never hold a caller's data")
        check(browser, "notifications-new")
        browser.find_element(By.ID, "url").send_keys("https://10.0.0.1/")
        press(browser, "Add it")
        see(browser, "private network")
        check(browser, "notifications-new-wrong")
        browser.find_element(By.ID, "url").clear()
        browser.find_element(By.ID, "url").send_keys(received.url)
        browser.find_element(By.ID, "note").send_keys("On-call tool")
        press(browser, "Add it")
        see(browser, "Copy the secret now")
        secret = browser.find_element(By.ID, "secret").get_attribute("value")
        check(browser, "notifications-secret")
        press(browser, "Send a test")
        see(browser, "Not tried yet")
        received.answers.append(503)
        send_due(site.hub, now())
        browser.refresh()
        see(browser, "It answered 503.")
        check(browser, "notifications-webhook")

    assert received.calls[0].verified(secret)["type"] == "test"
    with site.hub.tenant(seeded.company.tenant_id) as session:
        rows = session.scalars(select(Connection).order_by(Connection.id)).all()
        items = [
            Item(seeded.company.tenant_id, AlertType.DEGRADED, now(), {}, rows[0]),
            Item(
                seeded.company.tenant_id, AlertType.PARKED, now(), {"new": 3, "parked": 4}, rows[0]
            ),
            Item(seeded.company.tenant_id, AlertType.RECOVERED, now(), {"lasted_s": 420}, rows[0]),
        ]
        outbox.write(site.hub, session, items, now())
    browser.get(f"{site.url}/notifications")
    see(browser, "Deliveries go through again")
    check(browser, "notifications")
    browser.get(f"{site.url}/connections/{rows[0].id}")
    see(browser, "What happened lately")
    see(browser, "Deliveries go through again")
    check(browser, "connections-told")
    browser.get(f"{site.url}/notifications")
    press(browser, "127.0.0.1:" + received.url.split(":")[2].split("/")[0])
    press(browser, "Remove this webhook…")
    see(browser, "Its log and its secret are removed")
    check(browser, "notifications-remove")
    press(browser, "Remove it")

    see(browser, "is removed")


def test_theme_is_remembered(browser: webdriver.Chrome, site: Site) -> None:
    """The choice of dark holds on the next page, whatever the device prefers."""
    browser.get(f"{site.url}/voicemails")
    browser.find_element(By.CSS_SELECTOR, ".menu > summary").click()
    check(browser, "menu")
    press(browser, "Dark", inside=".menu")

    browser.get(f"{site.url}/mappings")
    scheme = "return getComputedStyle(document.documentElement).colorScheme"
    assert browser.execute_script(scheme) == "dark"
    browser.find_element(By.CSS_SELECTOR, ".menu > summary").click()
    press(browser, "Device", inside=".menu")


def test_missing_page(browser: webdriver.Chrome, site: Site) -> None:
    """A wrong address leads back."""
    browser.get(f"{site.url}/nowhere")

    see(browser, "There is no such page")
    check(browser, "missing")


def test_empty_company(browser: webdriver.Chrome, site: Site) -> None:
    """A company without anything is told on each page what comes first."""
    browser.get(f"{site.url}/")
    browser.find_element(By.CSS_SELECTOR, ".menu > summary").click()
    press(browser, "Northside Dental", inside=".menu")
    see(browser, "You are looking at Northside Dental")
    check(browser, "empty-overview")
    for name in ("voicemails", "needs-you", "connections", "mappings"):
        browser.get(f"{site.url}/{name}")
        assert browser.find_elements(By.CSS_SELECTOR, ".empty")
        check(browser, f"empty-{name}")
    browser.find_element(By.CSS_SELECTOR, ".menu > summary").click()
    press(browser, "Harbor Home Services", inside=".menu")
    see(browser, "You are looking at Harbor Home Services")


def test_first_view_is_small(start_browser: Callable, site: Site, seeded: Seeded) -> None:
    """Everything that the first page loads is under 150 KB."""
    driver = start_browser()
    driver.get(f"{site.url}/sign-in")
    driver.find_element(By.NAME, "email").send_keys(seeded.email)
    driver.find_element(By.NAME, "password").send_keys(PASSWORD, Keys.ENTER)
    wait(driver, lambda: driver.title.startswith("Overview"))
    driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    driver.refresh()

    sizes = driver.execute_script(
        "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map(e => [e.name, e.encodedBodySize])"
    )

    assert len(sizes) > 5
    assert sum(size for _, size in sizes) < 150_000, sizes
