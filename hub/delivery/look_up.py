"""What an account has now for records that a mapping would write: asked within the budget, in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Select, select

from connectors.errors import ConnectorError, Throttled
from connectors.record import JSON, Candidate, Lookup
from connectors.registry import connector
from hub.context import Hub
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.delivery.account import Line, is_ours
from hub.delivery.budget import Budget
from mappings.render import Rendered

#: So many look-ups at most: a preview is worth no more of an account's calls.
MOST = 10


@dataclass(frozen=True, slots=True)
class Present:
    """What the account has for one step: records found, or nothing; ``by`` says what was looked for.

    ``is_asked`` is False where there was nothing to look for, so that a new record would be made.
    """

    candidates: tuple[Candidate, ...] = ()
    by: Mapping[str, JSON] | None = None
    is_asked: bool = False


def look_up(
    hub: Hub,
    tenant_id: str,
    connection_id: str,
    wanted: Mapping[str, tuple[str, Rendered]],
    *,
    made_for: tuple[str, str] | None = None,
) -> dict[str, Present]:
    """Look for the records of steps (by id: the object and what would be written), by the ways in which they match.

    ``made_for`` names an event and a mapping: a record that was made for them is found by its key. Raises the
    connector's errors.
    """
    with hub.tenant(tenant_id) as session:
        connection = session.scalars(select(Connection).where(Connection.id == connection_id)).one()
        rows = session.execute(_rows(*made_for)).all() if made_for else []
    keys = {(row.step, row.object): row.key for row in rows}
    asked = [
        (step, lookup)
        for step, (object_name, rendered) in wanted.items()
        for lookup in _lookups(object_name, rendered, keys.get((step, object_name)))
    ][:MOST]
    found = {step: Present() for step in wanted}
    if not asked:
        return found
    line = Line(hub, connection, Budget(hub))
    vendor = connector(connection.connector)
    try:
        answers = line.call(lambda account: vendor.find(account, [one for _, one in asked]))
    except ConnectorError as err:
        if isinstance(err, Throttled) and not is_ours(err):
            line.stay_away(err.retry_after_s)
        raise
    for (step, lookup), answer in zip(asked, answers, strict=True):
        if not found[step].candidates:
            found[step] = Present(answer.candidates, lookup.by or None, is_asked=True)
    return found


def _rows(event_id: str, mapping_id: str) -> Select[str, str | None, str]:
    return select(Delivery.step, Delivery.object, Delivery.key).where(
        Delivery.event_id == event_id,
        Delivery.mapping_id == mapping_id,
        Delivery.record_id.is_not(None),
    )


def _lookups(object_name: str, rendered: Rendered, key: str | None) -> list[Lookup]:
    read = tuple(rendered.fields)
    found = [Lookup(object_name, key=key, read=read, fields=rendered.fields)] if key else []
    return found + [Lookup(object_name, by=way, read=read) for way in rendered.matches]
