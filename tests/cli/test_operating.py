"""Operating an installation from the shell: tenants, people, keys, mappings, deliveries, the ledger."""

from __future__ import annotations

import base64
import json

import pytest
from sqlalchemy import select

from hub.context import Hub
from hub.db import keys, people
from hub.db.base import new_id
from hub.db.vault import DataKey
from tests.cli.commands import Shell
from tests.conftest import new_company


@pytest.fixture
def tenant(shell: Shell) -> str:
    """Give the slug of a tenant that was made by the command."""
    slug = new_id("t").replace("_", "-")
    answer = shell("tenant", "create", "Harbor Home Services", "--slug", slug, "--json")
    assert answer.code == 0, answer.err
    return slug


def test_a_tenant_is_listed_once_it_is_created(shell: Shell, tenant: str):
    """``tenant list --json`` has it with its trade and zone."""
    rows = shell("tenant", "list", "--json").json()

    [found] = [row for row in rows if row["slug"] == tenant]
    assert (found["vertical"], found["timezone"]) == ("sales", "UTC")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--timezone", "Mars/Olympus"], 'no time zone "Mars/Olympus"'),
        (["--vertical", "piracy"], 'no trade "piracy"'),
        (["--slug", "No Slug"], "cannot be a slug"),
    ],
)
def test_a_wrong_tenant_is_refused_in_a_sentence(shell: Shell, words: list[str], says: str):
    """Wrong words are exit code 2 and name what is wrong."""
    answer = shell("tenant", "create", "Harbor", *words)

    assert answer.code == 2
    assert says in answer.err
    assert "Traceback" not in answer.err


def test_a_key_opens_what_its_scopes_say_until_it_is_revoked(shell: Shell, tenant: str, hub: Hub):
    """The secret is shown once, only its hash is kept, and a revoked key opens nothing."""
    made = shell(
        "key", "create", "Agent", "--tenant", tenant, "--scope", "events:read", "--json"
    ).json()

    with hub.everyone("a test looks a key up") as session:
        holder = keys.find(session, keys.hash_secret(made["secret"]))
    assert holder is not None
    assert holder.scopes == {"events:read"}

    assert shell("key", "revoke", made["id"], "--tenant", tenant).code == 0
    with hub.everyone("a test looks a key up") as session:
        assert keys.find(session, keys.hash_secret(made["secret"])) is None
    [listed] = shell("key", "list", "--tenant", tenant, "--json").json()
    assert listed["revoked_at"] is not None
    assert made["secret"] not in json.dumps(listed)
    assert shell("key", "revoke", made["id"], "--tenant", tenant).code == 2


def test_a_person_can_sign_in_with_the_password_that_was_shown(shell: Shell, tenant: str, hub: Hub):
    """``person create`` makes up a password that works."""
    email = f"{new_id('p')}@harbor.example"

    made = shell("person", "create", email, "--tenant", tenant, "--role", "viewer", "--json").json()

    with hub.everyone("a test signs in") as session:
        found = people.check_password(session, email=email, password=made["password"])
    assert found is not None
    assert found.id == made["id"]
    assert shell("person", "create", email, "--tenant", tenant).code == 2


def test_a_short_password_is_refused(shell: Shell, tenant: str):
    """The rule for passwords holds here too."""
    answer = shell(
        "person",
        "create",
        f"{new_id('p')}@harbor.example",
        "--tenant",
        tenant,
        "--password-stdin",
        stdin="short\n",
    )

    assert answer.code == 2
    assert "at least 10 characters" in answer.err


def test_a_new_master_key_is_256_random_bits(shell: Shell):
    """``key new`` gives an entry for AFTERBEEP_MASTER_KEYS."""
    name, _, encoded = shell("key", "new", "2027").out.strip().partition(":")

    assert name == "2027"
    assert len(base64.b64decode(encoded, validate=True)) == 32


def test_rotating_makes_a_new_data_key_and_wraps_all_with_the_newest_master(
    shell: Shell, tenant: str, hub: Hub
):
    """What was sealed before stays readable; the old master key is needed no more."""
    with hub.everyone("a test looks a tenant up") as session:
        from hub.db.tenants import Tenant

        tenant_id = session.scalars(select(Tenant.id).where(Tenant.slug == tenant)).one()
    sealed = hub.vault.seal_text(tenant_id, "said by a caller", about="test:1")
    newer = shell("key", "new", "newer").out.strip()
    older = (hub.settings.data_dir / "master.key").read_text().strip()

    [row] = shell(
        "key", "rotate", "--tenant", tenant, "--json", AFTERBEEP_MASTER_KEYS=f"{newer},{older}"
    ).json()

    assert (row["wrapped_anew"], row["unreadable"]) == (1, 0)
    with hub.tenant(tenant_id) as session:
        assert set(session.scalars(select(DataKey.master))) == {"newer"}
    assert hub.vault.open_text(tenant_id, sealed, about="test:1") == "said by a caller"


def test_the_ledger_of_a_new_tenant_agrees(shell: Shell, tenant: str):
    """Nothing was taken, nothing is owed: exit code 0."""
    answer = shell("ledger", "--tenant", tenant, "--json")

    assert answer.code == 0
    found = answer.json()
    assert (found["events"], found["ledger_ok"], found["problems"]) == (0, True, [])


def test_a_replay_of_everything_by_mistake_is_refused(shell: Shell, tenant: str):
    """Something must narrow the selection."""
    answer = shell("delivery", "replay", "--tenant", tenant, "--yes")

    assert answer.code == 2
    assert "Say which deliveries" in answer.err


def test_a_command_asks_which_tenant_is_meant(shell: Shell, tenant: str, hub: Hub):
    """With several tenants and none named, the sentence lists them."""
    new_company(hub)

    answer = shell("delivery", "list")

    assert answer.code == 2
    assert "Say which tenant with --tenant" in answer.err


def test_lists_in_a_pipe_are_tab_separated(shell: Shell, tenant: str):
    """Without --json and a terminal, each row is a line whose columns are split by tabs."""
    [line] = [row for row in shell("tenant", "list").out.splitlines() if row.startswith(tenant)]

    assert line.split("\t")[2] == "Harbor Home Services"


def test_migrating_twice_changes_nothing(shell: Shell):
    """The tables are up to date in the session's database already."""
    assert shell("migrate", "--json").json()["applied"] == []


def test_sending_without_a_key_says_how_to_make_one(shell: Shell):
    """The key comes from the environment."""
    answer = shell("send", "-", stdin="")

    assert answer.code == 2
    assert "afterbeep key create" in answer.err


def test_sending_to_nobody_fails_in_a_sentence(shell: Shell):
    """A hub that does not answer is exit code 1."""
    answer = shell(
        "send",
        "-",
        "--url",
        "http://127.0.0.1:9",
        stdin='{"id": "1"}\n',
        AFTERBEEP_API_KEY="ab_live_none",
    )

    assert answer.code == 1
    assert "does not answer" in answer.err


def test_wrong_settings_are_all_named_at_once(shell: Shell):
    """Each wrong setting is named; exit code 2, no traceback."""
    answer = shell("ledger", AFTERBEEP_PORT="no", AFTERBEEP_LOG_LEVEL="loud")

    assert answer.code == 2
    assert "AFTERBEEP_PORT" in answer.err
    assert "AFTERBEEP_LOG_LEVEL" in answer.err
    assert "Traceback" not in answer.err
