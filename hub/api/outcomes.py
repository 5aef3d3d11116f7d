"""Outcomes: what became of records, the figures made of them, and what people say of pages."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Literal

from flask import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from hub.api import auth, edge
from hub.api.answers import Answer
from hub.api.events import EventAddress
from hub.api.paging import Moment, Parameters
from hub.api.problems import Fault, Refused
from hub.db.base import now
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.keys import Scope
from hub.db.outcomes import Kind, Outcome, PageVerdict, Source
from hub.delivery import figures, page_verdicts
from hub.delivery.figures import Figures, Group, Report

tag = edge.tag("outcomes", "What became of records, and the figures made of it.")

_DEFAULT_SPAN = timedelta(weeks=12)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class Span(Parameters):
    """Which voicemails to count: twelve weeks, up to now unless said otherwise."""

    since: Moment | None = Field(None, description="Voicemails at or after")
    until: Moment | None = Field(None, description="Voicemails before")


class Goals(Answer):
    """What the figures are meant to reach."""

    conversion_rate_at_least: float = Field(examples=[0.6])
    false_page_rate_below: float = Field(examples=[0.05])
    first_touch_below_s: float = Field(examples=[300.0])


class FiguresAnswer(Answer):
    """The figures of some voicemails; rates and times are null where there is nothing to divide by."""

    actions: int = Field(description="Voicemails that led to a delivered action")
    converted: int = Field(
        description="Of these, the ones of which a record was closed with success within seven days"
    )
    conversion_rate: float | None
    pages: int = Field(description="Voicemails that paged somebody")
    false_pages: int = Field(description="Of these, the ones that a person called false")
    false_page_rate: float | None
    touched: int = Field(description="Voicemails of which somebody has touched or closed a record")
    touched_in_time: int = Field(description="Of these, the ones within five minutes")
    first_touch_p50_s: float | None = Field(description="Median time from voicemail to first touch")
    first_touch_p95_s: float | None


class BucketFigures(Answer):
    """The figures of one bucket."""

    bucket: str
    figures: FiguresAnswer


class WeekFigures(Answer):
    """The figures of one ISO week in the tenant's zone.

    Until ``is_complete``, seven days after the week's end, more closes can still count.
    """

    week: str = Field(examples=["2026-W47"])
    starts_on: date
    is_complete: bool
    figures: FiguresAnswer
    buckets: list[BucketFigures]


class OutcomeFigures(Answer):
    """Action conversion, false pages and first touch of a span, by week and bucket."""

    since: datetime
    until: datetime
    is_complete: bool = Field(description="Whether no more closes can count")
    goals: Goals
    total: FiguresAnswer
    buckets: list[BucketFigures]
    weeks: list[WeekFigures] = Field(description="In order; weeks without voicemails are left out")


class OutcomeLine(Answer):
    """Something that happened to the record of a delivery."""

    delivery_id: str
    kind: Kind
    at: datetime
    result: str = Field(description="The vendor's word", examples=["won"])
    is_success: bool
    is_current: bool = Field(description="Whether it counts, or was overtaken")
    source: Source


class PageVerdictLine(Answer):
    """What a person said of a page."""

    is_false: bool
    decided_by: str
    decided_at: datetime


class EventOutcomes(Answer):
    """What became of an event's records, in order, and what a person said of its page."""

    items: list[OutcomeLine]
    has_paged: bool
    page_verdict: PageVerdictLine | None


class NewPageVerdict(BaseModel):
    """What a person says of a page; null takes it back."""

    model_config = ConfigDict(extra="forbid")

    is_false: bool | None = Field(strict=True)


class GivenPageVerdict(Answer):
    """The verdict was noted."""

    status: Literal["noted"]


@tag.get(
    "/v1/metrics/outcomes",
    summary="Read action conversion, false pages and time to first touch",
    description=(
        "Action conversion: of the voicemails that led to a delivered action, the share of which a record was closed "
        "with success within seven days. False pages: of the voicemails that paged somebody, the share that a person "
        "called false. First touch: from the voicemail until somebody first touched or closed one of its records, or "
        "a text reached the caller. Weeks begin on Monday in the tenant's time zone. At most 53 weeks at once."
    ),
    security=edge.secured(Scope.DELIVERIES_READ),
    responses=edge.says({200: (OutcomeFigures, "The figures")}),
)
@auth.needs(Scope.DELIVERIES_READ)
def get_outcome_figures(query: Span) -> Response:
    """Work the figures out."""
    for parameter, moment in (("since", query.since), ("until", query.until)):
        if moment is not None and not _EARLIEST <= moment <= _LATEST:
            raise _wrong(parameter, "must be between 2000 and 2100")
    until = query.until or (query.since + _DEFAULT_SPAN if query.since else now())
    since = query.since or until - _DEFAULT_SPAN
    if not since < until:
        raise _wrong("since", "must be before until")
    if until - since > figures.LONGEST:
        raise _wrong("since", "must be at most 53 weeks before until")
    found = figures.report(auth.the_hub(), auth.holder().tenant_id, since=since, until=until)
    return edge.sent(_answer(found))


