"""What became of voicemails, as people see it: figures beside their goals, the timeline, and verdicts on pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from hub.context import Hub
from hub.db.base import now
from hub.db.people import Role
from tests.conftest import Company, new_company
from tests.delivery.judged import Story
from tests.web.visitor import Visitor, signed_in

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def story(hub: Hub, company: Company) -> Story:
    """Voicemails of the visitor's company."""
    return Story(hub, company)


def test_the_front_page_shows_the_figures_beside_their_goals(
    visitor: Visitor, story: Story
) -> None:
    """Reached or missed is said in words, not by colour alone."""
    crm = (story.connection("salesforce"), "Task")
    pager = (story.connection("pagerduty"), "incident")
    for closed in (True, True, False):
        spans = {"closed": 4 * MINUTE} if closed else {}
        story.voicemail(now() - 10 * DAY, to=crm, **spans)
    story.voicemail(now() - DAY, to=pager, is_false=True)

    text = visitor.page("/").text

    assert "Closed within 7 days 67 % 2 of 3 voicemails Goal: 60 % or more , reached" in text
    assert "Time to first touch 4 min 95 in 100 within 4 min Goal: under 5 min , reached" in text
    assert "False pages 100 % 1 of 1 page Goal: below 5 % , missed" in text


def test_a_young_company_sees_what_still_counts(visitor: Visitor, story: Story) -> None:
    """In its first week closes may still come; nothing is called missed."""
    story.voicemail(now() - MINUTE, to=(story.connection("salesforce"), "Task"))

    text = visitor.page("/").text

    assert "0 of 1 voicemail, still counting" in text
    assert "nobody has touched a record yet" in text
    assert "missed" not in text


def test_without_any_action_there_are_no_figures(visitor: Visitor, story: Story) -> None:
    """An empty row of dashes would tell nobody anything."""
    story.voicemail(now() - MINUTE, bucket="spam")

    assert "Closed within 7 days" not in visitor.page("/").text


def test_the_timeline_tells_what_became_of_records(visitor: Visitor, story: Story) -> None:
    """Touched, closed and reopened, with the vendor's word."""
    event_id = story.voicemail(
        now() - DAY,
        to=(story.connection("salesforce"), "Task"),
        touched=MINUTE,
        closed=2 * MINUTE,
        reopened=3 * MINUTE,
    )

    text = visitor.page(f"/voicemails/{event_id}").text

    assert "Salesforce Task was touched: touched" in text
    assert "Salesforce Task closed: closed" in text
    assert "Salesforce Task was reopened" in text
    assert "False page" not in text


def test_a_page_is_called_false_and_taken_back(visitor: Visitor, story: Story) -> None:
    """By a button on the voicemail; the page says what it leads to, and what was said."""
    event_id = story.voicemail(now() - DAY, to=(story.connection("pagerduty"), "incident"))
    where = f"/voicemails/{event_id}"
    asked = visitor.page(where).text

    answer = visitor.post(f"{where}/page-verdict", {"verdict": "false"})
    judged = visitor.page(where).text
    visitor.post(f"{where}/page-verdict", {"verdict": "none"})

    assert "Was that right? Your answer counts in the false-page rate." in asked
    assert (answer.status_code, answer.location) == (303, f"{where}#page")
    assert "Noted as a false page" in judged
    assert "Take it back" in judged
    assert "Was that right?" in visitor.page(where).text


def test_what_paged_nobody_is_not_judged(visitor: Visitor, story: Story) -> None:
    """The form is not shown, and one that is sent all the same is refused in words."""
    event_id = story.voicemail(now() - DAY, to=(story.connection("salesforce"), "Task"))

    visitor.post(f"/voicemails/{event_id}/page-verdict", {"verdict": "false"})

    assert "This voicemail has not paged anybody" in visitor.page(f"/voicemails/{event_id}").text


def test_who_only_looks_does_not_judge(app: Flask, hub: Hub) -> None:
    """A viewer sees the verdict and no buttons."""
    company = new_company(hub, role=Role.VIEWER)
    story = Story(hub, company)
    viewer = signed_in(app, hub, company)
    event_id = story.voicemail(
        now() - DAY, to=(story.connection("pagerduty"), "incident"), is_false=True
    )

    page = viewer.page(f"/voicemails/{event_id}")

    assert "False page" in page.text
    assert "Take it back" not in page.text
    assert viewer.post(f"/voicemails/{event_id}/page-verdict").status_code == 403
