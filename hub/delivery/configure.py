"""What an admin sets for a connection: its label, the vendor's settings, and how much of its limits is ours.

All that is wrong is told at once, and then nothing is changed. What the vendor told us when the account was
connected is kept in the same place and cannot be set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from connectors.interface import Configurable
from connectors.record import JSON, Choice, Setting
from connectors.registry import CONNECTORS, connector
from hub.context import Hub
from hub.db import audit
from hub.db.connections import Connection
from hub.delivery import describe
from hub.delivery.wake import wake

LABEL = "label"
SHARE = "share"
GRANTS = "grants"
LONGEST_LABEL = 80


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with one value: ``label``, ``share``, ``grants.<limit>``, or the name of a setting."""

    name: str
    detail: str


class WrongSettings(Exception):
    """Nothing was changed; ``problems`` says everything that is wrong."""

    def __init__(self, problems: Sequence[Wrong]) -> None:
        """Keep the problems."""
        super().__init__(" ".join(one.detail for one in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Change:
    """What to set; what is not named stays as it is.

    A setting, a ``share`` (0 to 1) or a grant (units of a limit in its period) that is None goes back to its default.
    """

    label: str | None = None
    settings: Mapping[str, JSON] = field(default_factory=dict)
    budget: Mapping[str, JSON] = field(default_factory=dict)


def settings_of(connector_name: str) -> tuple[Setting, ...]:
    """List what can be set for a connection to this vendor; empty when there is nothing."""
    found = connector(connector_name) if connector_name in CONNECTORS else None
    return found.settings if isinstance(found, Configurable) else ()


def configure(
    hub: Hub, tenant_id: str, connection_id: str, change: Change, *, actor: str
) -> Connection:
    """Change what is set for a connection, and let what waits for it go on.

    Raises WrongSettings, and sqlalchemy's NoResultFound when the tenant has no such connection.
    """
    with hub.tenant(tenant_id) as session:
        row = session.scalars(
            select(Connection).where(Connection.id == connection_id).with_for_update()
        ).one()
        if problems := _problems(row.connector, change):
            raise WrongSettings(problems)
        if change.label is not None:
            row.label = change.label.strip()
        row.settings = _merged(row.settings, change.settings)
        row.budget = _budget(row.budget, change.budget)
        session.flush()
        audit.record(
            session,
            actor=actor,
            action="connection.configured",
            target=connection_id,
            facts=_facts(change),
        )
    wake(hub, [connection_id])
    return row


def choices(
    hub: Hub, tenant_id: str, connection: Connection, setting: Setting, *, refresh: bool = False
) -> describe.Known[Choice]:
    """List what can be chosen for a setting; the last known ones, with the reason, when the account is silent."""
    if not setting.is_from_account:
        return describe.Known(setting.choices, None)
    return describe.choices(hub, tenant_id, connection.id, setting.name, refresh=refresh)


def _problems(connector_name: str, change: Change) -> list[Wrong]:
    found: list[Wrong] = []
    label = change.label
    if label is not None and not 0 < len(label.strip()) <= LONGEST_LABEL:
        found.append(Wrong(LABEL, f"The name must have 1 to {LONGEST_LABEL} characters."))
    found += _settings_problems(connector_name, change.settings)
    found += _budget_problems(connector_name, change.budget)
    return found


def _settings_problems(connector_name: str, values: Mapping[str, JSON]) -> list[Wrong]:
    vendor = connector(connector_name)
    known = {one.name for one in settings_of(connector_name)}
    found = [
        Wrong(name, f'There is no setting "{name}". {_list_of(sorted(known))}')
        for name in values
        if name not in known
    ]
    given = {name: one for name, one in values.items() if name in known and one is not None}
    if isinstance(vendor, Configurable):
        # One at a time, so that each sentence stands beside its own value.
        for name, value in given.items():
            found += [Wrong(name, said) for said in vendor.check_settings({name: value})]
    return found


def _list_of(known: Sequence[str]) -> str:
    return f"There are: {', '.join(known)}." if known else "There are none for this vendor."


def _budget_problems(connector_name: str, budget: Mapping[str, JSON]) -> list[Wrong]:
    found = [
        Wrong(name, f'A budget has no "{name}". It has share and grants.')
        for name in budget
        if name not in {SHARE, GRANTS}
    ]
    share = budget.get(SHARE)
    if share is not None and (
        isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1
    ):
        found.append(Wrong(SHARE, "The share must be above 0 and at most 1."))
    grants = budget.get(GRANTS) or {}
    if not isinstance(grants, Mapping):
        return [*found, Wrong(GRANTS, "The grants must be a table from limits to numbers.")]
    limits = {limit.name for limit in connector(connector_name).limits}
    for name, units in grants.items():
        where = f"{GRANTS}.{name}"
        if name not in limits:
            found.append(Wrong(where, f'There is no limit "{name}". {_list_of(sorted(limits))}'))
        elif units is not None and (
            isinstance(units, bool) or not isinstance(units, int) or units < 0
        ):
            found.append(Wrong(where, f"The grant of {name} must be a whole number, 0 or more."))
    return found


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Lay new values over old ones; None takes a value away."""
    return {name: value for name, value in {**old, **new}.items() if value is not None}


def _budget(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    grants = _merged(old.get(GRANTS) or {}, new.get(GRANTS) or {})
    return _merged(old, {**new, GRANTS: grants or None})


def _facts(change: Change) -> dict[str, Any]:
    """Say which settings were changed, not to what: a value may be somebody's number."""
    facts: dict[str, Any] = {"settings": sorted(change.settings)}
    if change.label is not None:
        facts[LABEL] = True
    if change.budget:
        facts["budget"] = dict(change.budget)
    return facts
