"""The usual mappings of a tenant's trade, for one of its accounts: what would be made, and making it.

They come from :mod:`mappings.playbooks`, are checked against what the account really has, and are published unless they
have an error. Doing it again changes nothing. A usual mapping that nobody has changed since follows the accounts: it is
narrowed, or turned off, when another account takes its voicemails over. One that a person has saved is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from sqlalchemy import select

from connectors.registry import CONNECTORS
from hub.context import Hub
from hub.db import mappings
from hub.db.connections import Connection, Health
from hub.db.mappings import FieldMapping, MappingVersion
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant
from hub.delivery.checking import checked
from mappings.document import load
from mappings.playbooks import Account, Plan, Planned, keeps_records, narrowed, plan, roles_of
from mappings.problem import Problem

#: The note of a version that was made here; by it such a version is known, and the preset that it came from.
_NOTE: Final = "A usual mapping, from the preset "

State = Literal["new", "changed", "there", "wrong"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A usual mapping of an account: made now or then (``new``), brought up to date (``changed``), or ``there``.

    ``wrong`` ones have errors in this account and are not made; ``problems`` says which.
    """

    name: str
    preset: str
    description: str
    buckets: tuple[str, ...]
    objects: tuple[str, ...]
    jobs: tuple[str, ...]
    state: State
    text: str
    mapping_id: str | None = None
    problems: tuple[Problem, ...] = ()
    document: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Relieved:
    """A usual mapping of an account whose voicemails another account takes over.

    It keeps ``buckets``; with none it is turned off.
    """

    mapping_id: str
    connection_id: str
    name: str
    buckets: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Offers:
    """What the usual mappings of an account are.

    ``gaps`` are buckets of which no account keeps a record. ``taken_by`` is the label of the account that has this
    one's role, so that nothing is offered. ``waiting`` names accounts that have a part in this and are not set up
    yet. ``others`` counts mappings of the account that are not usual ones.
    """

    connection_id: str
    items: tuple[Offer, ...]
    relieved: tuple[Relieved, ...]
    gaps: tuple[str, ...]
    taken_by: str | None
    waiting: tuple[str, ...]
    others: int

    @property
    def is_done(self) -> bool:
        """Whether setting up would change nothing."""
        return not self.relieved and all(one.state in {"there", "wrong"} for one in self.items)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A mapping of the tenant as it stands, with the note of its published version."""

    row: FieldMapping
    version: MappingVersion

    @property
    def preset(self) -> str | None:
        """The preset that it came from unchanged; None when it is a person's."""
        note = self.version.note
        return note.removeprefix(_NOTE) if note.startswith(_NOTE) else None


@dataclass(frozen=True, slots=True)
class _House:
    """A tenant's trade, accounts and mappings."""

    vertical: str
    connections: dict[str, Connection]
    accounts: tuple[Account, ...]
    kept: tuple[_Kept, ...]


def offers(hub: Hub, tenant_id: str, connection_id: str, *, also: bool = False) -> Offers:
    """Say what the usual mappings of an account are and what of them is there; nothing is changed.

    Of two accounts of one role only the first gets mappings, unless ``also`` asks for this one's too. Raises
    LookupError when the tenant has no such connection.
    """
    with hub.tenant(tenant_id) as session:
        house = _house(session, tenant_id)
    row = house.connections.get(connection_id)
    if row is None or row.connector not in CONNECTORS:
        raise LookupError("There is no such connection.")
    whole = plan(house.vertical, house.accounts)
    mine = _mine(house, whole, row, also=also)
    items = tuple(_checked(hub, tenant_id, row, _offer(house, row, one)) for one in mine)
    taken = None if also else house.connections.get(whole.taken.get(connection_id, ""))
    return Offers(
        connection_id,
        items,
        _relieved(house, whole, row, mine),
        whole.gaps,
        taken.label if taken else None,
        _waiting(house, whole, connection_id),
        sum(one.row.connection_id == connection_id and one.preset is None for one in house.kept),
    )


def set_up(
    hub: Hub, tenant_id: str, connection_id: str, *, actor: str, also: bool = False
) -> Offers:
    """Make and publish the usual mappings of an account; gives what was made, and what was there already.

    Raises LookupError as :func:`offers` does, and NameTaken when somebody else made a mapping of this name meanwhile.
    """
    found = offers(hub, tenant_id, connection_id, also=also)
    made: list[Offer] = []
    with hub.tenant(tenant_id) as session:
        # Two people who press at once: the second sees what the first has made.
        session.scalars(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update()).one()
        there = {one.row.name for one in _house(session, tenant_id).kept if one.row.is_active}
        for one in found.items:
            if one.state == "new" and one.mapping_id is None and one.name in there:
                made.append(replace(one, state="there"))
            elif one.document is None or one.state in {"there", "wrong"}:
                made.append(one)
            else:
                made.append(replace(one, mapping_id=_save(session, found, one, actor)))
        for old in found.relieved:
            _relieve(session, old, actor)
    return replace(found, items=tuple(made))


def _save(session: TenantSession, found: Offers, one: Offer, actor: str) -> str:
    row = mappings.save(
        session,
        connection_id=found.connection_id,
        name=one.name,
        document=one.document or {},
        source=one.text,
        author=actor,
        note=f"{_NOTE}{one.preset}",
        mapping_id=one.mapping_id,
    )
    if not row.is_active:
        mappings.set_active(session, row.id, is_active=True, actor=actor)
    return row.id


