"""Names of people hold on every page: long German words without a break, and Arabic that runs from right to left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from selenium import webdriver
from sqlalchemy import update

from hub.db import people
from hub.db.tenants import Tenant
from hub.web.viewer import COOKIE
from tests.browser.names import ARABIC, GERMAN, Named, live
from tests.browser.screens import SIZES, set_size, take
from tests.browser.serving import Site
from tests.connectors.running import Sandbox
from tests.delivery.connected import unspent

pytestmark = pytest.mark.browser

_HERE = Path(__file__).parent
STICKS_OUT = (_HERE / "sticks_out.js").read_text("utf-8")
NOT_APART = (_HERE / "not_apart.js").read_text("utf-8")
#: Opens what is folded; the menu of the account only where asked, since it lies over the page.
OPEN = """
for (const e of document.querySelectorAll('details')) e.open = arguments[0] || !e.matches('.menu');
"""


@pytest.fixture(scope="module")
def named(site: Site, salesforce_box: Sandbox) -> Named:
    """The company."""
    unspent(site.hub)
    return live(site.hub, salesforce_box)


@pytest.fixture(scope="module")
def driver(start_browser: Callable, site: Site, named: Named) -> webdriver.Chrome:
    """Its owner's browser."""
    company = named.connected.company
    with site.hub.tenant(company.tenant_id) as session:
        token = people.start_sign_in(session, person_id=company.person_id, lasts=timedelta(hours=1))
    made = start_browser()
    made.get(f"{site.url}/sign-in")
    made.add_cookie({"name": COOKIE, "value": token})
    return made


@pytest.mark.parametrize("company_name", [GERMAN, ARABIC], ids=["german", "arabic"])
def test_every_name_holds_on_every_page(
    driver: webdriver.Chrome, site: Site, named: Named, company_name: str
) -> None:
    """Nothing sticks out or is cut off, on a desk or a phone, and Arabic stands apart from English."""
    tenant_id = named.connected.company.tenant_id
    with site.hub.everyone("a test names a company") as session:
        session.execute(update(Tenant).where(Tenant.id == tenant_id).values(name=company_name))
    wrong = []
    shown = [
        *("/voicemails?tab=all", "/needs-you", "/connections", "/settings/people"),
        f"/voicemails/{named.event_ids[1]}",
        f"/mappings/{named.mapping_ids[1]}",
    ]
    for page in named.pages():
        driver.get(f"{site.url}{page}")
        assert driver.execute_script("return document.querySelector('.error-code')") is None, page
        driver.execute_script(OPEN, page == "/")
        for size in SIZES:
            set_size(driver, size)
            wrong += [
                (page, size, one) for one in driver.execute_script(STICKS_OUT, SIZES[size][0])
            ]
        wrong += [(page, "bidi", one) for one in driver.execute_script(NOT_APART)]
        if company_name is ARABIC and page in shown:
            take(driver, f"names-{shown.index(page)}")

    assert wrong == []
