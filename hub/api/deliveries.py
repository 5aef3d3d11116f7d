"""Deliveries: where each step of each event stands, sending again, and what waits for a person."""

from __future__ import annotations

import json
from typing import Final, Literal

from flask import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select

from hub.api import auth, edge, paging
from hub.api.answers import (
    AttemptLine,
    Candidate,
    DeliveryFull,
    DeliveryLine,
    DeliveryPage,
    Replayed,
    delivery_members,
)
from hub.api.paging import Address, Cursor, Moment, Paged, Plain
from hub.api.problems import Refused
from hub.db import audit
from hub.db.deliveries import Attempt, Delivery, State
from hub.db.keys import Scope
from hub.db.tenancy import TenantSession
from hub.delivery import held
from hub.delivery import replay as replays
from hub.delivery.replay import Selection

tag = edge.tag("deliveries", "One row per event and mapping step: read, send again, decide.")

ID_PATTERN: Final = r"^dlv_[0-9a-z]{26}$"


class DeliveryAddress(Address):
    """The path of one delivery."""

    id: str = Field(
        pattern=ID_PATTERN, json_schema_extra={"example": "dlv_01jd3f6g7h8j9kamnbpcqdrset"}
    )


class DeliveryFilter(Paged):
    """Which deliveries to list; all that is given must hold."""

    state: State | None = None
    connection_id: Plain | None = None
    event_id: Plain | None = Field(None, description="Our id of the event (evt_…)")
    mapping_id: Plain | None = None
    replay_id: Plain | None = Field(None, description="In this replay, unless a later one has it")
    since: Moment | None = Field(None, description="Planned at or after")
    until: Moment | None = Field(None, description="Planned before")


