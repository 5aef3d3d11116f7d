"""Tells what became of the voicemails: a table for people, one JSON object for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from sqlalchemy import select

from connectors.registry import CONNECTORS
from hub.context import Hub
from hub.db.connections import Connection
from hub.db.deliveries import Delivery, State
from hub.delivery.ledger import Ledger, ledger
from hub.demo.house import House
from hub.demo.play import Played
from hub.demo.vendors import Vendor

_OTHER_COLUMNS = 76
_COLOURS = {"critical": "bold red", "high": "red", "normal": "yellow", "low": "dim"}


@dataclass(frozen=True, slots=True)
class Landed:
    """A delivery of a voicemail: where it went and how it stands."""

    connector: str | None
    object: str | None
    state: str
    url: str | None
    reason: str | None
    after_s: float | None


def result(hub: Hub, home: House, found: Sequence[Vendor], *, seconds: float) -> dict[str, Any]:
    """Give the object for machines: the ledger's figures, and the records that stand in the sandboxes."""
    books: Ledger = ledger(hub, home.tenant_id)
    return {
        "events": books.events,
        "deliveries": books.deliveries,
        "records": {vendor.name: sum(vendor.statistics()["records"].values()) for vendor in found},
        "ledger_ok": books.is_ok,
        "seconds": round(seconds, 2),
    }


def landed(hub: Hub, home: House, played: Sequence[Played]) -> dict[str, list[Landed]]:
    """Give the deliveries of the voicemails by event id, in the order of their steps."""
    heard = {one.id: one.heard_at for one in played}
    found: dict[str, list[Landed]] = {one.id: [] for one in played}
    with hub.tenant(home.tenant_id) as session:
        rows = session.execute(
            select(Delivery, Connection.connector)
            .outerjoin(Connection, Connection.id == Delivery.connection_id)
            .where(Delivery.event_id.in_(list(found)))
            .order_by(Delivery.mapping_id, Delivery.waits_for.is_not(None), Delivery.delivered_at)
        ).all()
    order = list(CONNECTORS)
    for row, connector in sorted(rows, key=lambda one: order.index(one[1]) if one[1] else -1):
        after_s = None
        if row.delivered_at:
            after_s = (row.delivered_at - heard[row.event_id]).total_seconds()
        reason = _sentence(hub, row) or row.reason
        found[row.event_id].append(
            Landed(connector, row.object, row.state, row.record_url, reason, after_s)
        )
    return found


def _sentence(hub: Hub, row: Delivery) -> str | None:
    """Give what the vendor said of a delivery that is not done."""
    if row.detail is None or row.state == State.DELIVERED.value:
        return None
    return hub.vault.open_text(row.tenant_id, row.detail, about=f"deliveries.detail:{row.id}")


def show(console: Console, played: Sequence[Played], where: dict[str, list[Landed]]) -> None:
    """Print the table: voicemail → bucket, urgency → where it landed, with links → after how long."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    # What landed where matters most: on a narrow terminal the voicemails' words give way.
    words = min(46, max(10, console.width - _OTHER_COLUMNS))
    table.add_column("Voicemail", no_wrap=True, width=words)
    table.add_column("Bucket", no_wrap=True, min_width=17)
    table.add_column("Urgency", no_wrap=True, min_width=12)
    table.add_column("Landed", overflow="fold", min_width=20)
    table.add_column("After", no_wrap=True, justify="right", min_width=5)
    for one in played:
        data = one.envelope["data"]
        urgency = data["urgency"]
        found = where.get(one.id, [])
        times = [row.after_s for row in found if row.after_s is not None]
        table.add_row(
            escape(data.get("summary") or one.envelope["id"]),
            data["bucket"],
            Text(f"{urgency['level']} {urgency['score']}", style=_COLOURS[urgency["level"]]),
            _places(found, has_links=console.is_terminal),
            f"{max(times):.1f} s" if times else "",
        )
    console.print(table)


def _places(found: Sequence[Landed], *, has_links: bool) -> Text:
    """Give a line for each vendor; on a terminal each object is a link, elsewhere the first has its address."""
    text = Text()
    for number, connector in enumerate(dict.fromkeys(row.connector for row in found)):
        if number:
            text.append("\n")
        if connector:
            text.append(f"{CONNECTORS[connector][0]}  ")
        shown: dict[str, Landed] = {}
        for row in found:
            if row.connector == connector:
                shown.setdefault(row.url or f"{row.object} {row.state}", row)
        for place, row in enumerate(shown.values()):
            if place:
                text.append(" · ")
            text.append_text(_place(row, has_links=has_links, has_address=place == 0))
    return text


def _place(row: Landed, *, has_links: bool, has_address: bool) -> Text:
    name = row.object or ""
    if row.state != State.DELIVERED.value:
        said = f"{name} {row.state}".strip()
        return Text(f"{said}: {row.reason}" if row.reason else said, style="dim")
    if row.url and has_links:
        return Text(name, style=f"underline link {row.url}")
    return Text(f"{name} {row.url}" if row.url and has_address else name)
