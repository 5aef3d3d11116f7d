"""What became of voicemails: the three figures beside their goals, and what people say of pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from hub import log
from hub.context import Hub
from hub.db.base import now
from hub.db.outcomes import Kind, Outcome, PageVerdict
from hub.db.people import Role
from hub.db.tenancy import TenantSession
from hub.delivery import figures, page_verdicts
from hub.delivery.figures import Figures
from hub.web import remembered
from hub.web.display import count, lasting
from hub.web.remembered import How, Shown
from hub.web.viewer import needs, the_hub, viewer

_log = log.get(__name__)
pages = Blueprint("outcomes", __name__, url_prefix="/voicemails")

_SPAN: Final = timedelta(days=28)
_PATIENCE_S: Final = 4.0
_VERDICTS: Final = {"false": True, "right": False, "none": None}


@dataclass(frozen=True, slots=True)
class Target:
    """One of the figures as its card shows it; ``tone`` says whether its goal is reached."""

    name: str
    value: str
    goal: str
    note: str
    tone: Literal["reached", "missed", "unknown"]


_KIND: Final[remembered.Kind[tuple[Target, ...]]] = remembered.Kind(
    "targets",
    600,
    lambda found: [asdict(one) for one in found],
    lambda values: tuple(Target(**one) for one in values),
)


@dataclass(frozen=True, slots=True)
class Page:
    """What is known of a voicemail's page; ``is_false`` None while nobody has judged it."""

    is_false: bool | None
    verdict: PageVerdict | None


def targets(hub: Hub, tenant_id: str, *, how: How) -> Shown[tuple[Target, ...]]:
    """Give the figures of the last four weeks for the front page; () before the first delivered action."""
    return remembered.shown(hub, _KIND, tenant_id, lambda: _targets(hub, tenant_id), how=how)


def _targets(hub: Hub, tenant_id: str) -> tuple[Target, ...] | None:
    """Work the figures out; None where that takes too long.

    Conversion is of the four weeks before the last seven days, which may still gain closes; a company that is
    younger sees those.
    """
    at = now()
    until = at - figures.CONVERTS_WITHIN
    try:
        recent = _total(hub, tenant_id, until=at)
        if recent.actions == 0:
            return ()
        settled = _total(hub, tenant_id, until=until)
    except OperationalError as err:
        _log.warning("figures took too long", kind=type(err).__name__)
        return None
    return (
        _conversion(settled if settled.actions else recent, is_settled=settled.actions > 0),
        _first_touch(recent),
        _false_pages(recent),
    )


def _total(hub: Hub, tenant_id: str, *, until: datetime) -> Figures:
    since = until - _SPAN
    return figures.report(hub, tenant_id, since=since, until=until, patience_s=_PATIENCE_S).total


def _conversion(found: Figures, *, is_settled: bool) -> Target:
    rate = found.conversion_rate or 0.0
    note = f"{found.converted:,} of {count(found.actions, 'voicemail', 'voicemails')}"
    if not is_settled:
        return Target(
            "Closed within 7 days",
            _percent(rate),
            "60 % or more",
            f"{note}, still counting",
            "unknown",
        )
    tone: Literal["reached", "missed"] = "reached" if rate >= figures.CONVERSION_GOAL else "missed"
    return Target("Closed within 7 days", _percent(rate), "60 % or more", note, tone)


def _first_touch(found: Figures) -> Target:
    name, goal = "Time to first touch", "under 5 min"
    if found.first_touch_p50_s is None:
        return Target(name, "–", goal, "nobody has touched a record yet", "unknown")
    tone: Literal["reached", "missed"] = (
        "reached" if found.first_touch_p50_s < figures.FIRST_TOUCH_GOAL_S else "missed"
    )
    tail = f"95 in 100 within {lasting(found.first_touch_p95_s)}"
    return Target(name, lasting(found.first_touch_p50_s), goal, tail, tone)


def _false_pages(found: Figures) -> Target:
    name, goal = "False pages", "below 5 %"
    if found.false_page_rate is None:
        return Target(name, "–", goal, "nobody was paged", "unknown")
    tone: Literal["reached", "missed"] = (
        "reached" if found.false_page_rate < figures.FALSE_PAGE_GOAL else "missed"
    )
    note = f"{found.false_pages:,} of {count(found.pages, 'page', 'pages')}"
    return Target(name, _percent(found.false_page_rate), goal, note, tone)


def _percent(rate: float) -> str:
    digits = 1 if 0 < rate < 0.1 else 0  # noqa: PLR2004 - small rates want a digit more
    return f"{rate * 100:.{digits}f} %"


def of_deliveries(session: TenantSession, delivery_ids: Sequence[str]) -> list[Outcome]:
    """Give what became of the records of some deliveries, in order."""
    return list(
        session.scalars(
            select(Outcome)
            .where(Outcome.delivery_id.in_(delivery_ids))
            .order_by(Outcome.at, Outcome.id)
        )
    )


def page_of(session: TenantSession, event_id: str) -> Page | None:
    """Give what is known of a voicemail's page, or None when it paged nobody."""
    if not figures.has_paged(session, event_id):
        return None
    verdict = session.scalars(
        select(PageVerdict).where(PageVerdict.event_id == event_id)
    ).one_or_none()
    return Page(verdict.is_false if verdict else None, verdict)


def in_words(outcome: Outcome) -> tuple[str, str]:
    """Say what happened to a record, and in which tone."""
    kind = Kind(outcome.kind)
    if kind is Kind.CLOSED:
        return f"closed: {outcome.result}", "good" if outcome.is_success else "bad"
    if kind is Kind.REOPENED:
        return "was reopened", "bad"
    if kind is Kind.FAILED:
        return f"did not arrive: {outcome.result}", "bad"
    return f"was touched: {outcome.result}", "good"


@pages.post("/<event_id>/page-verdict")
@needs(Role.OPERATOR)
def judge(event_id: str) -> ResponseReturnValue:
    """Say whether a voicemail's page was right."""
    me, said = viewer(), request.form.get("verdict", "")
    try:
        page_verdicts.give(
            the_hub(), me.tenant_id, event_id, is_false=_VERDICTS.get(said), actor=me.actor
        )
    except page_verdicts.NoSuchVoicemail:
        abort(404)
    except page_verdicts.PagedNobody:
        flash("This voicemail has not paged anybody.", "error")
    else:
        remembered.forget(the_hub(), _KIND, me.tenant_id)
        words = {
            "false": "Noted as a false page. It counts in the false-page rate.",
            "right": "Noted: the page was right.",
        }
        flash(words.get(said, "Your verdict was taken back."))
    return redirect(f"{url_for('web.voicemails.one', event_id=event_id)}#page", 303)
