"""The usual mappings of a trade for an account, and the approval gate that holds what is urgent."""

from __future__ import annotations

from typing import Literal

from flask import Response
from pydantic import Field

from hub.api import auth, edge
from hub.api.answers import Answer, MappingProblem
from hub.api.connections import ConnectionAddress
from hub.api.deliveries import Body
from hub.api.mappings import shown
from hub.api.problems import Refused
from hub.db.keys import Scope
from hub.db.mappings import NameTaken
from hub.delivery import gate, usual_mappings
from hub.delivery.gate import MOST_URGENT, Gate
from hub.delivery.usual_mappings import Offer, Offers
from mappings.event import Bucket

tag = edge.tag("playbook", "The usual mappings of a trade, and what a person approves first.")


class SetUp(Body):
    """How to set up the usual mappings of an account."""

    dry_run: bool = Field(False, description="Only say what would be made")
    also: bool = Field(
        False, description="Also when another account has this one's role already: both get records"
    )


class UsualMapping(Answer):
    """A usual mapping of an account.

    ``new`` and ``changed`` ones are made, with ``dry_run`` would be; ``there`` needs nothing; ``wrong`` has errors in
    this account and is not made.
    """

    name: str
    preset: str
    description: str
    buckets: list[Bucket]
    objects: list[str]
    does: list[str] = Field(description="The jobs that it does, in words")
    state: Literal["new", "changed", "there", "wrong"]
    mapping_id: str | None
    problems: list[MappingProblem]


class RelievedMapping(Answer):
    """A usual mapping of another account that this account takes voicemails from; without buckets it is turned off."""

    id: str
    name: str
    connection_id: str
    buckets: list[Bucket]


class UsualMappings(Answer):
    """What the usual mappings of an account are, and what was or would be done."""

    is_dry_run: bool
    items: list[UsualMapping]
    relieved: list[RelievedMapping]
    gaps: list[Bucket] = Field(description="Voicemails of which no account keeps a record")
    taken_by: str | None = Field(description="The account that has this one's role already")
    waiting: list[str] = Field(description="Accounts with a part in this that are not set up yet")
    others: int = Field(description="Mappings of the account that are not usual ones")


class Approval(Answer):
    """From which urgency on a person approves first, whatever the mapping says."""

    urgency_at_least: int | None = Field(
        None, ge=0, le=MOST_URGENT, description="Null: only what a mapping itself wants approved"
    )
    approve_pages: bool = Field(
        False, description="Hold pages too; then nobody is woken before somebody has approved"
    )


@tag.post(
    "/v1/connections/<id>/playbook",
    summary="Set up the usual mappings of an account",
    description="Those of the tenant's trade, checked against the account; doing it again changes nothing. "
    "Usual mappings of other accounts that nobody has changed give up the voicemails that this account takes over.",
    security=edge.secured(Scope.MAPPINGS_WRITE),
    responses=edge.says({200: (UsualMappings, "What was made")}, 400, 404, 409, 413, 415),
)
@auth.needs(Scope.MAPPINGS_WRITE)
def post_playbook(path: ConnectionAddress, body: SetUp) -> Response:
    """Set up the usual mappings."""
    hub, holder = auth.the_hub(), auth.holder()
    try:
        if body.dry_run:
            found = usual_mappings.offers(hub, holder.tenant_id, path.id, also=body.also)
        else:
            found = usual_mappings.set_up(
                hub, holder.tenant_id, path.id, actor=holder.actor, also=body.also
            )
    except NameTaken as err:
        raise Refused("conflict", str(err)) from None
    except LookupError as err:
        raise Refused("not-found", str(err)) from None
    return edge.sent(_answer(found, is_dry_run=body.dry_run))


@tag.get(
    "/v1/approval",
    summary="Read what a person approves first",
    security=edge.secured(Scope.MAPPINGS_READ),
    responses=edge.says({200: (Approval, "The gate")}),
)
@auth.needs(Scope.MAPPINGS_READ)
def get_approval(query: edge.NoParameters) -> Response:  # noqa: ARG001 - being there refuses unknown parameters
    """Read the approval gate."""
    return edge.sent(_approval(gate.gate(auth.the_hub(), auth.holder().tenant_id)))


@tag.put(
    "/v1/approval",
    summary="Set what a person approves first",
    description="For voicemails that come from now on; what is planned stays as it is.",
    security=edge.secured(Scope.MAPPINGS_WRITE),
    responses=edge.says({200: (Approval, "The gate as it is now")}, 400, 413, 415),
)
@auth.needs(Scope.MAPPINGS_WRITE)
def put_approval(body: Approval) -> Response:
    """Set the approval gate."""
    holder = auth.holder()
    wanted = Gate(body.urgency_at_least, body.approve_pages)
    gate.set_gate(auth.the_hub(), holder.tenant_id, wanted, actor=holder.actor)
    return edge.sent(_approval(wanted))


def _approval(found: Gate) -> Approval:
    return Approval(urgency_at_least=found.urgency_at_least, approve_pages=found.pages)


def _answer(found: Offers, *, is_dry_run: bool) -> UsualMappings:
    return UsualMappings(
        is_dry_run=is_dry_run,
        items=[_line(one) for one in found.items],
        relieved=[
            RelievedMapping(
                id=one.mapping_id,
                name=one.name,
                connection_id=one.connection_id,
                buckets=[Bucket(bucket) for bucket in one.buckets],
            )
            for one in found.relieved
        ],
        gaps=[Bucket(bucket) for bucket in found.gaps],
        taken_by=found.taken_by,
        waiting=list(found.waiting),
        others=found.others,
    )


def _line(one: Offer) -> UsualMapping:
    return UsualMapping(
        name=one.name,
        preset=one.preset,
        description=one.description,
        buckets=[Bucket(bucket) for bucket in one.buckets],
        objects=list(one.objects),
        does=list(one.jobs),
        state=one.state,
        mapping_id=one.mapping_id,
        problems=[shown(problem) for problem in one.problems],
    )
