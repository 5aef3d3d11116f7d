"""What happened to a voicemail, in order: from the ring to what became of its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import url_for

from hub.db.deliveries import State
from hub.db.outcomes import Outcome
from hub.voice.recordings import Recording
from hub.web import outcomes
from hub.web.display import Words, came_of, link
from hub.web.outcomes import Page
from hub.web.reading import Done, Try, Voicemail

#: What an attempt came to when the record is there afterwards.
_WRITTEN: Final = {"created", "updated", "found"}
#: What went neither well nor wrong.
_GOES_ON: Final = {"taken", "not yet"}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened; ``href`` leads to it, at the vendor when ``is_away``."""

    at: datetime
    text: str
    tone: str = ""
    href: str | None = None
    is_away: bool = False


def moments(
    found: Voicemail,
    attempts: Mapping[str, Sequence[Try]],
    became: Sequence[Outcome],
    *,
    names: Mapping[str, str],
    page: Page | None,
    sound: Recording | None,
) -> list[Moment]:
    """Put everything in order; ``names`` are actors as people know them."""
    row = found.row
    told = [*_of_the_call(found, sound), Moment(row.received_at, _planned(found))]
    for done in found.done:
        told += _of_delivery(done, attempts.get(done.row.id, ()), names)
        told += _outcomes(done, became)
    told += _by_people(found, names, page)
    return sorted(told, key=lambda moment: moment.at)


def _of_the_call(found: Voicemail, sound: Recording | None) -> list[Moment]:
    call = found.data.get("call") or {}
    told = []
    if started := _at(call.get("started_at")):
        told.append(Moment(started, "The phone rang"))
    if ended := found.row.time or _at(call.get("ended_at")):
        heard = "#heard" if sound else None
        told.append(Moment(ended, "The caller hung up", href=heard))
    return told


def _planned(found: Voicemail) -> str:
    number = sum(done.connector is not None for done in found.done)
    if not number:
        return "Accepted; nothing was to be done"
    return f"Accepted; {number} {'action was' if number == 1 else 'actions were'} planned"


def _of_delivery(done: Done, tries: Sequence[Try], names: Mapping[str, str]) -> list[Moment]:
    row, name = done.row, _name(done)
    here = url_for("web.payloads.show", delivery_id=row.id)
    there = link(row.record_url)
    told = []
    for place, one in enumerate(reversed(tries), start=1):
        if one.row.outcome in _WRITTEN:
            told.append(
                Moment(one.row.at, f"{name} {one.row.outcome}", "good", there or here, bool(there))
            )
        else:
            words = came_of(one.row.outcome)
            words = words[:1].lower() + words[1:]
            if one.row.outcome in _GOES_ON:
                told.append(Moment(one.row.at, f"{name}: {words}", "", here))
            else:
                told.append(Moment(one.row.at, f"{name}: attempt {place}, {words}", "bad", here))
    if row.state in {State.PARKED.value, State.REJECTED.value}:
        word = Words.state[row.state].lower()
        who = names.get(row.decided_by or "") if row.state == State.REJECTED.value else None
        text = f"{name} was {word}{f' by {who}' if who else ''}"
        told.append(Moment(row.updated_at, text, "bad", here))
    return told


def _outcomes(done: Done, became: Sequence[Outcome]) -> list[Moment]:
    there = link(done.row.record_url)
    told = []
    for outcome in became:
        if outcome.delivery_id == done.row.id:
            words, tone = outcomes.in_words(outcome)
            told.append(Moment(outcome.at, f"{_name(done)} {words}", tone, there, bool(there)))
    return told


def _by_people(found: Voicemail, names: Mapping[str, str], page: Page | None) -> list[Moment]:
    told = []
    if call := found.call_back:
        who = names.get(call.called_by, "somebody")
        told.append(Moment(call.called_at, f"{who} called back", "good"))
    if change := found.correction:
        who = names.get(change.decided_by, "Somebody")
        was, bucket = (Words.bucket.get(one, one) for one in (change.was, change.bucket))
        told.append(Moment(change.decided_at, f"{who} moved it from {was} to {bucket}"))
    if page and page.verdict:
        who = names.get(page.verdict.decided_by, "Somebody")
        word = "false" if page.is_false else "right"
        told.append(Moment(page.verdict.decided_at, f"{who} called the page {word}", href="#page"))
    return told


def _name(done: Done) -> str:
    return f"{Words().connector(done.connector)} {done.row.object or ''}".strip()


def _at(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None
