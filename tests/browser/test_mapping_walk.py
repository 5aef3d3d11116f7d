"""The mapping editor in a browser: the main job by keyboard alone, both themes, phone width, and each role."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import Select, WebDriverWait
from sqlalchemy import select

from hub.db import mappings, people
from hub.db.base import new_id
from hub.db.mappings import MappingVersion
from hub.db.people import Role
from hub.web.viewer import COOKIE
from mappings.document import load
from tests.browser.screens import take
from tests.browser.seeding import Seeded
from tests.browser.serving import Site
from tests.browser.test_pages import browser, check, press, see, wait

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("mapping_as_it_was")]
__all__ = ["browser"]


def keys(driver: webdriver.Chrome, *what: str) -> None:
    """Type, wherever the focus is."""
    ActionChains(driver).send_keys(*what).perform()


def focused(driver: webdriver.Chrome) -> str:
    """Give the name, or else the value, of what has the focus."""
    return driver.execute_script(
        "const e = document.activeElement; return e.tagName === 'BUTTON' ? e.value : e.name || e.id"
    )


def tab_to(driver: webdriver.Chrome, name: str, *, most: int = 80) -> None:
    """Go on by Tab until something of this name has the focus."""
    for _ in range(most):
        if focused(driver) == name:
            return
        keys(driver, Keys.TAB)
    pytest.fail(f"{name} was not reached by Tab; at {focused(driver)}")


def order(driver: webdriver.Chrome, step: str = "s0") -> list[str]:
    """Give the names of the fields of a step, as they stand."""
    return driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(one => one.value)",
        f"#{step} > ol .target .pick",
    )


def do(driver: webdriver.Chrome, action: str) -> None:
    """Press the button of the form that does something."""
    button = driver.find_element(By.CSS_SELECTOR, f'button[name=do][value="{action}"]')
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()


def as_role(driver: webdriver.Chrome, site: Site, seeded: Seeded, role: Role) -> None:
    """Sign a new person of the company in who has this role."""
    with site.hub.everyone("a test adds a person") as session:
        person = people.Person(email=f"{new_id(role)}@harbor.example", name=f"A {role}")
        session.add(person)
        session.flush()
        person_id = person.id
    with site.hub.tenant(seeded.company.tenant_id) as session:
        people.add_member(session, person_id=person_id, role=role)
        token = people.start_sign_in(session, person_id=person_id, lasts=timedelta(hours=1))
    driver.get(f"{site.url}/sign-in")
    driver.add_cookie({"name": COOKIE, "value": token})


def test_form_is_tried_before_it_is_saved(
    browser: webdriver.Chrome, site: Site, seeded: Seeded
) -> None:
    """The form shows both sides; preview, comparison and dry run stand beside it."""
    browser.get(f"{site.url}/mappings/{seeded.mapping_id}")
    see(browser, "Last Name · text")
    see(browser, "No problems found")
    check(browser, "mapping-form")

    press(browser, "Preview")
    see(browser, "This mapping applies")
    check(browser, "mapping-form-preview")
    before = browser.find_element(By.CSS_SELECTOR, "#findings .preview-step dd").text
    tried = Select(browser.find_element(By.ID, "event"))
    first = tried.options.index(tried.first_selected_option)
    tried.select_by_index(first + 1)
    wait(
        browser,
        lambda: browser.find_element(By.CSS_SELECTOR, "#findings .preview-step dd").text != before,
    )
    tried.select_by_index(first)
    see(browser, "This mapping applies")
    press(browser, "Compare with Salesforce")
    see(browser, "In Salesforce")
    check(browser, "mapping-form-compared")
    press(browser, "Dry run")
    see(browser, "Dry run over")
    check(browser, "mapping-form-rehearsed")


def test_mapper_adds_a_field_by_keyboard(
    start_browser: Callable, site: Site, seeded: Seeded
) -> None:
    """Without a mouse a mapper adds a field with a picker, moves it, explains it, and saves."""
    driver = start_browser()
    as_role(driver, site, seeded, Role.MAPPER)
    driver.get(f"{site.url}/mappings/{seeded.mapping_id}")
    see(driver, "Last Name · text")

    tab_to(driver, "add-field:s0", most=200)
    keys(driver, Keys.ENTER)
    wait(driver, lambda: focused(driver).startswith("s0-f"))
    new = focused(driver).removesuffix(".name")
    keys(driver, "no such")
    wait(driver, lambda: "Nothing of this name" in driver.find_element(By.ID, "picks").text)
    keys(driver, Keys.ESCAPE)
    keys(driver, *[Keys.BACKSPACE] * 7, "Title")
    wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#picks [aria-selected=true]"))
    assert "Title" in driver.find_element(By.ID, "picks").text
    keys(driver, Keys.ENTER)
    see(driver, "Title · text")
    tab_to(driver, f"{new}.from")
    keys(driver, "summ")
    wait(driver, lambda: "Summary" in driver.find_element(By.ID, "picks").text)
    keys(driver, Keys.ENTER)
    see(driver, "may be longer than Lead.Title takes")
    check(driver, "mapping-form-new-field")
    assert order(driver)[-1] == "Title"
    ActionChains(driver).key_down(Keys.ALT).send_keys(Keys.ARROW_UP).key_up(Keys.ALT).perform()
    wait(driver, lambda: order(driver)[-2] == "Title")
    wait(driver, lambda: focused(driver).startswith("up:s0-f"))
    tab_to(driver, "note", most=200)
    keys(driver, "Titles help sales", Keys.TAB, Keys.ENTER)

    see(driver, "of New leads is in use")
    see(driver, "made by earlier versions")
    check(driver, "mapping-form-saved")
    press(driver, "Versions")
    see(driver, "A mapper")
    see(driver, "Titles help sales")
    check(driver, "mapping-form-versions")


def test_unsaved_work_survives_a_reload(
    start_browser: Callable, site: Site, seeded: Seeded
) -> None:
    """What was changed is offered back after a reload, comes back, and is gone once it is thrown away."""
    driver = start_browser()
    as_role(driver, site, seeded, Role.ADMIN)
    path = f"{site.url}/mappings/{seeded.mapping_id}"
    driver.get(path)
    see(driver, "Last Name · text")
    press(driver, "Add a step")
    wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".step:nth-of-type(4)"))

    driver.get(path)
    see(driver, "You have unsaved work")
    check(driver, "mapping-form-unsaved")
    press(driver, "Bring it back")
    wait(driver, lambda: len(driver.find_elements(By.CSS_SELECTOR, ".step")) == 3)
    check(driver, "mapping-form-problems")
    driver.get(path)
    press(driver, "Throw it away")
    driver.refresh()
    see(driver, "Last Name · text")
    assert not driver.find_element(By.ID, "unsaved").is_displayed()


def test_values_are_matched_with_the_picklist(
    browser: webdriver.Chrome, site: Site, seeded: Seeded
) -> None:
    """A field is taken over with its suggestion; its options and value table are open to change."""
    browser.get(f"{site.url}/mappings/{seeded.mapping_id}")
    see(browser, "Last Name · text")
    rating = next(
        one
        for one in browser.find_elements(By.CSS_SELECTOR, "#s0 > ol > .map-row")
        if one.find_element(By.CSS_SELECTOR, ".pick").get_attribute("value") == "Rating"
    )
    Select(rating.find_element(By.CSS_SELECTOR, ".pairs select")).select_by_index(0)
    see(browser, "does not list")
    rating.find_element(By.CSS_SELECTOR, ".options > summary").click()
    browser.find_element(By.CSS_SELECTOR, "#left-s0 > summary").click()
    browser.find_element(By.ID, "search-s0").send_keys("mobile")
    wait(
        browser,
        lambda: (
            len(
                [
                    one
                    for one in browser.find_elements(By.CSS_SELECTOR, "#list-s0 > li")
                    if one.is_displayed()
                ]
            )
            == 1
        ),
    )
    browser.execute_script("document.getElementById('s0').scrollIntoView()")
    check(browser, "mapping-form-values")
    do(browser, "add-field:s0/MobilePhone")
    wait(browser, lambda: "MobilePhone" in order(browser))
    browser.execute_script("window.localStorage.clear()")


def test_two_people_in_the_form(browser: webdriver.Chrome, site: Site, seeded: Seeded) -> None:
    """Who saves second sees both changes and merges them."""
    browser.get(f"{site.url}/mappings/{seeded.mapping_id}")
    see(browser, "Last Name · text")
    with site.hub.tenant(seeded.company.tenant_id) as session:
        source = session.scalars(
            select(MappingVersion.source)
            .where(MappingVersion.mapping_id == seeded.mapping_id)
            .order_by(MappingVersion.number.desc())
            .limit(1)
        ).one()
        theirs = source.replace("Unknown caller", "Somebody")
        mappings.save(
            session,
            connection_id=seeded.salesforce.connection.id,
            name="New leads",
            document=load(theirs),
            source=theirs,
            author=f"person:{seeded.company.person_id}",
            note="Sounds kinder",
            mapping_id=seeded.mapping_id,
        )
    do(browser, "add-all:s0")
    wait(browser, lambda: "MobilePhone" in order(browser))
    press(browser, next(one.text for one in browser.find_elements(By.CSS_SELECTOR, "button.main")))

    see(browser, "while you were editing")
    see(browser, "Sounds kinder")
    check(browser, "mapping-form-conflict")
    press(browser, "Merge both")
    see(browser, "This text holds both changes")
    check(browser, "mapping-form-merged")
    text = browser.find_element(By.ID, "text").get_attribute("value")
    assert "Somebody" in text
    assert "MobilePhone" in text


def test_those_who_may_only_read_look_at_the_form(
    start_browser: Callable, site: Site, seeded: Seeded
) -> None:
    """An operator and a viewer see the whole mapping, and nothing in it can be changed."""
    driver = start_browser()
    for role in (Role.OPERATOR, Role.VIEWER):
        as_role(driver, site, seeded, role)
        driver.get(f"{site.url}/mappings/{seeded.mapping_id}")

        see(driver, "Mappers may change it")
        assert "LastName" in order(driver)
        assert not driver.find_element(By.NAME, "s0-f0.name").is_enabled()
        pressed = driver.find_elements(By.CSS_SELECTOR, "#mapping button")
        assert [one.text for one in pressed if one.is_displayed()] == []
        press(driver, "YAML")
        see(driver, "Mapping, as YAML")
        assert driver.find_element(By.ID, "text").get_attribute("readonly")
        driver.back()
    check(driver, "mapping-form-viewer")


def steps(driver: webdriver.Chrome) -> list[str]:
    """Give the names of the steps, as they stand."""
    return driver.execute_script(
        "return [...document.querySelectorAll('.step [id^=id-s]')].map(one => one.value)"
    )


def tab_until(driver: webdriver.Chrome, selector: str, *, most: int = 200) -> None:
    """Go on by Tab until something that fits a selector has the focus."""
    for _ in range(most):
        if driver.execute_script("return document.activeElement.matches(arguments[0])", selector):
            return
        keys(driver, Keys.TAB)
    pytest.fail(f"{selector} was not reached by Tab")


def test_steps_and_suggestions_by_keyboard(
    start_browser: Callable, site: Site, seeded: Seeded
) -> None:
    """Without a mouse a step moves and comes back, and a suggestion is taken over; the focus goes along."""
    driver = start_browser()
    as_role(driver, site, seeded, Role.MAPPER)
    driver.get(f"{site.url}/mappings/{seeded.mapping_id}")
    see(driver, "Last Name · text")
    before = steps(driver)

    tab_to(driver, "down:s0", most=200)
    keys(driver, Keys.ENTER)
    wait(driver, lambda: steps(driver) == before[::-1])
    wait(driver, lambda: focused(driver) == "up:s1")
    keys(driver, Keys.ENTER)
    wait(driver, lambda: steps(driver) == before)
    wait(driver, lambda: focused(driver) == "down:s0")

    tab_until(driver, "#left-s0 > summary")
    keys(driver, Keys.ENTER)
    wait(driver, lambda: driver.find_element(By.ID, "search-s0").is_displayed())
    tab_to(driver, "search-s0")
    keys(driver, "mobile")
    tab_to(driver, "add-field:s0/MobilePhone")
    see(driver, "Take over")
    keys(driver, Keys.ENTER)
    wait(driver, lambda: order(driver)[-1] == "MobilePhone")
    wait(driver, lambda: driver.switch_to.active_element.tag_name != "body")
    driver.execute_script("window.localStorage.clear()")


OTHERS = """\
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [other]}
steps:
  - id: lead
    object: Lead
    set:
      LastName: {from: caller.name.full, or: Unknown}
      Company: {value: Nobody}