def _relieve(session: TenantSession, old: Relieved, actor: str) -> None:
    if not old.buckets:
        mappings.set_active(session, old.mapping_id, is_active=False, actor=actor)
        return
    row = mappings.locked(session, old.mapping_id)
    version = session.get(MappingVersion, (row.id, row.version))
    mappings.save(
        session,
        connection_id=row.connection_id,
        name=row.name,
        document=load(old.text),
        source=old.text,
        author=actor,
        note=version.note if version else "",
        mapping_id=row.id,
    )


def _house(session: TenantSession, tenant_id: str) -> _House:
    vertical = session.scalars(select(Tenant.vertical).where(Tenant.id == tenant_id)).one()
    rows = session.scalars(select(Connection).order_by(Connection.created_at, Connection.id)).all()
    found = session.execute(
        select(FieldMapping, MappingVersion)
        .join(
            MappingVersion,
            (MappingVersion.mapping_id == FieldMapping.id)
            & (MappingVersion.number == FieldMapping.version),
        )
        .where(FieldMapping.archived_at.is_(None))
        .order_by(FieldMapping.created_at, FieldMapping.id)
    ).all()
    return _House(
        vertical,
        {row.id: row for row in rows},
        tuple(
            Account(row.id, row.connector)
            for row in rows
            if row.health != Health.DISCONNECTED.value
        ),
        tuple(_Kept(row, version) for row, version in found),
    )


def _mine(house: _House, whole: Plan, row: Connection, *, also: bool) -> Sequence[Planned]:
    """Give the planned mappings of one account; with ``also`` as if the others of its role were not there."""
    if not also:
        return whole.of(row.id)
    mine = set(roles_of(row.connector))
    rivals = {
        one.id for one in house.accounts if one.id != row.id and mine & set(roles_of(one.connector))
    }
    return plan(house.vertical, house.accounts, without=rivals).of(row.id)


def _offer(house: _House, row: Connection, one: Planned) -> Offer:
    name = f"{CONNECTORS[row.connector][0]}: {one.preset.title}"
    document = load(one.text)
    offer = Offer(
        name=name,
        preset=one.preset.name,
        description=one.preset.description,
        buckets=one.buckets,
        objects=tuple(dict.fromkeys(step["object"] for step in document["steps"])),
        jobs=one.jobs,
        state="new",
        text=one.text,
        document=document,
    )
    own = [kept for kept in house.kept if kept.row.connection_id == row.id]
    usual = next((kept for kept in own if kept.preset == one.preset.name), None)
    if usual:
        is_same = usual.row.is_active and usual.version.document == document
        state: State = "there" if is_same else "changed"
        return replace(offer, name=usual.row.name, mapping_id=usual.row.id, state=state)
    theirs = next((kept for kept in own if kept.row.name == name), None)
    if theirs:  # somebody has changed it, and it is theirs now
        return replace(offer, mapping_id=theirs.row.id, state="there")
    if any(kept.row.name == name for kept in house.kept):
        return replace(offer, name=f"{row.label}: {one.preset.title}")
    return offer


def _checked(hub: Hub, tenant_id: str, row: Connection, offer: Offer) -> Offer:
    """Check a mapping that would be made against the account."""
    if offer.state == "there":
        return offer
    document, problems = checked(hub, tenant_id, row.id, offer.text)
    is_wrong = document is None or any(one.severity == "error" for one in problems)
    return replace(
        offer,
        state="wrong" if is_wrong else offer.state,
        problems=tuple(problems),
        document=document,
    )


def _relieved(
    house: _House, whole: Plan, row: Connection, mine: Sequence[Planned]
) -> tuple[Relieved, ...]:
    """List unchanged usual mappings of other accounts of which this one takes voicemails over.

    Only records are taken over, and only what this account keeps now: nothing falls between two accounts of which one
    is not set up yet.
    """
    if not keeps_records(row.connector) or row.id in whole.taken:
        return ()
    covered = {bucket for one in mine for bucket in one.buckets}
    wanted = {(one.account.id, one.preset.name): one for one in whole.mappings}
    found: list[Relieved] = []
    for kept in house.kept:
        owner = house.connections[kept.row.connection_id]
        if owner.id == row.id or owner.id in whole.taken or not keeps_records(owner.connector):
            continue
        if kept.preset is None or not kept.row.is_active:
            continue
        planned = wanted.get((owner.id, kept.preset))
        then = planned.buckets if planned else ()
        now = _buckets(kept.version.document)
        left = tuple(bucket for bucket in now if bucket in then or bucket not in covered)
        if left != now:
            text = narrowed(kept.version.source, left) if left else ""
            found.append(Relieved(kept.row.id, owner.id, kept.row.name, left, text))
    return tuple(found)


def _waiting(house: _House, whole: Plan, connection_id: str) -> tuple[str, ...]:
    """Name the other accounts that the plan counts on and that have no mapping in use."""
    ready = {kept.row.connection_id for kept in house.kept if kept.row.is_active}
    missing = {one.account.id for one in whole.mappings} - ready - {connection_id}
    return tuple(row.label for row in house.connections.values() if row.id in missing)


def _buckets(document: dict[str, Any]) -> tuple[str, ...]:
    for condition in document.get("when", ()):
        if condition.get("field") == "bucket" and "in" in condition:
            return tuple(condition["in"])
    return ()
