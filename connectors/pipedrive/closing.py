"""Tells which records have been closed, or touched, by asking Pipedrive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from connectors.pipedrive import paths
from connectors.pipedrive.calls import Row, ask, call
from connectors.pipedrive.finding import NEWEST, read
from connectors.pipedrive.objects import KINDS
from connectors.pipedrive.values import moment
from connectors.record import Account, Closure, RecordId

#: Up to so many leads are read one by one, which costs less than the two lists.
_FEW_LEADS = 20


def closed(account: Account, ids: Sequence[RecordId]) -> list[Closure]:
    """Tell of deals won or lost, activities done, leads archived or converted; and of what was touched."""
    found: list[Closure] = []
    for name in ("Deal", "Activity"):
        wanted = _wanted(ids, name)
        if wanted:
            hits = read(account, KINDS[name], list(wanted))
            found += [
                one for hit in hits if hit.id in wanted for one in closures(wanted[hit.id], hit.row)
            ]
    leads = _wanted(ids, "Lead")
    return found + (_leads(account, leads) if leads else [])


def closures(record: RecordId, row: Row) -> list[Closure]:
    """Read from a record whether it is closed, or at least touched."""
    if record.object == "Deal":
        return _deal(record, row)
    if record.object == "Activity":
        if not row.get("done"):
            return []
        at = _first(row, ("marked_as_done_time", "update_time"))
        return [Closure(record, at, "done")]
    if record.object == "Lead":
        return _lead(record, row)
    return []


def _deal(record: RecordId, row: Row) -> list[Closure]:
    status = str(row.get("status"))
    if status in {"won", "lost"}:
        at = _first(row, (f"{status}_time", "close_time", "update_time"))
        return [Closure(record, at, status, is_success=status == "won")]
    began, moved = moment(row.get("add_time")), moment(row.get("stage_change_time"))
    if began is not None and moved is not None and moved > began:
        return [Closure(record, moved, "moved", is_closed=False)]
    return []


def _lead(record: RecordId, row: Row) -> list[Closure]:
    if row.get("is_archived"):
        # Who archives a lead gives it up; one that came to something is converted.
        at = _first(row, ("archive_time", "update_time"))
        return [Closure(record, at, "archived", is_success=False)]
    if row.get("was_seen"):
        return [Closure(record, _first(row, ("update_time",)), "seen", is_closed=False)]
    return []


def _leads(account: Account, wanted: dict[str, RecordId]) -> list[Closure]:
    rows: dict[str, Row] = {}
    gone: list[str] = []
    if len(wanted) <= _FEW_LEADS:
        for one in wanted:
            answer = ask(account, KINDS["Lead"].paths.one(one)) if _is_uuid(one) else None
            if answer is None:
                gone.append(one)
            else:
                rows[one] = answer.one
    else:
        query = {"sort": "update_time DESC", "limit": str(NEWEST), "start": "0"}
        for to in (paths.ARCHIVED_LEADS, KINDS["Lead"].paths.many):
            rows.update({str(row.get("id")): row for row in call(account, to, query=query).rows})
        gone = [one for one in wanted if one not in rows]
    found = [
        one for name, record in wanted.items() if name in rows for one in _lead(record, rows[name])
    ]
    return found + (converted(account, [wanted[one] for one in gone]) if gone else [])


def converted(account: Account, leads: Sequence[RecordId]) -> list[Closure]:
    """Tell which leads have become deals: a converted lead is gone, and its deal names it; one call."""
    # Source: https://developers.pipedrive.com/docs/api/v1/Deals#getDeals, include_fields (2026-11-22)
    wanted = {one.id: one for one in leads}
    query = {
        "sort_by": "add_time",
        "sort_direction": "desc",
        "limit": str(NEWEST),
        "include_fields": "source_lead_id",
    }
    return [
        Closure(wanted[str(row["source_lead_id"])], _first(row, ("add_time",)), "converted")
        for row in call(account, KINDS["Deal"].paths.many, query=query).rows
        if str(row.get("source_lead_id")) in wanted
    ]


def _wanted(ids: Iterable[RecordId], name: str) -> dict[str, RecordId]:
    return {one.id: one for one in ids if one.object == name}


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _first(row: Row, names: Sequence[str]) -> datetime:
    for name in names:
        at = moment(row.get(name))
        if at is not None:
            return at
    return datetime.now(UTC)
