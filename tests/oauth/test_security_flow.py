"""Coming back from the vendor with less than one left with."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.connections import Connection
from hub.db.people import Membership, Role
from hub.oauth import flow
from tests.conftest import Company
from tests.connectors.running import Sandbox
from tests.delivery.connected import allow, set_up_vendor


@pytest.mark.parametrize("role", [Role.MAPPER, Role.OPERATOR, Role.VIEWER])
def test_who_is_no_admin_any_more_connects_nothing(
    hub: Hub, company: Company, salesforce_sandbox: Sandbox, role: Role
) -> None:
    """A role that was taken away at the vendor's page counts, whatever the person is in another company."""
    set_up_vendor(salesforce_sandbox)
    back = allow(flow.begin(hub, company.tenant_id, company.person_id, "salesforce"))
    with hub.tenant(company.tenant_id) as session:
        session.execute(update(Membership).values(role=role.value))

    with pytest.raises(flow.ConnectProblem, match="admins"):
        flow.finish(hub, company.person_id, back["state"], code=back["code"])

    with hub.tenant(company.tenant_id) as session:
        assert session.scalars(select(Connection.id)).all() == []
