"""What becomes of a row, decided by the class of the error that kept it from being written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.errors import (
    Ambiguous,
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    Throttled,
    TokenExpired,
    Unavailable,
    Uncertain,
)
from connectors.record import RecordId
from hub.db.base import now
from hub.db.deliveries import State
from hub.delivery import backoff
from hub.delivery.build import Unrenderable
from hub.delivery.claim import Claimed


@dataclass(frozen=True, slots=True)
class Settled:
    """What a row becomes."""

    row: Claimed
    state: State
    outcome: str
    due_at: datetime | None = None
    record: RecordId | None = None
    is_uncertain: bool = False
    uses_attempt: bool = True
    job: str | None = None
    reason: str | None = None
    reason_path: str | None = None
    error: ConnectorError | None = None
    candidates: str | None = None
    forgets_record: bool = False

    @property
    def is_told(self) -> bool:
        """Whether it belongs into the row's history: a try, or that a job of the vendor's has taken the row."""
        return self.uses_attempt or (self.job is not None and self.job != self.row.job)


def delivered(row: Claimed, record: RecordId, *, outcome: str) -> Settled:
    """The record is there; ``outcome`` is created, updated or found."""
    return Settled(row, State.DELIVERED, outcome, record=record)


def failed(row: Claimed, err: ConnectorError) -> Settled:
    """Decide by the error's class what happens to one row."""
    if isinstance(err, Throttled):
        return Settled(
            row,
            State.WAITING,
            "throttled",
            due_at=now() + timedelta(seconds=backoff.told_s(err.retry_after_s)),
            is_uncertain=row.is_uncertain,
            uses_attempt=False,
            job=row.job,
            # The vendor's own words are kept sealed, beside it: they may quote the caller.
            reason="The account's limits leave nothing for now",
            error=err,
        )
    if isinstance(err, NotYet):
        return _not_yet(row, err)
    if isinstance(err, Uncertain | Unavailable):
        return _later(row, err)
    if isinstance(err, NeedsReconnect):
        # The row waits for the connection, whose health says why.
        return Settled(
            row,
            State.WAITING,
            "needs reconnect",
            due_at=now(),
            is_uncertain=row.is_uncertain,
            uses_attempt=False,
            job=row.job,
            error=err,
        )
    return _parked(row, err)


def nothing_sent(err: ConnectorError) -> ConnectorError:
    """Give the error for rows of which nothing was sent: an answer lost while looking up leaves nothing uncertain."""
    if isinstance(err, Uncertain):
        return Unavailable(err.detail, code=err.code, status=err.status)
    return err


def answered(row: Claimed, err: ConnectorError) -> Settled:
    """Decide what happens to a row of whose fate the vendor's job has told: the job is done with it.

    Unlike ``failed``, which keeps the job of a row when only the question about it failed.
    """
    return failed(replace(row, job=None), err)


def _not_yet(row: Claimed, err: NotYet) -> Settled:
    """Keep one row back; with a job it is in the vendor's hands, and no longer in doubt."""
    return Settled(
        row,
        State.WAITING,
        "taken" if err.job else "not yet",
        due_at=now() + timedelta(seconds=backoff.told_s(err.retry_after_s)),
        is_uncertain=row.is_uncertain and err.job is None,
        uses_attempt=False,
        job=err.job,
        reason="The vendor is working on it" if err.job else "It waits for its time",
        error=err,
    )


def look_again(row: Claimed, err: Rejected) -> Settled:
    """The vendor refused a record that we remembered, which may be gone: find the person anew, once."""
    return Settled(
        row,
        State.WAITING,
        "rejected",
        due_at=now(),
        reason="The record that we knew was refused; it is looked for again",
        error=err,
        forgets_record=True,
    )


def _parked(row: Claimed, err: ConnectorError) -> Settled:
    """A person has to look; say why, and where in the mapping."""
    outcome, reason, path = "contract broken", "The vendor's answer was not understood", None
    if isinstance(err, Ambiguous):
        outcome, reason = "ambiguous", "Several records match"
    elif isinstance(err, Unrenderable):
        outcome, reason, path = "not rendered", "The mapping cannot fill this record", err.path
    elif isinstance(err, Rejected):
        outcome, reason = "rejected", "The vendor refused this record"
        path = f"{row.step}.set.{err.field}" if err.field else None
    return Settled(
        row,
        State.PARKED,
        outcome,
        # What was in doubt before stays so: a replay asks the vendor first.
        is_uncertain=row.is_uncertain or row.job is not None or isinstance(err, ContractBroken),
        reason=reason,
        reason_path=path,
        error=err,
        candidates=_candidates(err) if isinstance(err, Ambiguous) else None,
    )


def _later(row: Claimed, err: ConnectorError) -> Settled:
    is_uncertain = isinstance(err, Uncertain) or row.is_uncertain
    outcome = "uncertain" if isinstance(err, Uncertain) else "unavailable"
    since = row.first_failed_at or now()
    if (now() - since).total_seconds() > backoff.GIVE_UP_S:
        return Settled(
            row,
            State.PARKED,
            outcome,
            is_uncertain=is_uncertain or row.job is not None,
            reason="The vendor did not take it for a day",
            error=err,
        )
    wait_s = backoff.delay_s(row.attempts + 1)
    if isinstance(err, Uncertain):
        wait_s = max(wait_s, backoff.told_s(err.ask_after_s))
    due_at = now() + timedelta(seconds=wait_s)
    return Settled(
        row,
        State.WAITING,
        outcome,
        due_at=due_at,
        is_uncertain=is_uncertain,
        job=None if isinstance(err, Uncertain) else row.job,
        reason="It will be sent again",
        error=err,
    )


def _candidates(err: Ambiguous) -> str:
    return json.dumps(
        [
            {
                "id": one.record.id,
                "url": one.record.url,
                "label": one.label,
                "values": dict(one.values),
            }
            for one in err.candidates
        ]
    )


def worst(results: Sequence[Settled]) -> ConnectorError | None:
    """Give the error of a row that concerns the whole account: its authorisation, or the longest throttling.

    An expired token does not: the next call gets a fresh one. When no row of several succeeded and the vendor's answers
    were not understood, or did not come, nobody should go on as if it were well.
    """
    errors = [one.error for one in results if one.error is not None]
    for err in errors:
        if isinstance(err, NeedsReconnect) and not isinstance(err, TokenExpired):
            return err
    found = [err for err in errors if isinstance(err, Throttled)]
    if found:
        return max(found, key=lambda err: err.retry_after_s)
    if len(errors) < len(results):
        return None
    return next((err for err in errors if isinstance(err, ContractBroken | Uncertain)), None)
