"""The front page's charts: counted right, in the tenant's zone, quick enough, and never in a way."""

from __future__ import annotations

import gzip
from datetime import timedelta

import pytest
from flask import Flask

from hub.context import Hub
from hub.db.base import now
from hub.delivery.volumes import volumes
from hub.web import charts, overview
from hub.web.charts import Series
from tests.bench.filling import fill
from tests.conftest import Company, new_company
from tests.delivery.judged import Story
from tests.web.visitor import Visitor, signed_in

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def story(hub: Hub, company: Company) -> Story:
    """Voicemails of the visitor's company."""
    return Story(hub, company)


def test_an_empty_company_is_told_what_begins_the_charts(visitor: Visitor) -> None:
    """No axes without anything on them."""
    page = visitor.page("/")

    assert "Nothing came in these 4 weeks" in page.text
    assert not [
        one for tag, one in page.elements if tag == "rect" and "tone" in one.get("class", "")
    ]


def test_the_numbers_of_a_chart_stand_in_a_table(visitor: Visitor, story: Story) -> None:
    """Who cannot see the bars reads the same numbers."""
    story.voicemail(now() - MINUTE, bucket="new_lead")
    story.voicemail(now() - MINUTE, bucket="new_lead")
    story.voicemail(now() - MINUTE, bucket="billing")

    page = visitor.page("/?days=7")

    titles = [one for tag, one in page.elements if tag == "rect"]
    assert "2 New lead" in page.text
    assert "Voicemails by day and bucket" in page.text
    assert len(titles) >= 2


def test_a_span_that_is_not_offered_is_the_usual_one(visitor: Visitor, story: Story) -> None:
    """Nobody can ask for a span that costs too much."""
    story.voicemail(now() - MINUTE)

    assert visitor.page("/?days=99999").text == visitor.page("/").text


def test_days_are_those_of_the_tenant_s_zone(hub: Hub) -> None:
    """Two in the morning in London is the day before in Los Angeles."""
    company = new_company(hub, timezone="America/Los_Angeles")
    at = (now() - 3 * DAY).replace(hour=2, minute=0, second=0, microsecond=0)
    Story(hub, company).voicemail(at)

    found = volumes(
        hub,
        company.tenant_id,
        since=at - DAY,
        until=now(),
        timezone="America/Los_Angeles",
        patience_s=4,
    )

    assert [day.isoformat() for day in found.by_day] == [(at - DAY).date().isoformat()]
    assert set(found.by_hour) <= {17, 18, 19}


def test_sums_agree_whichever_way_they_are_counted(hub: Hub) -> None:
    """By day, by hour and by urgency the same voicemails are counted, each once."""
    filled = fill(hub, 500, days=20)
    found = volumes(
        hub,
        filled.tenant_id,
        since=now() - 30 * DAY,
        until=now() + MINUTE,
        timezone="UTC",
        patience_s=4,
    )

    sums = {
        sum(sum(counts.values()) for counts in group.values())
        for group in (found.by_day, found.by_hour, found.urgency)
    }
    assert sums == {found.total} == {500}
    assert 0 < sum(found.lead_score) < 500
    assert all(0 <= lag.p50_s <= lag.p95_s for lag in found.lag.values())


def test_another_company_s_voicemails_are_not_counted(app: Flask, hub: Hub, story: Story) -> None:
    """A chart is a query like any other."""
    story.voicemail(now() - MINUTE)
    other = signed_in(app, hub, new_company(hub))

    assert "Nothing came in these 4 weeks" in other.page("/").text


def test_the_figures_are_drawn_week_by_week(visitor: Visitor, story: Story) -> None:
    """Each of them that there is has its goal across the chart."""
    crm = (story.connection("salesforce"), "Task")
    for week in range(3):
        story.voicemail(now() - (10 + 7 * week) * DAY, to=crm, closed=4 * MINUTE)

    page = visitor.page("/")

    assert "Week by week" in page.text
    assert (
        len([one for tag, one in page.elements if one.get("class") == "goal" and tag == "line"])
        == 2
    )


def test_a_column_s_parts_stand_upon_each_other() -> None:
    """The highest column fills the field, and its parts leave no gap."""
    series = (Series("leads", "a"), Series("bills", "b"))
    drawn = charts.stacked([("1", "one", {"a": 30, "b": 10}), ("2", "two", {"a": 8})], series)

    first, second, third = drawn.bars
    assert second.y + second.height == pytest.approx(first.y)
    assert first.y + first.height == charts.TOP + charts.FIELD
    assert second.y == charts.TOP
    assert third.height / first.height == pytest.approx(8 / 30, abs=0.01)
    assert drawn.rows == (("one", ("30", "10")), ("two", ("8", "0")))


def test_a_line_breaks_where_there_is_nothing() -> None:
    """A week without voicemails is a gap, not a zero."""
    drawn = charts.lines(
        [
            ("1", "one", (1.0,)),
            ("2", "two", (None,)),
            ("3", "three", (2.0,)),
            ("4", "four", (4.0,)),
        ],
        (Series("s", "a"),),
        lambda value: f"{value:.0f}",
        goal=3.0,
    )

    assert len(drawn.dots) == 3
    assert len(drawn.strokes) == 1
    assert [tick.text for tick in drawn.ticks if tick.is_goal] == ["3"]
    assert drawn.rows[1] == ("two", ("–",))


def test_files_are_sent_gzipped_and_pages_are_not(visitor: Visitor) -> None:
    """A page holds a secret beside words of others, so its size must not tell of them."""
    asks = {"Accept-Encoding": "gzip"}
    page = visitor.client.get("/", headers=asks)
    found = [one["href"] for tag, one in visitor.page("/").elements if tag == "link"]
    sheet = next(one for one in found if "pages" in one)
    packed = visitor.client.get(sheet, headers=asks)
    plain = visitor.client.get(sheet)

    assert "Content-Encoding" not in page.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Content-Encoding" not in plain.headers


def test_sums_that_took_long_are_remembered_for_their_company(
    hub: Hub, company: Company, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that looks again by itself reads no whole table each time; another company has sums of its own."""
    monkeypatch.setattr(overview, "_REMEMBERED", 1_000_000)
    story.voicemail(now() - MINUTE)
    before = overview.sums(hub, company.tenant_id)
    story.voicemail(now() - MINUTE)

    assert (before.events, before.is_ok) == (1, True)
    assert overview.sums(hub, company.tenant_id) == before
    assert overview.sums(hub, new_company(hub).tenant_id).events == 0
    hub.redis.delete(f"sums:{company.tenant_id}")
    assert overview.sums(hub, company.tenant_id).events == 2
