"""What people type about a webhook, with signs that nobody sees."""

from __future__ import annotations

import pytest

from hub.alerts import endpoints
from hub.context import Hub
from tests.conftest import Company


@pytest.mark.parametrize("sign", ["\0", "\x1b", "\u202e", "\u2028", "\r\n"])
def test_a_note_holds_only_what_can_be_seen(hub: Hub, company: Company, sign: str) -> None:
    """Nothing that turns a line round, ends it, or that the database cannot keep."""
    url = "https://ops.harbor.example/beep"

    shown = endpoints.create(
        hub, company.tenant_id, url=url, note=f"On-call{sign}desk", actor="command"
    )

    assert shown.endpoint.note == "On-call desk"
