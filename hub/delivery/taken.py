"""Rows that a job of the vendor's has taken: they are never sent again, only asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.errors import ContractBroken
from connectors.interface import Connector, WorksLater
from connectors.record import Outcome, Write
from hub.context import Hub
from hub.delivery.account import Line
from hub.delivery.build import Draft, render
from hub.delivery.claim import Claimed
from hub.delivery.verdicts import Settled, answered, delivered


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job said of its rows, and the drafts of those that can still be rendered."""

    results: Sequence[Settled] = ()
    drafts: Mapping[str, Draft] = field(default_factory=dict)


def ask(hub: Hub, line: Line, vendor: Connector, rows: Sequence[Claimed]) -> Answer:
    """Ask what became of the rows of one job; raises the connector's errors when the question itself failed."""
    if not isinstance(vendor, WorksLater):
        raise ContractBroken("The rows are in a job, and this connector knows of none.")
    job = rows[0].job or ""
    # A row whose mapping is gone meanwhile is asked for all the same: it may have been written.
    found, _ = render(hub, line.connection.tenant_id, rows)
    drafts = {draft.row.id: draft for draft in found}
    writes = [drafts[row.id].write() if row.id in drafts else _bare(row) for row in rows]
    outcomes = line.call(lambda account: vendor.poll(account, job, writes))
    if len(outcomes) != len(writes):
        raise ContractBroken(
            f"{len(writes)} records were asked for and {len(outcomes)} outcomes came back."
        )
    results = [_told(row, one) for row, one in zip(rows, outcomes, strict=True)]
    return Answer(results, drafts)


def _bare(row: Claimed) -> Write:
    return Write(key=row.key, object=row.object, fields={}, record_id=row.record_id)


def _told(row: Claimed, outcome: Outcome) -> Settled:
    if outcome.record is not None:
        return delivered(row, outcome.record, outcome="created" if outcome.is_new else "updated")
    if outcome.error is None:
        return answered(row, ContractBroken("A record has neither an id nor an error."))
    return answered(row, outcome.error)
