"""What programs send and read: numbers that no JSON can say, and health data."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.deliveries import Delivery
from tests.api.calling import Program, connection_of, data, event, mapping_of, program
from tests.conftest import new_company


@pytest.mark.parametrize("place", ["duration_s", "latency", "extra"])
def test_infinite_number_is_refused(caller: Program, place: str) -> None:
    """1e999 is read as infinity, which would stand in our answers as no JSON at all."""
    call = {"id": "CA1"} | ({"duration_s": "HERE"} if place == "duration_s" else {})
    more = {} if place == "duration_s" else {place: {"x": "HERE"}}
    body = json.dumps(event(data=data(call=call, **more))).replace('"HERE"', "1e999").encode()

    answer = caller.post(body)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"].startswith(
        "/data/call" if place == "duration_s" else f"/data/{place}"
    )


@pytest.mark.parametrize("is_phi", [True, False])
def test_what_a_vendor_said_of_health_data_is_written_down(
    app: Flask, hub: Hub, *, is_phi: bool
) -> None:
    """A parked delivery names people and quotes a caller: reading it is a reading of health data."""
    company = new_company(hub, is_phi=is_phi)
    caller = program(app, hub, company.tenant_id)
    mapping_of(hub, company.tenant_id, connection_of(hub, company.tenant_id))
    delivery_id = caller.deliveries(caller.take())[0]["id"]
    caller.get(f"/v1/deliveries/{delivery_id}")
    sealed = hub.vault.seal_text(
        company.tenant_id, "Dana is there twice", about=f"deliveries.detail:{delivery_id}"
    )
    with hub.tenant(company.tenant_id) as session:
        session.execute(update(Delivery).where(Delivery.id == delivery_id).values(detail=sealed))

    assert caller.get(f"/v1/deliveries/{delivery_id}").json["detail"] == "Dana is there twice"

    with hub.tenant(company.tenant_id) as session:
        reads = session.execute(
            select(AuditRow.actor, AuditRow.target).where(AuditRow.action == "delivery.read")
        ).all()
    assert [tuple(row) for row in reads] == (
        [(f"key:{caller.key.id}", delivery_id)] if is_phi else []
    )
