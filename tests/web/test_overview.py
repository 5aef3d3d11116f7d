"""The front page's charts: counted right, in the tenant's zone, quick enough, and never in a way."""

from __future__ import annotations

import gzip
import re
import time
from dataclasses import replace
from datetime import timedelta

import pytest
import redis
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry

from hub import clock
from hub.context import Hub
from hub.db.base import now
from hub.delivery.volumes import volumes
from hub.web import charts, ledger_sums, remembered
from hub.web.charts import Series
from hub.web.remembered import Shown
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

    bars = [one for tag, one in page.elements if tag == "rect"]
    assert "2 New lead, 1 Billing" in page.text
    assert "Voicemails by day and bucket" in page.text
    assert len(bars) >= 2


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


def test_each_account_shows_what_its_vendor_allows(visitor: Visitor, story: Story) -> None:
    """By day where the vendor counts days, else by the scarcest of what it counts."""
    story.connection("salesforce")
    story.connection("hubspot")

    page = visitor.page("/")

    assert "Requests today 0 of 90,000" in page.text
    assert re.search(r"(Requests|Search), per [^0-9]*10? ?seconds? 0 of \d+", page.text)


def test_a_column_s_parts_stand_upon_each_other() -> None:
    """The highest column fills the field, and its parts leave no gap."""
    series = (Series("leads", "a"), Series("bills", "b"))
    drawn = charts.stacked([("1", "one", {"a": 30, "b": 10}), ("2", "two", {"a": 8})], series)

    (first, second), (third,) = (one.bars for one in drawn.columns)
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


def test_a_small_company_has_everything_counted_at_once(visitor: Visitor, story: Story) -> None:
    """Each page shows what is so now."""
    seen = []
    for _ in range(2):
        story.voicemail(now() - MINUTE)
        seen.append(visitor.page("/").text)

    assert "1 event," in seen[0]
    assert "2 events," in seen[1]
    assert not any("being counted" in text for text in seen)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts as many voicemails is one."""
    monkeypatch.setattr(remembered, "MANY", 0)


@pytest.mark.usefixtures("many")
def test_a_page_of_many_voicemails_asks_for_its_figures_behind(
    hub: Hub, visitor: Visitor, story: Story
) -> None:
    """It is answered without them, says so, and is told where to get each; without scripts there is a link."""
    story.voicemail(now() - MINUTE, to=(story.connection("salesforce"), "Task"), closed=MINUTE)

    page = visitor.page("/?days=7")
    parts = [one["hx-get"] for _, one in page.elements if one.get("hx-trigger") == "load"]
    waited = visitor.page("/?days=7&wait=1").text

    assert parts == ["/overview/became", "/overview/volumes?days=7", "/overview/sums"]
    assert "The voicemails of these 7 days are being counted" in page.text
    assert "The sums are being counted" in page.text
    assert [one["href"] for tag, one in page.elements if tag == "a" and "wait=1" in one["href"]]
    assert "being counted" not in waited
    assert "1 event, 1 planned action, 1 delivered: all accounted for" in waited


@pytest.mark.usefixtures("many")
def test_what_was_counted_is_shown_until_it_is_counted_anew(
    hub: Hub, visitor: Visitor, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fresh figures are not asked for again; old ones stand there with their age, and are asked for."""
    story.voicemail(now() - MINUTE)
    counted = [visitor.page(path).text for path in ("/overview/volumes", "/overview/sums")]
    story.voicemail(now() - MINUTE)
    fresh = visitor.page("/")
    clock.use(lambda: time.time() + 120)
    try:
        old = visitor.page("/")
        anew = visitor.page("/overview/sums").text
    finally:
        clock.use(time.time)

    assert "1 event," in counted[1]
    assert "1 event," in fresh.text
    assert "/overview/sums" not in str(fresh.elements)
    assert "1 event," in old.text
    assert "/overview/sums" in str(old.elements)
    assert "all accounted for 2 min ago" in old.text
    assert "2 events," in anew


@pytest.mark.usefixtures("many")
def test_sums_of_another_company_are_its_own(app: Flask, hub: Hub, story: Story) -> None:
    """What is kept is kept by company."""
    story.voicemail(now() - MINUTE)
    ledger_sums.sums(hub, story.company.tenant_id, how="behind")

    other = ledger_sums.sums(hub, new_company(hub).tenant_id, how="behind")

    assert other.value.events == 0


@pytest.mark.usefixtures("many")
def test_without_redis_figures_are_counted_and_not_kept(
    hub: Hub, company: Company, story: Story
) -> None:
    """The page says that they are being counted, and the request behind it counts."""
    story.voicemail(now() - MINUTE)
    away = replace(hub, redis=redis.Redis(port=9, retry=Retry(NoBackoff(), 0)))

    assert ledger_sums.sums(away, company.tenant_id, how="kept") == Shown(None, is_due=True)
    assert ledger_sums.sums(away, company.tenant_id, how="behind").value.events == 1
