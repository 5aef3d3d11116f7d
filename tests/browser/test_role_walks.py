"""Each page as each role: who may do its main job sees the way to it and does it; others see the page without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select
from sqlalchemy import update

from hub.db import people
from hub.db.base import now
from hub.db.deliveries import Delivery
from hub.db.people import Role
from hub.web.viewer import COOKIE
from tests.browser.serving import Site
from tests.browser.test_pages import press, see
from tests.conftest import new_company
from tests.connectors.running import Sandbox
from tests.delivery.connected import LEAD, Connected, connect, unspent, voicemail

pytestmark = pytest.mark.browser

#: Page, what does its main job, and the least role that may. What stands in braces is of this company.
JOBS = [
    ("/voicemails?tab=all", "Approve and send", Role.OPERATOR),
    ("/voicemails?tab=all", "Called back", Role.OPERATOR),
    ("/voicemails?tab=all&bucket=new_lead", "Keep it", Role.VIEWER),
    ("/voicemails/{event}", "Move it", Role.OPERATOR),
    ("/voicemails/{event}", "Mark as called back", Role.OPERATOR),
    ("/needs-you", "Approve and send", Role.OPERATOR),
    ("/needs-you", "Send again", Role.OPERATOR),
    ("/send-again?state=parked", "Send again 1 delivery", Role.OPERATOR),
    ("/mappings", "Turn off", Role.MAPPER),
    ("/mappings", "New mapping", Role.MAPPER),
    ("/mappings", "Approval", Role.ADMIN),
    ("/mappings/{mapping}", "Save as version 2", Role.MAPPER),
    ("/mappings/{mapping}", "Add a field", Role.MAPPER),
    ("/mappings/{mapping}", "Preview", Role.MAPPER),
    ("/mappings/{mapping}", "Versions", Role.VIEWER),
    ("/connections", "Pause", Role.OPERATOR),
    ("/connections", "Connect an account", Role.ADMIN),
    ("/connections/{connection}", "Disconnect…", Role.ADMIN),
    ("/sync", "Pause", Role.OPERATOR),
    ("/notifications", "Add a webhook", Role.ADMIN),
    ("/settings/company", "Save", Role.ADMIN),
    ("/settings/people", "Invite", Role.ADMIN),
    ("/settings/keys", "Make the key", Role.ADMIN),
    ("/settings/account", "Change the password", Role.VIEWER),
]

#: What can be pressed, as it is read: without words for screen readers, and without what is turned off.
CONTROLS = """
return [...document.querySelectorAll("main :is(button, a.button, summary)")]
  .filter((e) => e.checkVisibility() && !e.closest("fieldset:disabled"))
  .map((e) => {
    const words = e.cloneNode(true);
    for (const away of words.querySelectorAll(".away")) away.remove();
    return words.textContent.trim();
  });
"""


@dataclass(frozen=True)
class Work:
    """A company in which each role has something to do."""

    connected: Connected
    driver: webdriver.Chrome
    url: str
    ids: dict[str, str]

    def enter(self, role: Role) -> None:
        """Let a new person with this role sit down at the browser."""
        hub, tenant_id = self.connected.hub, self.connected.company.tenant_id
        person_id = new_company(hub).person_id
        with hub.tenant(tenant_id) as session:
            people.add_member(session, person_id=person_id, role=role)
            token = people.start_sign_in(session, person_id=person_id, lasts=timedelta(hours=1))
        self.driver.get(f"{self.url}/sign-in")
        self.driver.add_cookie({"name": COOKIE, "value": token})


@pytest.fixture(scope="module")
def work(site: Site, start_browser: Callable, salesforce_box: Sandbox) -> Work:
    """Make it, and a browser for all."""
    unspent(site.hub)
    connected = connect(site.hub, new_company(site.hub), salesforce_box)
    gated = LEAD.replace("steps:", "approve: {urgency_at_least: 30}\nsteps:")
    mapping_id = connected.publish(gated, name="New leads")
    first, parked, _ = (connected.accept(voicemail(number))[0].id for number in (1, 2, 3))
    with site.hub.tenant(connected.company.tenant_id) as session:
        refused = {"state": "parked", "reason": "The vendor refused it.", "updated_at": now()}
        session.execute(update(Delivery).where(Delivery.event_id == parked).values(**refused))
    ids = {"event": first, "mapping": mapping_id, "connection": connected.connection.id}
    return Work(connected, start_browser(), site.url, ids)


def approve(driver: webdriver.Chrome) -> None:
    """Let what waits go."""
    driver.get(driver.current_url.partition("/settings")[0] + "/needs-you")
    driver.find_element(By.CSS_SELECTOR, "input[name=delivery]").click()
    press(driver, "Approve and send")
    see(driver, "1 delivery approved")


def turn_off(driver: webdriver.Chrome) -> None:
    """Turn a mapping off, and on again."""
    driver.get(driver.current_url.partition("/settings")[0] + "/mappings")
    driver.find_element(By.CSS_SELECTOR, "button[name=active][value=no]").click()
    see(driver, "Turn on")
    driver.find_element(By.CSS_SELECTOR, "button[name=active][value=yes]").click()
    see(driver, "Turn off")


def make_key(driver: webdriver.Chrome) -> None:
    """Make a key for a program."""
    driver.get(driver.current_url.partition("/settings")[0] + "/settings/keys")
    driver.find_element(By.ID, "name").send_keys("Booking desk")
    press(driver, "Make the key")
    see(driver, "Its secret is shown only now")


def invite(driver: webdriver.Chrome) -> None:
    """Invite another owner, which owners only may."""
    driver.get(driver.current_url.partition("/settings")[0] + "/settings/people")
    driver.find_element(By.ID, "email").send_keys("new.owner@harbor.example")
    Select(driver.find_element(By.CSS_SELECTOR, "#role")).select_by_visible_text("Owner")
    press(driver, "Invite")
    see(driver, "Give them this link")


def keep_a_view(driver: webdriver.Chrome) -> None:
    """Keep filters for oneself, which everybody may."""
    url = driver.current_url.partition("/settings")[0]
    driver.get(f"{url}/voicemails?tab=all&bucket=new_lead")
    press(driver, "Keep these filters as a view")
    driver.find_element(By.ID, "view-name").send_keys("Leads")
    press(driver, "Keep it")
    see(driver, "Only you see it")


DOES = {
    Role.OWNER: invite,
    Role.ADMIN: make_key,
    Role.MAPPER: turn_off,
    Role.OPERATOR: approve,
    Role.VIEWER: keep_a_view,
}


@pytest.mark.parametrize("role", list(Role))
def test_pages_show_what_a_role_may_do(work: Work, role: Role) -> None:
    """Each page's main job is there for those who may do it, and for nobody else; each role does one of its own."""
    driver = work.driver
    work.enter(role)
    wrong = []
    for page in dict.fromkeys(page for page, *_ in JOBS):
        driver.get(work.url + page.format(**work.ids))
        driver.execute_script(
            "for (const e of document.querySelectorAll('main details')) e.open = true"
        )
        there = driver.execute_script(CONTROLS)
        for where, control, least in JOBS:
            if where == page and (control in there) is not role.covers(least):
                wrong.append((page, control, there))

    assert wrong == []
    DOES[role](driver)
