"""The one place that keeps tenants apart.

Every session is opened for one tenant, or, with a reason, across tenants. For a session of a tenant, each query,
update and delete on a table that is :class:`~hub.db.base.TenantOwned` gets the tenant's predicate, and a row of
another tenant cannot be flushed. There is no session that is neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import ClauseElement, Engine, event
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, with_loader_criteria

from hub.db.base import TenantOwned

_VALUE = re.compile(r"tenant_id(_m\d+)?")
_ACROSS = "across tenants: "


class WrongTenant(RuntimeError):
    """Code tried to write a row of another tenant; this is a defect, not a user's error."""


class TenantSession(Session):
    """A database session that sees one tenant, or all of them for a stated reason."""

    def __init__(
        self, bind: Engine, *, tenant_id: str | None = None, why: str | None = None
    ) -> None:
        """Open for ``tenant_id``, or for all with ``why``; exactly one must be given."""
        if bool(tenant_id) == bool(why):
            raise WrongTenant("a session is for one tenant, or across tenants for a reason")
        super().__init__(bind, expire_on_commit=False)
        self.tenant_id = tenant_id


@event.listens_for(TenantSession, "do_orm_execute")
def _confine(state: ORMExecuteState) -> None:
    tenant_id = getattr(state.session, "tenant_id", None)
    if tenant_id is not None and (state.is_insert or state.is_update):
        _refuse_strangers_values(state, tenant_id)
    if tenant_id is None or state.is_column_load or state.is_relationship_load:
        return
    state.statement = state.statement.options(
        with_loader_criteria(
            TenantOwned, lambda cls: cls.tenant_id == tenant_id, include_aliases=True
        )
    )


def _refuse_strangers_values(state: ORMExecuteState, tenant_id: str) -> None:
    """Refuse a statement that would write another tenant into a row."""
    mapper = state.bind_mapper
    if mapper is None or not issubclass(mapper.class_, TenantOwned):
        return
    if state.parameters:
        given = state.parameters
        rows = given if isinstance(given, Sequence) else (given,)
        named = {row.get("tenant_id") for row in rows}
    else:
        statement = cast("ClauseElement", state.statement)
        params = statement.compile(dialect=state.session.get_bind().dialect).params
        # A value of one row is called like its column, of several tenant_id_m0, tenant_id_m1 and so on.
        named = {value for name, value in params.items() if _VALUE.fullmatch(name)}
    if named - {tenant_id, None}:
        raise WrongTenant(f"a {mapper.class_.__name__} of another tenant was about to be written")


@event.listens_for(TenantSession, "before_flush")
def _refuse_strangers(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    tenant_id = getattr(session, "tenant_id", None)
    if tenant_id is None:
        return
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, TenantOwned):
            if row.tenant_id is None and row in session.new:
                row.tenant_id = tenant_id
            if row.tenant_id != tenant_id:
                raise WrongTenant(
                    f"a {type(row).__name__} of another tenant was about to be written"
                )


@contextmanager
def for_tenant(engine: Engine, tenant_id: str) -> Iterator[TenantSession]:
    """Open a session that sees one tenant; commits at the end, rolls back on an error."""
    with TenantSession(engine, tenant_id=tenant_id) as session, session.begin():
        yield session


@contextmanager
def across_tenants(engine: Engine, why: str) -> Iterator[TenantSession]:
    """Open a session that sees all tenants, for the reason given; commits at the end."""
    with TenantSession(engine, why=_ACROSS + why) as session, session.begin():
        yield session
