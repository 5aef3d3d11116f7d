"""The audit log: who did what, with filters, page by page, and as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select

from hub.context import Hub
from hub.db import audit
from hub.db.audit import AuditRow
from hub.db.keys import ApiKey
from hub.db.people import Membership, Person, Role
from hub.db.tenancy import TenantSession
from hub.web.display import zone
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("audit_log", __name__, url_prefix="/settings/audit")
_SHOWN: Final = 50
_AT_ONCE: Final = 1_000
_COLUMNS: Final = ("number", "at", "actor", "action", "target", "facts", "hash")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a person wants to see; empty means everything. Days are the tenant's, both included."""

    actor: str = ""
    action: str = ""
    target: str = ""
    since: str = ""
    until: str = ""

    @property
    def is_set(self) -> bool:
        """Whether anything is left out."""
        return any((self.actor, self.action, self.target, self.since, self.until))


@pages.get("")
@needs(Role.ADMIN)
def show() -> ResponseReturnValue:
    """Show the latest rows that fit."""
    hub, me, filters = the_hub(), viewer(), _filters()
    before = request.args.get("before", type=int)
    query = _query(filters, me.timezone).order_by(AuditRow.number.desc()).limit(_SHOWN + 1)
    if before:
        query = query.where(AuditRow.number < before)
    with hub.tenant(me.tenant_id) as session:
        rows = list(session.scalars(query))
        names = _names(session)
        actions = sorted(set(session.scalars(select(AuditRow.action).distinct())))
        session.expunge_all()
    shown = rows[:_SHOWN]
    return render_template(
        "settings/audit.html",
        rows=shown,
        names=names,
        actions=actions,
        filters=filters,
        after=shown[-1].number if len(rows) > _SHOWN else None,
        before=before,
        is_whole=_is_whole(hub, me.tenant_id) if not filters.is_set and not before else None,
    )


@pages.get("/export")
@needs(Role.ADMIN)
def export() -> ResponseReturnValue:
    """Give all rows that fit as CSV or JSON Lines, oldest first, row by row."""
    hub, me, filters = the_hub(), viewer(), _filters()
    kind = "jsonl" if request.args.get("as") == "jsonl" else "csv"
    with hub.tenant(me.tenant_id) as session:
        audit.record(session, actor=me.actor, action="audit.exported", target=me.tenant_id)
    lines = _lines(hub, me.tenant_id, _query(filters, me.timezone), kind)
    answer = Response(lines, mimetype="text/csv" if kind == "csv" else "application/jsonl")
    answer.headers["Content-Disposition"] = f'attachment; filename="audit.{kind}"'
    return answer


def _filters() -> Filters:
    found = {name: request.args.get(name, "").strip() for name in Filters.__dataclass_fields__}
    return Filters(**found)


def _query(filters: Filters, timezone: str) -> Select[AuditRow]:
    query = select(AuditRow)
    for name in ("actor", "action", "target"):
        if value := getattr(filters, name):
            query = query.where(getattr(AuditRow, name) == value)
    if since := _day(filters.since, timezone):
        query = query.where(AuditRow.at >= since)
    if until := _day(filters.until, timezone):
        query = query.where(AuditRow.at < until + timedelta(days=1))
    return query


def _day(text: str, timezone: str) -> datetime | None:
    """Read a day of a browser's field as its midnight; what is none is not asked for."""
    try:
        return datetime.fromisoformat(text[:10]).replace(tzinfo=zone(timezone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _names(session: TenantSession) -> dict[str, str]:
    """Give actors as people know them."""
    found = {
        f"person:{person_id}": name or email
        for person_id, name, email in session.execute(
            select(Person.id, Person.name, Person.email).join(
                Membership, Membership.person_id == Person.id
            )
        )
    }
    found |= {
        f"key:{row_id}": f"API key “{name}”"
        for row_id, name in session.execute(select(ApiKey.id, ApiKey.name))
    }
    return found | {"command": "Command line", "worker": "Worker", "voice": "Voice front end"}


def _is_whole(hub: Hub, tenant_id: str) -> bool:
    """Tell whether the newest part of the chain holds, which a page can afford to check."""
    with hub.tenant(tenant_id) as session:
        return audit.is_end_whole(session, rows=_AT_ONCE)


def _lines(hub: Hub, tenant_id: str, query: Select[AuditRow], kind: str) -> Iterator[str]:
    if kind == "csv":
        yield ",".join(_COLUMNS) + "\r\n"
    last = 0
    while True:
        part = query.where(AuditRow.number > last).order_by(AuditRow.number).limit(_AT_ONCE)
        with hub.tenant(tenant_id) as session:
            rows = [_row(one) for one in session.scalars(part)]
        for row in rows:
            yield json.dumps(row, ensure_ascii=False) + "\n" if kind == "jsonl" else _csv(row)
        if len(rows) < _AT_ONCE:
            return
        last = int(rows[-1]["number"])


def _row(one: AuditRow) -> dict[str, Any]:
    found = {name: getattr(one, name) for name in _COLUMNS}
    return found | {"at": one.at.astimezone(UTC).isoformat()}


def _csv(row: dict[str, Any]) -> str:
    out = io.StringIO()
    values = [json.dumps(row["facts"]) if name == "facts" else row[name] for name in _COLUMNS]
    # A table program takes what begins so for a formula.
    safe = [f"'{one}" if str(one)[:1] in "=+-@\t\r" else one for one in values]
    csv.writer(out).writerow(safe)
    return out.getvalue()