@tag.get(
    "/v1/events/<id>/outcomes",
    summary="Read what became of an event's records",
    security=edge.secured(Scope.DELIVERIES_READ),
    responses=edge.says({200: (EventOutcomes, "What is known")}, 404),
)
@auth.needs(Scope.DELIVERIES_READ)
def get_event_outcomes(path: EventAddress) -> Response:
    """Read the outcomes of one event."""
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        if session.scalars(select(StoredEvent.id).where(StoredEvent.id == path.id)).first() is None:
            raise Refused("not-found", "There is no such event.")
        rows = session.scalars(
            select(Outcome)
            .join(Delivery, Delivery.id == Outcome.delivery_id)
            .where(Delivery.event_id == path.id)
            .order_by(Outcome.at, Outcome.id)
        ).all()
        verdict = session.scalars(
            select(PageVerdict).where(PageVerdict.event_id == path.id)
        ).one_or_none()
        has_paged = figures.has_paged(session, path.id)
    answer = EventOutcomes(
        items=[
            OutcomeLine(**{name: getattr(row, name) for name in OutcomeLine.model_fields})
            for row in rows
        ],
        has_paged=has_paged,
        page_verdict=None
        if verdict is None
        else PageVerdictLine(
            is_false=verdict.is_false,
            decided_by=verdict.decided_by,
            decided_at=verdict.decided_at,
        ),
    )
    return edge.sent(answer)


@tag.put(
    "/v1/events/<id>/page-verdict",
    summary="Say whether an event's page was false",
    security=edge.secured(Scope.DELIVERIES_WRITE),
    responses=edge.says({200: (GivenPageVerdict, "It was noted")}, 400, 404, 409, 413, 415),
)
@auth.needs(Scope.DELIVERIES_WRITE)
def put_page_verdict(path: EventAddress, body: NewPageVerdict) -> Response:
    """Note what a person says of a page."""
    holder = auth.holder()
    try:
        page_verdicts.give(
            auth.the_hub(),
            holder.tenant_id,
            path.id,
            is_false=body.is_false,
            actor=holder.actor,
        )
    except page_verdicts.NoSuchVoicemail as err:
        raise Refused("not-found", "There is no such event.") from err
    except page_verdicts.PagedNobody as err:
        raise Refused("conflict", "This event has not paged anybody.") from err
    return edge.sent(GivenPageVerdict(status="noted"))


def _wrong(parameter: str, detail: str) -> Refused:
    fault = Fault(parameter=parameter, detail=detail, pointer=None)
    return Refused("invalid", "1 place is wrong.", errors=[fault])


def _figures(found: Figures) -> FiguresAnswer:
    return FiguresAnswer(**{name: getattr(found, name) for name in FiguresAnswer.model_fields})


def _buckets(groups: list[Group]) -> list[BucketFigures]:
    return [
        BucketFigures(bucket=one.bucket, figures=_figures(one.figures))
        for one in groups
        if one.bucket is not None
    ]


def _answer(found: Report) -> OutcomeFigures:
    weeks = [
        WeekFigures(
            week=one.week.name,
            starts_on=one.week.starts_on,
            is_complete=one.week.is_complete,
            figures=_figures(one.figures),
            buckets=_buckets([each for each in found.groups if each.week == one.week]),
        )
        for one in found.groups
        if one.week is not None and one.bucket is None
    ]
    return OutcomeFigures(
        since=found.since,
        until=found.until,
        is_complete=found.is_complete,
        goals=Goals(
            conversion_rate_at_least=figures.CONVERSION_GOAL,
            false_page_rate_below=figures.FALSE_PAGE_GOAL,
            first_touch_below_s=figures.FIRST_TOUCH_GOAL_S,
        ),
        total=_figures(found.total),
        buckets=_buckets([one for one in found.groups if one.week is None]),
        weeks=weeks,
    )
