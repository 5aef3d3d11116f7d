"""What the documents say is there is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from hub.cli import afterbeep
from hub.db.base import Base, TenantOwned
from hub.settings import PREFIX, Settings

_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PACKAGES = (
    "connectors", "connectors/google_calendar", "connectors/hubspot", "connectors/pagerduty",
    "connectors/pipedrive", "connectors/salesforce", "connectors/twilio_sms", "connectors/zendesk",
    "hub", "hub/alerts", "hub/api", "hub/cli",
    "hub/db", "hub/delivery", "hub/demo", "hub/oauth", "hub/voice", "hub/web", "mappings", "voice",
)  # fmt: skip


def tracked(root: Path, *endings: str) -> list[Path]:
    """Give the files of the project that git knows and that are there."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = [root / name for name in listed if name.endswith(endings)]
    return [path for path in found if path.exists()]


def test_every_setting_is_in_the_readme(root: Path) -> None:
    """A setting that nobody can read about does not exist."""
    text = (root / "README.md").read_text()

    missing = [name for name in Settings.model_fields if f"`{name.upper()}`" not in text]

    assert missing == []


@pytest.mark.parametrize("package", _PACKAGES)
def test_every_package_says_what_it_is(package: str, root: Path) -> None:
    """Each package has a README."""
    assert (root / package / "README.md").is_file()


def test_links_between_documents_lead_somewhere(root: Path) -> None:
    """A relative link names a file that is there."""
    broken = [
        f"{page.relative_to(root)}: {target}"
        for page in tracked(root, ".md")
        for target in _LINK.findall(page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


def test_the_readme_names_only_commands_that_exist(root: Path) -> None:
    """Each `afterbeep …` of the documents is a command."""
    wrong = []
    for page in tracked(root, ".md"):
        for first, second in re.findall(r"afterbeep ([a-z]+)(?: ([a-z]+))?", page.read_text()):
            command = afterbeep.get_command(click.Context(afterbeep), first)
            group = command if isinstance(command, click.Group) else None
            is_known = command is not None and (
                group is None or not second or group.get_command(click.Context(group), second)
            )
            if not is_known:
                wrong.append(f"{page.relative_to(root)}: afterbeep {first} {second}".strip())

    assert wrong == []


def test_environment_is_read_in_one_place(root: Path) -> None:
    """Only ``hub/settings.py`` reads the hub's environment."""
    allowed = {"hub/settings.py"}
    reading = re.compile(r"os\.environ|os\.getenv|from os import environ")

    found = {
        str(path.relative_to(root))
        for path in tracked(root, ".py")
        if path.is_relative_to(root / "hub") and reading.search(path.read_text())
    }

    assert found <= allowed, f"{PREFIX}… is read in {sorted(found - allowed)}"


def test_every_tenants_table_is_confined() -> None:
    """A table with a tenant column is TenantOwned, so that tenancy confines every query on it."""
    loose = [
        mapper.class_.__name__
        for mapper in Base.registry.mappers
        if "tenant_id" in mapper.columns and not issubclass(mapper.class_, TenantOwned)
    ]

    assert loose == []


def test_vendors_are_named_in_their_own_folder_only(root: Path) -> None:
    """The hub knows connectors by the registry and never by name."""
    vendor = re.compile(r"salesforce|hubspot|pipedrive|zendesk|pagerduty|twilio", re.IGNORECASE)
    # Which companies' models may hear a tenant's callers is no connector's matter.
    allowed = ("hub/demo/", "hub/voice/settings.py", "hub/web/telephone_words.py")

    found = [
        str(path.relative_to(root))
        for path in tracked(root, ".py", ".html")
        if path.is_relative_to(root / "hub")
        and not str(path.relative_to(root)).startswith(allowed)
        and vendor.search(_code(path))
    ]

    assert found == []


def _code(path: Path) -> str:
    """Give a file without the examples in its docstrings and comments."""
    text = path.read_text()
    if path.suffix != ".py":
        return text
    return re.sub(r'"""[\s\S]*?"""|#[^\n]*', "", text)
