"""The settings of a connection: a form made from what the vendor lets an admin set, refused in place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from connectors.errors import ConnectorError
from connectors.record import Choice, Setting
from connectors.registry import CONNECTORS
from hub.db.connections import Connection
from hub.db.people import Role
from hub.delivery import configure, describe, steer
from hub.delivery.budget import Budget
from hub.delivery.outlook import LimitOutlook
from hub.delivery.remote_account import AccountKey
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("connection_settings", __name__, url_prefix="/connections/<connection_id>")
DAYS: Final = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}
_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A setting as the form shows it: what is in its field, what can be chosen, and what is wrong."""

    setting: Setting
    value: Any
    choices: tuple[Choice, ...] = ()
    #: Why the choices could not be read anew.
    silence: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def chosen(self) -> tuple[str, ...]:
        """What is chosen of several choices."""
        if isinstance(self.value, str):
            return tuple(one.strip() for one in self.value.split(",") if one.strip())
        return tuple(self.value or ())


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form apart from the vendor's settings."""

    label: str
    share: str
    grants: Mapping[str, str]


@pages.get("/settings")
@needs(Role.ADMIN)
def show(connection_id: str) -> ResponseReturnValue:
    """Show what is set."""
    row = _find(connection_id)
    share = row.budget.get(configure.SHARE)
    grants = {name: str(units) for name, units in (row.budget.get(configure.GRANTS) or {}).items()}
    typed = Typed(row.label, "" if share is None else f"{share * _PERCENT:g}", grants)
    values = {
        one.name: row.settings.get(one.name, one.default)
        for one in configure.settings_of(row.connector)
    }
    return _form(row, values, typed)


@pages.post("/settings")
@needs(Role.ADMIN)
def save(connection_id: str) -> ResponseReturnValue:
    """Change what is set, or say beside each field what is wrong."""
    row, me, form = _find(connection_id), viewer(), request.form
    known = configure.settings_of(row.connector)
    values = {one.name: _typed_value(one) for one in known}
    limits = [one.name for one in Budget(the_hub()).outlook(row)]
    typed = Typed(
        form.get("label", ""),
        form.get("share", "").strip(),
        {name: form.get(f"grants.{name}", "").strip() for name in limits},
    )
    if moved := _moved(row, form.get("seen", "")):
        return _form(row, values, typed, moved), 409
    change = steer.Change(
        typed.label,
        {one.name: None if values[one.name] == one.default else values[one.name] for one in known},
        {
            configure.SHARE: _part(typed.share),
            configure.GRANTS: {name: _number(text) for name, text in typed.grants.items()},
        },
    )
    try:
        row = steer.configure(the_hub(), me.tenant_id, connection_id, change, actor=me.actor)
    except steer.WrongSettings as err:
        return _form(row, values, typed, err.problems), 422
    _tell(row)
    return redirect(url_for("web.connections.one", connection_id=row.id), 303)


def _seen(row: Connection) -> dict[str, Any]:
    """Give what is set, as the form carries it along to know when somebody else has changed it."""
    grants = row.budget.get(configure.GRANTS) or {}
    return {
        "label": row.label,
        configure.SHARE: row.budget.get(configure.SHARE),
        **{f"grants.{name}": units for name, units in sorted(grants.items())},
        **{one.name: row.settings.get(one.name) for one in configure.settings_of(row.connector)},
    }


def _moved(row: Connection, seen: str) -> tuple[steer.Wrong, ...]:
    """Say beside each field that somebody has changed since the form was opened what it is now."""
    try:
        before = json.loads(seen) if seen else None
    except ValueError:
        before = None
    if not isinstance(before, dict):
        return ()
    now = _seen(row)
    return tuple(
        steer.Wrong(
            name,
            f"Somebody set this to {_in_words(now.get(name))} meanwhile. Saving again sets it to what stands here.",
        )
        for name in {**now, **before}
        if now.get(name) != before.get(name)
    )


