"""Alerts from the shell: what was told, and whether a webhook is reached."""

from __future__ import annotations

from hub.alerts import endpoints
from hub.context import Hub
from tests.alerts.receiving import receiver
from tests.cli.commands import Shell
from tests.conftest import new_company


def test_a_webhook_is_tried_and_listed(shell: Shell, hub: Hub):
    """A test that arrives ends with 0, one that does not with 1 and the reason; both are in the list."""
    tenant_id = new_company(hub).tenant_id
    words = ("--tenant", tenant_id)
    allowed = {"AFTERBEEP_ALLOW_LOOPBACK_VENDORS": "true"}
    with receiver() as received:
        row = endpoints.create(hub, tenant_id, url=received.url, actor="command").endpoint
        well = shell("alert", "test", row.id, *words, **allowed)
        received.answers.append(500)
        badly = shell("alert", "test", row.id, *words, **allowed)
    found = shell("alert", "list", *words, "--json").json()

    assert (well.code, badly.code) == (0, 1), (well.err, badly.err)
    assert "It answered 500." in badly.err
    assert len(received.calls) == 2
    assert [(one["type"], one["arrived"], one["told"]) for one in found] == [
        ("test", 0, 1),
        ("test", 1, 1),
    ]


def test_an_unknown_webhook_is_said(shell: Shell, hub: Hub):
    """Also one of another tenant."""
    tenant_id = new_company(hub).tenant_id
    other = new_company(hub).tenant_id
    row = endpoints.create(hub, other, url="https://ops.harbor.example/", actor="command").endpoint

    answer = shell("alert", "test", row.id, "--tenant", tenant_id)

    assert answer.code == 2
    assert "There is no such webhook." in answer.err
