"""The figures and a verdict on a page, in a browser: readable in both themes, on desktop and phone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from hub.db import people
from hub.db.base import now
from hub.web.viewer import COOKIE
from tests.browser.serving import Site
from tests.browser.test_pages import check, press, see
from tests.conftest import new_company
from tests.delivery.judged import Story

pytestmark = pytest.mark.browser
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def test_a_page_is_called_false(start_browser: Callable, site: Site) -> None:
    """From the figures to a voicemail, and back with one false page more."""
    company = new_company(site.hub)
    story = Story(site.hub, company)
    crm = (story.connection("salesforce"), "Task")
    for number in range(8):
        spans = {"touched": (2 + number) * MINUTE} | ({"closed": DAY} if number % 4 else {})
        story.voicemail(now() - 10 * DAY, to=crm, **spans)
    event_id = story.voicemail(
        now() - DAY, to=(story.connection("pagerduty"), "incident"), touched=3 * MINUTE
    )
    with site.hub.tenant(company.tenant_id) as session:
        token = people.start_sign_in(session, person_id=company.person_id, lasts=timedelta(hours=1))
    driver = start_browser()
    driver.get(f"{site.url}/sign-in")
    driver.add_cookie({"name": COOKIE, "value": token})

    driver.get(site.url)
    see(driver, "75 %")
    see(driver, "0 of 1 page")
    check(driver, "overview-figures")
    driver.get(f"{site.url}/voicemails/{event_id}")
    see(driver, "Was that right?")
    check(driver, "voicemail-page")
    press(driver, "False page")
    see(driver, "Noted as a false page")
    driver.get(site.url)

    see(driver, "1 of 1 page")
