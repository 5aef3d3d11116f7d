"""Replays: sending a selection again, counted first, watched while it goes on, and cancelled if need be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, NoReturn

from flask import Response
from pydantic import Field, PlainValidator, WithJsonSchema

from hub.api import auth, edge, paging
from hub.api.answers import Answer
from hub.api.deliveries import Chosen
from hub.api.paging import Address, Cursor, Paged
from hub.api.problems import Fault, Refused
from hub.db.deliveries import State
from hub.db.keys import Scope
from hub.db.replays import ReplayState
from hub.delivery import replay, replay_cost, replays
from hub.delivery.replay_cost import Estimate
from hub.delivery.replays import Progress

tag = edge.tag("replays", "Send many deliveries again: counted first, with progress, cancellable.")

ID_PATTERN: Final = r"^rpl_[0-9a-z]{26}$"
_HIGHEST: Final = 2_147_483_647


def _version(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _HIGHEST
    if value in ("kept", "newest") or is_number:
        return value
    raise ValueError("must be kept, newest, or the number of a version")


#: One sentence for all that is wrong, where a union would give one for each of its parts.
Version = Annotated[
    Literal["kept", "newest"] | int,
    PlainValidator(_version),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["kept", "newest"], "type": "string"},
                {"minimum": 1, "maximum": _HIGHEST, "type": "integer"},
            ]
        }
    ),
]


class ReplayAddress(Address):
    """The path of one replay."""

    id: str = Field(
        pattern=ID_PATTERN, json_schema_extra={"example": "rpl_01jd3f6g7h8j9kamnbpcqdrset"}
    )


class NewReplay(Chosen):
    """Which deliveries to send again, and by which version; all that is given must hold, and something must be given.

    Times are of the last change of the row. Rows in a worker's hands, rows that a job of the vendor's has taken, and
    held rows are left alone; rejected ones are only meant when they are named by state or id.
    """

    version: Version = Field(
        "kept",
        description=(
            "Render by the version that each was planned by, by the published one, or by this version of the mapping "
            "that is given"
        ),
    )
    dry_run: bool = Field(False, description="Only count, and say what it would take")


class ChosenRows(Answer):
    """What a replay was asked for."""

    delivery_ids: list[str]
    event_id: str | None
    state: State | None
    connection_id: str | None
    mapping_id: str | None
    since: datetime | None
    until: datetime | None


class ReplayLine(Answer):
    """A replay and how far it is.

    `counting`: rows are still put into it. `running`: all are in it, and some are not sent yet. `cancelled`: what still
    waited is what it was before, once `ended_at` is there.
    """

    id: str
    state: ReplayState
    selection: ChosenRows
    version: Version
    actor: str
    counted: int = Field(description="Rows that fitted when it was begun")
    marked: int = Field(description="Rows that were put into it so far")
    deliveries: dict[str, int] = Field(
        description="Its rows by state; when it has ended, as they were then"
    )
    open: int = Field(description="Of these, those that wait or are being sent")
    blocked: int = Field(description="Of these, those that wait for the record of another step")
    put_back: int = Field(description="Rows that were put back when it was cancelled")
    taken_over: int = Field(description="Rows that a later replay has taken")
    note: str | None
    created_at: datetime
    ended_at: datetime | None


class ReplayPage(Answer):
    """Replays, newest first."""

    items: Sequence[ReplayLine]
    next_cursor: str | None = Field(description="Cursor of the next page; null at the end")


class ReplayShare(Answer):
    """What of a selection goes to one connection."""

    connection_id: str
    connector: str
    label: str
    rows: int
    units: dict[str, int] = Field(
        description="Units of the account's limits for the writes, in full batches; look-ups come on top"
    )
    at_least_s: float | None = Field(
        description="How long the account's limits make it last at least; null while nothing gets through"
    )
    problem: str | None = Field(description="Why nothing gets through")


class ReplayEstimate(Answer):
    """What a replay would be as things stand; nothing was changed."""

    rows: int
    by_state: dict[str, int]
    will_wait: int = Field(
        description="Rows that hang on a step that has no record and is not sent again with them"
    )
    to_plan: int = Field(
        description="Events that led to nothing and are planned anew; what they lead to is not known yet"
    )
    at_least_s: float | None
    connections: list[ReplayShare]


@tag.post(
    "/v1/replays",
    summary="Send a selection again",
    description=(
        "Count first with `dry_run`. It is answered at once, however many rows there are; read the replay to see how "
        "far it is. Only rows that are there now, and as they are now, are meant. Every write keeps its key: no record "
        "is made twice. Replayed rows go behind live ones and leave them the last third of a day's calls. A row that "
        "is in an earlier replay is taken over."
    ),
    security=edge.secured(Scope.DELIVERIES_WRITE),
    responses=edge.says(
        {
            200: (ReplayEstimate, "What it would be (`dry_run`)"),
            202: (ReplayLine, "It has begun; `Location` is where to look"),
        },
        *(400, 404, 413, 415),
    ),
)
@auth.needs(Scope.DELIVERIES_WRITE)
def begin_replay(body: NewReplay) -> Response:
    """Begin a replay, or only say what it would be."""
    hub, holder = auth.the_hub(), auth.holder()
    chosen = body.selection()
    try:
        if body.dry_run:
            found = replay_cost.estimate(hub, holder.tenant_id, chosen, body.version)
            return edge.sent(_estimate(found))
        made = replay.begin(hub, holder.tenant_id, chosen, version=body.version, actor=holder.actor)
    except (replay.TooWide, replay.NoSuchVersion, replay.NotThere) as err:
        refuse(err)
    line = _line(replays.progress(hub, holder.tenant_id, made.id))
    return edge.sent(line, 202, {"Location": f"/v1/replays/{made.id}"})


def refuse(err: Exception) -> NoReturn:
    """Raise the problem for a selection that cannot be sent again."""
    if isinstance(err, replay.NotThere):
        raise Refused("not-found", str(err)) from None
    if isinstance(err, replay.NoSuchVersion):
        fault = Fault(pointer="/version", detail=str(err), parameter=None)
        raise Refused("invalid", "1 place is wrong.", errors=[fault]) from None
    raise Refused("invalid", str(err)) from None


@tag.get(
    "/v1/replays",
    summary="List replays, newest first",
    security=edge.secured(Scope.DELIVERIES_READ),
    responses=edge.says({200: (ReplayPage, "A page of replays")}, 400),
)
@auth.needs(Scope.DELIVERIES_READ)
def list_replays(query: Paged) -> Response:
    """List replays."""
    after = paging.read(query.cursor)
    found = replays.latest(
        auth.the_hub(),
        auth.holder().tenant_id,
        before=after.id if after else None,
        size=query.limit + 1,
    )
    rows, following = paging.split(found, query.limit, lambda one: Cursor(one.created_at, one.id))
    return edge.sent(ReplayPage(items=[_line(one) for one in rows], next_cursor=following))


@tag.get(
    "/v1/replays/<id>",
    summary="Read how far a replay is",
    security=edge.secured(Scope.DELIVERIES_READ),
    responses=edge.says({200: (ReplayLine, "The replay")}, 404),
)
@auth.needs(Scope.DELIVERIES_READ)
def get_replay(path: ReplayAddress) -> Response:
    """Read one replay."""
    try:
        found = replays.progress(auth.the_hub(), auth.holder().tenant_id, path.id)
    except replays.NoSuchReplay as err:
        raise Refused("not-found", str(err)) from None
    return edge.sent(_line(found))


@tag.post(
    "/v1/replays/<id>/cancel",
    summary="Cancel a replay",
    description=(
        "Rows that still wait are put back to what they were, with their reason. What is being sent, and what a job of "
        "the vendor's has taken, goes on."
    ),
    security=edge.secured(Scope.DELIVERIES_WRITE),
    responses=edge.says({200: (ReplayLine, "It is cancelled")}, 404, 409),
)
@auth.needs(Scope.DELIVERIES_WRITE)
def cancel_replay(path: ReplayAddress) -> Response:
    """Cancel one replay."""
    holder = auth.holder()
    try:
        found = replays.cancel(auth.the_hub(), holder.tenant_id, path.id, actor=holder.actor)
    except replays.NoSuchReplay as err:
        raise Refused("not-found", str(err)) from None
    except replays.HasEnded as err:
        raise Refused("conflict", str(err)) from None
    return edge.sent(_line(found))


def _line(found: Progress) -> ReplayLine:
    members = {
        name: getattr(found, name) for name in ReplayLine.model_fields if name != "selection"
    }
    chosen = found.selection
    rows = ChosenRows(
        **{
            name: list(value) if isinstance(value := getattr(chosen, name), tuple) else value
            for name in ChosenRows.model_fields
        }
    )
    return ReplayLine(**members, selection=rows)


def _estimate(found: Estimate) -> ReplayEstimate:
    return ReplayEstimate(
        rows=found.rows,
        by_state=found.by_state,
        will_wait=found.will_wait,
        to_plan=found.to_plan,
        at_least_s=found.at_least_s,
        connections=[
            ReplayShare(**{name: getattr(one, name) for name in ReplayShare.model_fields})
            for one in found.shares
        ],
    )
