"""Pages on which a person sees what arrived in a sandbox."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, make_response, render_template, request

from connectors.sandbox import clock
from connectors.sandbox.keys import KeyServer
from connectors.sandbox.store import Record

if TYPE_CHECKING:
    from connectors.sandbox.kit import Sandbox

_STYLES = Path(__file__).parent / "static" / "sandbox.css"
#: Shorter values are more often numbers that happen to be an id than references.
_MIN_LINKED_CHARS = 6
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class View:
    """How an object is shown: its label, the fields of the title, and those of the list."""

    object: str
    label: str
    title: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def pages(sandbox: Sandbox) -> Blueprint:
    """Give the blueprint of the pages."""
    blueprint = Blueprint("pages", __name__)

    def overview() -> Response:
        chosen = request.args.get("object")
        records = sandbox.store.newest(object_name=chosen, limit=60, without=sandbox.hidden)
        counts = sandbox.counts()
        tabs = [(v.object, v.label, counts.get(v.object, 0)) for v in sandbox.views.values()]
        return _page(
            "overview.html",
            sandbox=sandbox,
            chosen=chosen,
            rows=[_row(sandbox, record) for record in records],
            tabs=tabs,
            total=sum(counts.values()),
            limits=_limits(sandbox),
            keys=_keys(sandbox),
            faults=sandbox.faults.on(),
            seconds=request.args.get("refresh", type=int),
        )

    def one(object_name: str, record_id: str) -> Response:
        record = sandbox.store.get(object_name, record_id)
        if record is None:
            abort(404)
        return _page(
            "record.html",
            sandbox=sandbox,
            row=_row(sandbox, record),
            record=record,
            links=_links(sandbox, record),
        )

    def styles() -> Response:
        answer = make_response(_STYLES.read_text(encoding="utf-8"))
        answer.content_type = "text/css; charset=utf-8"
        answer.headers["Cache-Control"] = "public, max-age=300"
        return answer

    blueprint.add_url_rule("/", "overview", overview)
    blueprint.add_url_rule("/records/<object_name>/<record_id>", "one", one)
    blueprint.add_url_rule("/_sandbox/sandbox.css", "styles", styles)
    return blueprint


def _page(template: str, **values: Any) -> Response:
    answer = make_response(render_template(template, **values))
    answer.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _links(sandbox: Sandbox, record: Record) -> dict[str, str]:
    """Give the pages of the records that this one's values name, such as a task's lead."""
    ids = [value for value in record.fields.values() if isinstance(value, str) and value.isalnum()]
    return {
        found.id: f"/records/{found.object}/{found.id}"
        for name in sandbox.views
        for found in sandbox.store.find_any(record.account, name, "id", ids)
        if found.id != record.id and len(found.id) >= _MIN_LINKED_CHARS
    }


@dataclass(frozen=True, slots=True)
class _Row:
    """A record as the list shows it."""

    object: str
    id: str
    label: str
    title: str
    facts: Mapping[str, Any]
    account: str
    ago: str
    at: str
    is_updated: bool


def _row(sandbox: Sandbox, record: Record) -> _Row:
    view = sandbox.views.get(record.object) or View(record.object, record.object)
    words = [str(record.fields[name]) for name in view.title if record.fields.get(name)]
    facts = {name: record.fields[name] for name in view.columns if record.fields.get(name)}
    return _Row(
        object=record.object,
        id=record.id,
        label=view.label,
        title=" ".join(words) or record.id,
        facts=facts,
        account=sandbox.access.accounts[record.account].name,
        ago=_ago(clock.seconds() - record.created_at),
        at=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(record.created_at)),
        is_updated=record.updated_at > record.created_at,
    )


def _ago(seconds: float) -> str:
    for size, word in ((_DAY_S, "day"), (_HOUR_S, "hour"), (_MINUTE_S, "minute"), (1, "second")):
        number = int(seconds // size)
        if number:
            return f"{number} {word}{'' if number == 1 else 's'} ago"
    return "just now"


def _keys(sandbox: Sandbox) -> dict[str, dict[str, str]]:
    """Give what a person pastes to connect, for each account by its name; nothing where there is OAuth."""
    if not isinstance(sandbox.access, KeyServer):
        return {}
    return {
        sandbox.access.accounts[account].name: fields
        for account, fields in sandbox.access.keys().items()
    }


def _limits(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [
        {"account": account.name, "name": name, "used": usage.used, "capacity": usage.capacity}
        for account in sandbox.accounts
        for name in sandbox.limits.names()
        for usage in [sandbox.limits.usage(account.id, name)]
    ]
