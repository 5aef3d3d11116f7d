"""The three figures: what counts, for which week and bucket, and for whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.context import Hub
from hub.db.base import now
from hub.delivery import figures, page_verdicts
from hub.delivery.figures import Figures, Group, Report
from tests.conftest import Company, new_company
from tests.delivery.judged import Story

#: A Wednesday noon, long past.
AT = datetime(2026, 6, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def story(hub: Hub, company: Company) -> Story:
    """A company without any voicemail yet."""
    return Story(hub, company)


def report(
    story: Story, *, since: datetime = AT - 30 * DAY, until: datetime = AT + 30 * DAY
) -> Report:
    """Work the figures out."""
    return figures.report(story.hub, story.company.tenant_id, since=since, until=until)


def group(found: Report, week: str | None = None, bucket: str | None = None) -> Figures | None:
    """Give one group's figures."""

    def fits(one: Group) -> bool:
        return (one.week.name if one.week else None, one.bucket) == (week, bucket)

    return next((one.figures for one in found.groups if fits(one)), None)


def test_an_action_converts_when_a_record_is_closed_in_time(story: Story) -> None:
    """With success, within seven days of the voicemail, and not reopened; without an action it is not counted."""
    crm = (story.connection("salesforce"), "Task")
    story.voicemail(AT, to=crm, closed=6 * DAY)
    story.voicemail(AT, to=crm, closed=7 * DAY + HOUR)
    story.voicemail(AT, to=crm, lost=HOUR)
    story.voicemail(AT, to=crm, closed=HOUR, reopened=2 * HOUR)
    story.voicemail(AT, to=crm, touched=HOUR)
    story.voicemail(AT, bucket="spam")

    found = report(story).total

    assert (found.actions, found.converted, found.conversion_rate) == (5, 1, 0.2)


def test_pages_are_those_of_vendors_that_page(story: Story) -> None:
    """A task in the CRM pages nobody, whatever is said of it; the rate is of pages."""
    pager = (story.connection("pagerduty"), "incident")
    crm = (story.connection("salesforce"), "Task")
    story.voicemail(AT, to=pager, is_false=True)
    story.voicemail(AT, to=pager, is_false=False)
    story.voicemail(AT, to=pager)
    story.voicemail(AT, to=pager)
    story.voicemail(AT, to=crm, is_false=True)

    found = report(story).total

    assert (found.pages, found.false_pages, found.false_page_rate) == (4, 1, 0.25)


def test_the_first_touch_is_the_first_of_all_records(story: Story) -> None:
    """Touched or closed, with success or without: median, tail, and how many in time."""
    crm = (story.connection("salesforce"), "Task")
    story.voicemail(AT, to=crm, touched=timedelta(minutes=2), closed=HOUR)
    story.voicemail(AT, to=crm, closed=timedelta(minutes=4))
    story.voicemail(AT, to=crm, lost=timedelta(minutes=30))
    story.voicemail(AT, to=crm)

    found = report(story).total

    assert (found.touched, found.touched_in_time) == (3, 2)
    assert found.first_touch_p50_s == 240
    assert found.first_touch_p95_s == pytest.approx(240 + 0.9 * 1_560)


def test_figures_are_by_week_and_bucket(story: Story) -> None:
    """By the voicemail's ISO week in the tenant's zone, and by bucket, each with the sums of its own."""
    crm = (story.connection("salesforce"), "Task")
    story.voicemail(AT, to=crm, closed=HOUR)
    story.voicemail(AT, to=crm, bucket="support")
    story.voicemail(AT + 7 * DAY, to=crm)

    found = report(story)

    weeks = [one.week.name for one in found.groups if one.week and one.bucket is None]
    assert weeks == ["2026-W24", "2026-W25"]
    assert group(found, "2026-W24").conversion_rate == 0.5
    assert group(found, "2026-W24", "new_lead").conversion_rate == 1
    assert group(found, "2026-W24", "support").conversion_rate == 0
    assert group(found, None, "new_lead").actions == 2
    assert found.total.actions == 3


def test_a_week_begins_at_the_tenants_midnight(hub: Hub) -> None:
    """A call late on Sunday in Los Angeles is one of that week, though it is Monday in London."""
    story = Story(hub, new_company(hub, timezone="America/Los_Angeles"))
    monday = datetime(2026, 6, 15, 5, tzinfo=UTC)
    story.voicemail(monday, to=(story.connection("salesforce"), "Task"))

    found = report(story)

    assert group(found, "2026-W24").actions == 1


def test_a_span_is_kept_to(story: Story) -> None:
    """From its beginning until before its end, by the voicemail's own time."""
    crm = (story.connection("salesforce"), "Task")
    for at in (AT - timedelta(seconds=1), AT, AT + DAY - timedelta(seconds=1), AT + DAY):
        story.voicemail(at, to=crm)

    assert report(story, since=AT, until=AT + DAY).total.actions == 2


def test_young_weeks_are_said_to_be_incomplete(story: Story) -> None:
    """Until seven days after its end a week may still gain closes."""
    crm = (story.connection("salesforce"), "Task")
    story.voicemail(now() - 30 * DAY, to=crm)
    story.voicemail(now() - HOUR, to=crm)

    found = report(story, since=now() - 40 * DAY, until=now())

    complete = [one.week.is_complete for one in found.groups if one.week and one.bucket is None]
    assert complete == [True, False]
    assert not found.is_complete
    assert report(story).is_complete


def test_figures_are_of_one_tenant(hub: Hub, story: Story) -> None:
    """A neighbour's voicemails are in nobody else's sums."""
    neighbour = Story(hub, new_company(hub))
    neighbour.voicemail(AT, to=(neighbour.connection("salesforce"), "Task"), closed=HOUR)

    found = report(story)

    assert found.total == Figures()
    assert found.groups == ()
    assert found.total.conversion_rate is None


def test_a_page_is_judged_by_a_person(hub: Hub, story: Story) -> None:
    """The verdict may be changed and taken back; what paged nobody, or is a neighbour's, cannot be judged."""
    tenant_id = story.company.tenant_id
    paged = story.voicemail(AT, to=(story.connection("pagerduty"), "incident"))
    quiet = story.voicemail(AT, to=(story.connection("salesforce"), "Task"))
    rates = []

    for is_false in (True, False, True, None):
        page_verdicts.give(hub, tenant_id, paged, is_false=is_false, actor="person:1")
        rates.append(report(story).total.false_page_rate)

    assert rates == [1, 0, 1, 0]
    with pytest.raises(page_verdicts.PagedNobody):
        page_verdicts.give(hub, tenant_id, quiet, is_false=True, actor="person:1")
    with pytest.raises(page_verdicts.NoSuchVoicemail):
        page_verdicts.give(hub, new_company(hub).tenant_id, paged, is_false=True, actor="person:1")
