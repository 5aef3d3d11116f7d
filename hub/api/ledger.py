"""The ledger: proof that every event and every step is accounted for."""

from __future__ import annotations

from flask import Response

from hub.api import auth, edge
from hub.api.answers import LedgerAnswer
from hub.db.keys import Scope
from hub.delivery.ledger import ledger

tag = edge.tag("ledger", "Whether the sums agree.")


@tag.get(
    "/v1/ledger",
    summary="Count the tenant's books and check that they agree",
    security=edge.secured(Scope.DELIVERIES_READ),
    responses=edge.says({200: (LedgerAnswer, "The books")}),
)
@auth.needs(Scope.DELIVERIES_READ)
def get_ledger(query: edge.NoParameters) -> Response:  # noqa: ARG001 - being there refuses unknown parameters
    """Read the ledger."""
    found = ledger(auth.the_hub(), auth.holder().tenant_id)
    answer = LedgerAnswer(
        is_ok=found.is_ok,
        events=found.events,
        deliveries=found.deliveries,
        records=found.records,
        problems=list(found.problems),
    )
    return edge.sent(answer)