"""


def test_the_form_works_without_scripts(
    start_browser: Callable, site: Site, seeded: Seeded
) -> None:
    """A field is added, filled, tried and saved, page by page."""
    mapping_id = seeded.salesforce.publish(OTHERS, name="Without scripts")
    driver = start_browser(1280, 900, "--blink-settings=scriptEnabled=false")
    as_role(driver, site, seeded, Role.MAPPER)
    driver.get(f"{site.url}/mappings/{mapping_id}")
    first = driver.find_element(By.TAG_NAME, "main")
    press(driver, "Check")  # reads the account's fields, if nobody has read them before
    WebDriverWait(driver, 10, 0.05).until(staleness_of(first))
    see(driver, "Last Name · text")

    do(driver, "add-field:s0")
    wait(driver, lambda: focused(driver) == "s0-f2.name")
    driver.find_element(By.NAME, "s0-f2.name").send_keys("Title")
    driver.find_element(By.NAME, "s0-f2.from").send_keys("summary")
    press(driver, "Update the form")
    see(driver, "Title · text")
    press(driver, "Preview")
    see(driver, "Nothing is sent.")
    wait(driver, lambda: "Title" in driver.find_element(By.ID, "findings").text)
    take(driver, "mapping-form-without-scripts")
    press(driver, "Save as version 2")

    see(driver, "Version 2 of Without scripts is in use")
    assert order(driver) == ["LastName", "Company", "Title"]


def test_starting_from_a_trade_or_a_file(
    browser: webdriver.Chrome, site: Site, seeded: Seeded
) -> None:
    """Presets are narrowed by trade; an empty mapping begins with what is missing."""
    browser.get(f"{site.url}/mappings/new")
    press(browser, "Healthcare")
    see(browser, "From a file")
    check(browser, "mapping-start")
    press(browser, "An empty mapping")
    see(browser, "must name the kind of record")
    check(browser, "mapping-form-empty")