class Body(BaseModel):
    """A request body; unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class ReplayOne(Body):
    """How to send a delivery again; may be left out."""

    model_config = ConfigDict(openapi_extra={"required": False})  # type: ignore[typeddict-unknown-key]  # the library reads it

    version: Literal["kept", "newest"] = Field(
        "kept", description="Render by the version it was planned by, or the published one"
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_fine(cls, value: object) -> object:
        return {} if value is None else value


class Chosen(Body):
    """Which deliveries are meant; all that is given must hold."""

    delivery_ids: list[str] = Field(default_factory=list, max_length=1_000)
    event_id: Plain | None = None
    state: State | None = None
    connection_id: Plain | None = None
    mapping_id: Plain | None = None
    since: Moment | None = None
    until: Moment | None = None

    def selection(self) -> Selection:
        """Give what is to be sent again."""
        chosen = self.model_dump(include=set(Chosen.model_fields) - {"delivery_ids"})
        return Selection(delivery_ids=tuple(self.delivery_ids), **chosen)


class ReplayMany(Chosen):
    """Which deliveries to send again; all that is given must hold, and something must be given.

    Times are of the last change of the row. Rows in a worker's hands and held rows are left alone.
    """

    version: Literal["kept", "newest"] = Field(
        "kept", description="Render by the version they were planned by, or the published one"
    )
    dry_run: bool = Field(False, description="Only count")


class Choice(Body):
    """Which of the candidates the caller is."""

    record_id: Plain | None = Field(description="A candidate's id; null makes a new record")


@tag.get(
    "/v1/deliveries",
    summary="List deliveries, newest first",
    security=edge.secured(Scope.DELIVERIES_READ),
    responses=edge.says({200: (DeliveryPage, "A page of deliveries")}, 400),
)
@auth.needs(Scope.DELIVERIES_READ)
def list_deliveries(query: DeliveryFilter) -> Response:
    """List deliveries."""
    after = paging.read(query.cursor)
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        wanted = select(Delivery)
        for column, value in (
            (Delivery.state, query.state),
            (Delivery.connection_id, query.connection_id),
            (Delivery.event_id, query.event_id),
            (Delivery.mapping_id, query.mapping_id),
            (Delivery.replay_id, query.replay_id),
        ):
            if value is not None:
                wanted = wanted.where(column == str(value))
        if query.since:
            wanted = wanted.where(Delivery.created_at >= query.since)
        if query.until:
            wanted = wanted.where(Delivery.created_at < query.until)
        if after:
            # Ids sort by the time they were made, and there is an index on them alone.
            wanted = wanted.where(Delivery.id < after.id)
        found = session.scalars(wanted.order_by(Delivery.id.desc()).limit(query.limit + 1)).all()
    rows, following = paging.split(found, query.limit, lambda row: Cursor(row.created_at, row.id))
    page = DeliveryPage(items=[DeliveryLine.of(row) for row in rows], next_cursor=following)
    return edge.sent(page)


@tag.get(
    "/v1/deliveries/<id>",
    summary="Read a delivery with its attempts",
    security=edge.secured(Scope.DELIVERIES_READ),
    responses=edge.says({200: (DeliveryFull, "The delivery")}, 404),
)
@auth.needs(Scope.DELIVERIES_READ)
def get_delivery(path: DeliveryAddress) -> Response:
    """Read one delivery."""
    return edge.sent(_full(path.id))


@tag.post(
    "/v1/deliveries/<id>/replay",
    summary="Send a delivery again",
    description="The write keeps its key, so an existing record is updated and no second one is made.",
    security=edge.secured(Scope.DELIVERIES_WRITE),
    responses=edge.says({202: (DeliveryFull, "It waits to be sent")}, 400, 404, 409, 413, 415),
)
@auth.needs(Scope.DELIVERIES_WRITE)
def replay_delivery(path: DeliveryAddress, body: ReplayOne) -> Response:
    """Put one delivery back to waiting."""
    hub, holder = auth.the_hub(), auth.holder()
    before = _state(path.id)
    selection = Selection(delivery_ids=(path.id,))
    count = replays.replay(
        hub, holder.tenant_id, selection, version=body.version, actor=holder.actor
    )
    if not count:
        raise Refused("conflict", f"It is {before.value}; that cannot be sent again.")
    return edge.sent(_full(path.id), 202)


@tag.post(
    "/v1/deliveries/replay",
    summary="Send a selection again",
    description=(
        "Count first with `dry_run`. Every write keeps its key: no record is made twice. This makes a replay, which "
        "`Location` leads to; `POST /v1/replays` says more of it."
    ),
    security=edge.secured(Scope.DELIVERIES_WRITE),
    responses=edge.says(
        {
            200: (Replayed, "How many would be sent again"),
            202: (Replayed, "How many wait to be sent"),
        },
        *(400, 413, 415),
    ),
)
@auth.needs(Scope.DELIVERIES_WRITE)
def replay_deliveries(body: ReplayMany) -> Response:
    """Put the selected deliveries back to waiting, or only count them."""
    hub, holder = auth.the_hub(), auth.holder()
    chosen = body.selection()
    headers = {}
    try:
        count = replays.count(hub, holder.tenant_id, chosen, body.version)
        if count and not body.dry_run:
            made = replays.begin(
                hub, holder.tenant_id, chosen, version=body.version, actor=holder.actor
            )
            count, headers = made.counted, {"Location": f"/v1/replays/{made.id}"}
    except replays.TooWide as err:
        raise Refused("invalid", str(err)) from None
    status = 200 if body.dry_run else 202
    return edge.sent(Replayed(count=count, dry_run=body.dry_run), status, headers)


@tag.post(
    "/v1/deliveries/<id>/approve",
    summary="Let a held delivery go",
    security=edge.secured(Scope.DELIVERIES_WRITE),
    responses=edge.says({200: (DeliveryFull, "It waits to be sent")}, 404, 409),
)
@auth.needs(Scope.DELIVERIES_WRITE)
def approve_delivery(path: DeliveryAddress) -> Response:
    """Approve one held delivery."""
    hub, holder = auth.the_hub(), auth.holder()
    before = _state(path.id)
    if not held.approve(hub, holder.tenant_id, [path.id], actor=holder.actor):
        raise Refused("conflict", f"It is {before.value}; only held deliveries are approved.")
    return edge.sent(_full(path.id))


@tag.post(
    "/v1/deliveries/<id>/reject",
    summary="Refuse a held or parked delivery",
    security=edge.secured(Scope.DELIVERIES_WRITE),
    responses=edge.says({200: (DeliveryFull, "It is not sent")}, 404, 409),
)
@auth.needs(Scope.DELIVERIES_WRITE)
def reject_delivery(path: DeliveryAddress) -> Response:
    """Reject one held or parked delivery."""
    hub, holder = auth.the_hub(), auth.holder()
    before = _state(path.id)
    if not held.reject(hub, holder.tenant_id, [path.id], actor=holder.actor):
        text = f"It is {before.value}; only held and parked deliveries are rejected."
        raise Refused("conflict", text)
    return edge.sent(_full(path.id))


@tag.post(
    "/v1/deliveries/<id>/choose",
    summary="Say which existing record a parked delivery belongs to",
    security=edge.secured(Scope.DELIVERIES_WRITE),
    responses=edge.says({200: (DeliveryFull, "It waits to be sent")}, 400, 404, 409, 413, 415),
)
@auth.needs(Scope.DELIVERIES_WRITE)
def choose_record(path: DeliveryAddress, body: Choice) -> Response:
    """Choose a candidate, or say that it is somebody new."""
    hub, holder = auth.the_hub(), auth.holder()
    _state(path.id)
    try:
        held.choose(hub, holder.tenant_id, path.id, body.record_id, actor=holder.actor)
    except held.NotWaiting as err:
        raise Refused("conflict", str(err)) from None
    return edge.sent(_full(path.id))


def _state(delivery_id: str) -> State:
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        return State(_row(session, delivery_id).state)


def _row(session: TenantSession, delivery_id: str) -> Delivery:
    row = session.scalars(select(Delivery).where(Delivery.id == delivery_id)).one_or_none()
    if row is None:
        raise Refused("not-found", "There is no such delivery.")
    return row


def _full(delivery_id: str) -> DeliveryFull:
    """Give a delivery with what the vendor said; for tenants with health data the reading is written down."""
    holder = auth.holder()
    with auth.the_hub().tenant(holder.tenant_id) as session:
        row = _row(session, delivery_id)
        tries = session.scalars(
            select(Attempt).where(Attempt.delivery_id == row.id).order_by(Attempt.id)
        ).all()
        # A vendor quotes the caller's data, and names the people who may be the caller.
        if holder.is_phi and (row.detail or row.candidates or any(one.detail for one in tries)):
            audit.record(session, actor=holder.actor, action="delivery.read", target=row.id)
    candidates = _opened(row.candidates, f"deliveries.candidates:{row.id}")
    return DeliveryFull(
        **delivery_members(row),
        waits_for=list(row.waits_for or ()),
        detail=_opened(row.detail, f"deliveries.detail:{row.id}"),
        candidates=([Candidate(**one) for one in json.loads(candidates)] if candidates else None),
        tries=[
            AttemptLine.of(one, _opened(one.detail, f"attempts.detail:{row.id}")) for one in tries
        ],
    )


def _opened(sealed: bytes | None, about: str) -> str | None:
    if sealed is None:
        return None
    return auth.the_hub().vault.open_text(auth.holder().tenant_id, sealed, about=about)
