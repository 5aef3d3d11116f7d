"""How calls are held, set from the shell: shown, changed, refused as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from hub.context import Hub
from hub.db.audit import AuditRow
from tests.api.speaking import new_number
from tests.cli.commands import Shell
from tests.conftest import new_company


@pytest.fixture
def tenant(hub: Hub) -> str:
    """A fresh tenant, by its id, which commands take for its slug."""
    return new_company(hub).tenant_id


def test_settings_are_shown_and_set(shell: Shell, tenant: str, hub: Hub) -> None:
    """What is named changes, all else stays; the audit log has the names."""
    before = shell("tenant", "voice", tenant, "--json").json()
    words = ["--language", "es-US", "--language", "en-US", "--greeting", "Hola", "--line", "record"]
    more = ["--transfer-to", "+14155550111", "--retention-days", "90", "--phi"]

    after = shell("tenant", "voice", tenant, *words, *more, "--json").json()

    settings = after["settings"]
    assert before["settings"]["line"] == "conversation_relay"
    assert (settings["line"], settings["languages"]) == ("record", ["es-US", "en-US"])
    assert settings["greetings"] == {"es-US": "Hola"}
    assert settings["staff"] == {"ring_first": [], "ring_s": 20, "transfer_to": "+14155550111"}
    assert (settings["retention_days"], after["phi"]) == (90, True)
    assert shell("tenant", "voice", tenant, "--json").json() == after
    with hub.tenant(tenant) as session:
        rows = session.execute(select(AuditRow.action, AuditRow.facts)).all()
    changed = ["greetings", "languages", "line", "retention_days", "staff"]
    assert [tuple(row) for row in rows] == [
        ("voice.settings_changed", {"settings": changed}),
        ("tenant.phi_set", {"is_phi": True}),
    ]


def test_a_file_is_the_whole(shell: Shell, tenant: str, tmp_path: Path) -> None:
    """What it does not name has its default; all that is wrong in one is said at once."""
    shell("tenant", "voice", tenant, "--line", "record")
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text("business_hours: {mon: ['09:00-17:00']}\n", encoding="utf-8")
    wrong.write_text("line: fax\nstaff: {transfer_to: '555'}\nmore: 1\n", encoding="utf-8")

    set_by_file = shell("tenant", "voice", tenant, "--file", str(right), "--json").json()
    refused = shell("tenant", "voice", tenant, "--file", str(wrong))

    assert set_by_file["settings"]["line"] == "conversation_relay"
    assert set_by_file["settings"]["business_hours"] == {"mon": ["09:00-17:00"]}
    assert refused.code == 2
    for part in ("Nothing was changed", "/line must be", "/staff/transfer_to must be", "/more is"):
        assert part in refused.err
    assert shell("tenant", "voice", tenant, "--json").json() == set_by_file


def test_numbers_are_added_listed_and_removed(shell: Shell, tenant: str, hub: Hub) -> None:
    """A number is one tenant's; another is told that it is taken, and not by whom."""
    number, other = new_number(), new_company(hub).tenant_id

    added = shell("tenant", "number", "add", number, "--tenant", tenant, "--label", "Desk")
    taken = shell("tenant", "number", "add", number, "--tenant", other)
    [row] = shell("tenant", "number", "list", "--tenant", tenant, "--json").json()
    missing = shell("tenant", "number", "remove", number, "--tenant", other)
    removed = shell("tenant", "number", "remove", number, "--tenant", tenant)

    assert added.code == 0, added.err
    assert (taken.code, tenant in taken.err, "is taken" in taken.err) == (2, False, True)
    assert (row["number"], row["label"]) == (number, "Desk")
    assert (missing.code, removed.code) == (2, 0)
    assert shell("tenant", "number", "add", "0170 555", "--tenant", tenant).code == 2