def _in_words(value: Any) -> str:
    if value is None:
        return "its default"
    return f"“{value}”" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tell(row: Connection) -> None:
    """Say that it is saved, and what must still be done in the account now."""
    try:
        todos = describe.prepare(the_hub(), row.tenant_id, row.id, actor=viewer().actor)
    except ConnectorError as err:
        flash(f"Saved. The account could not be asked whether it fits: {err.detail}")
        return
    flash(f"The settings of {row.label} are saved.")
    if todos:
        flash("Somebody must still do something in the account; it stands on its page.", "error")


def _form(
    row: Connection,
    values: Mapping[str, Any],
    typed: Typed,
    problems: tuple[steer.Wrong, ...] = (),
) -> str:
    hub = the_hub()
    wrong: dict[str, tuple[str, ...]] = {}
    for one in problems:
        wrong[one.name] = (*wrong.get(one.name, ()), one.detail)
    entries = [
        _entry(row, one, values[one.name], wrong.get(one.name, ()))
        for one in configure.settings_of(row.connector)
    ]
    limits: tuple[LimitOutlook, ...] = tuple(Budget(hub).outlook(row))
    return render_template(
        "connections/settings.html",
        row=row,
        entries=entries,
        limits=limits,
        typed=typed,
        wrong=wrong,
        days=DAYS,
        default_share=f"{hub.settings.account_share * _PERCENT:g}",
        key=AccountKey.of(row, hub.settings.account_share),
        seen=json.dumps(_seen(row), ensure_ascii=False),
    )


def _entry(row: Connection, setting: Setting, value: Any, problems: tuple[str, ...]) -> Entry:
    if setting.kind not in {"choice", "choices"}:
        return Entry(setting, value, problems=problems)
    known = configure.choices(the_hub(), row.tenant_id, row, setting)
    offered = known.items
    chosen = [value] if isinstance(value, str) else value or []
    # What is set stays choosable when the account does not offer it any more: nothing changes unseen.
    gone = {str(one) for one in chosen if one} - {one.value for one in offered}
    extra = tuple(Choice(one, one) for one in sorted(gone)) if offered else ()
    return Entry(setting, value, (*offered, *extra), known.problem, problems)


def _typed_value(setting: Setting) -> Any:
    """Read a setting out of the form; what cannot be read stays text, which its check then names."""
    form, name = request.form, f"set.{setting.name}"
    match setting.kind:
        case "boolean":
            found: Any = form.get(name) == "yes"
        case "choices":
            given = [part.strip() for text in form.getlist(name) for part in text.split(",")]
            found = [one for one in given if one] or None
        case "time_span":
            start, end = form.get(f"{name}.start", ""), form.get(f"{name}.end", "")
            found = {"start": start, "end": end} if start or end else False
        case "week":
            found = _week({day: form.get(f"{name}.{day}", "") for day in DAYS})
        case "number":
            found = _number(form.get(name, "").strip())
        case "json":
            found = _json(form.get(name, "").strip())
        case _:
            found = form.get(name, "").strip() or None
    return found


def _week(typed: Mapping[str, str]) -> dict[str, Any]:
    """Read a line for each day; a single span stays a text, and closed days are left out unless all are."""
    days = {
        day: [part.strip() for part in text.split(",") if part.strip()]
        for day, text in typed.items()
    }
    if not any(days.values()):
        return dict(days)
    return {day: spans[0] if len(spans) == 1 else spans for day, spans in days.items() if spans}


def _json(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(text: str) -> Any:
    """Read a number; None when nothing is there, the text itself when it is no number."""
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _part(text: str) -> Any:
    """Read a percentage as a part of one."""
    number = _number(text.removesuffix("%").strip())
    return number / _PERCENT if isinstance(number, int | float) else number


def _find(connection_id: str) -> Connection:
    with the_hub().tenant(viewer().tenant_id) as session:
        row = session.scalars(
            select(Connection).where(Connection.id == connection_id)
        ).one_or_none()
    if row is None or row.connector not in CONNECTORS:
        abort(404)
    return row
