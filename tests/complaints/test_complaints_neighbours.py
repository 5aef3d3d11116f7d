"""Complaints about one bad neighbour: a dead vendor, a broken mapping, an account with too many fields."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from hub.db.mappings import MappingVersion
from tests.complaints.firm import Firm, holds
from tests.connectors import running
from tests.delivery.connected import LEAD
from tests.e2e.installation import Installation

pytestmark = pytest.mark.processes

CAREFUL = LEAD.replace(
    "    object: Lead\n", "    object: Lead\n    match: {Phone: {from: caller.phone, as: e164}}\n"
) + "".join(
    f"      {name}: {{text: '{{summary}}', max: 20, update: if_empty}}\n"
    for name in ("City", "Country", "FirstName", "PostalCode", "Street", "Title")
)


def test_complaint_34_a_dead_vendor_delays_nobody_else(
    one: Installation, firm: Firm, neighbour: Firm, tmp_path: Path
) -> None:
    """One webhook that did not answer slowed down all destinations of its kind.

    Two companies use the same vendor; one's hangs. The other's voicemails arrive while that call is still open.
    """
    neighbour.ready()
    with running.sandbox("salesforce", tmp_path) as dead:
        firm.connect(dead)
        firm.publish()
        dead.fault(kind="slow", seconds=25, path="/composite/", rate=1.0)
        firm.post(5)
        holds(lambda: dead.stats()["in_flight"] == 1)
        for number in (5, 10, 15):
            neighbour.post(5)
            neighbour.delivered(number)

        assert firm.states() == {"sending": 5}
        assert dead.stats()["in_flight"] == 1
        dead.kill()
    holds(lambda: firm.seen()["state"] == "degraded")
    assert neighbour.seen()["state"] == "healthy"


def test_complaint_36_a_broken_mapping_loses_nothing_and_stops_nobody(
    firm: Firm, neighbour: Firm
) -> None:
    """What failed before it became an execution was dropped, and one bad template stopped everybody's partition.

    A mapping that can no longer be read parks its own company's row with the reason; the event is kept in full, the
    neighbour's is delivered, and it goes out when the mapping is mended.
    """
    neighbour.ready()
    mapping_id = firm.ready().get("/v1/mappings")["items"][0]["id"]
    with firm.one.hub.tenant(firm.home.tenant_id) as session:
        session.execute(
            update(MappingVersion)
            .where(MappingVersion.mapping_id == mapping_id)
            .values(document={"version": 9})
        )
    firm.touch_plan()
    (event_id,) = firm.post(1)
    neighbour.post(2)

    neighbour.delivered(2)
    firm.wait_for(parked=1)
    (row,) = firm.deliveries()
    assert row["reason"]
    assert firm.get(f"/v1/events/{event_id}")["event"]["data"]["summary"] == "Wants a quote, call 1"
    firm.mend(mapping_id, LEAD)
    answer = firm.http.post("/v1/deliveries/replay", json={"state": "parked", "version": "newest"})
    assert answer.status_code == 202, answer.text
    firm.delivered(1)


def test_complaint_57_an_address_never_gets_too_long(firm: Firm) -> None:
    """An account with hundreds of properties could not be read: they were all put into one address, 414.

    200 people are looked up at once, in every way in which their numbers are written, with six fields that must not
    be overwritten, at a vendor that refuses long addresses: only those fields are asked for, in several calls.
    """
    firm.ready(CAREFUL)
    firm.post_many(200)

    firm.delivered(200)
    assert firm.statuses(414) == 0
    assert len(firm.records()) == 200
