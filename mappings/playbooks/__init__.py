"""The usual mappings of a trade: for any connected accounts, presets that leave no gap and never overlap.

One file per vertical lists the jobs (a lead, an appointment, a page …), each with its buckets and the ways to do
it; the first way whose role an account has is taken. ``roles.yaml`` says which connector can be what. A preset is
narrowed to the buckets of the jobs that it does, and is otherwise the tenant's to change like any other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from mappings.document import load
from mappings.event import Bucket
from mappings.presets import Preset, presets

_FOLDER: Final = Path(__file__).parent
_OTHERWISE: Final = "sales"
#: Roles whose accounts keep a record of the voicemail; a page or a text comes on top of it.
_RECORDS: Final = frozenset({"crm", "help_desk", "calendar"})
_WITH: Final = "with"
_BUCKETS: Final = re.compile(r"^(  - \{field: bucket, in: \[)[^\]]*(\]\})$", re.MULTILINE)
BUCKETS: Final = tuple(one.value for one in Bucket if one is not Bucket.SPAM)


@dataclass(frozen=True, slots=True)
class Account:
    """A connected account: its connection's id, and the connector."""

    id: str
    connector: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A mapping to be made for an account: a preset, narrowed to the buckets of the jobs that it does."""

    account: Account
    preset: Preset
    buckets: tuple[str, ...]
    jobs: tuple[str, ...]

    @property
    def text(self) -> str:
        """The mapping as YAML."""
        return narrowed(self.preset.text, self.buckets)


@dataclass(frozen=True, slots=True)
class Plan:
    """The usual mappings of all accounts.

    ``gaps`` are buckets of which no account keeps a record. ``taken`` says of an account that gets nothing which other
    account does its jobs.
    """

    mappings: tuple[Planned, ...]
    gaps: tuple[str, ...]
    taken: Mapping[str, str]

    def of(self, account_id: str) -> tuple[Planned, ...]:
        """Give the mappings of one account."""
        return tuple(one for one in self.mappings if one.account.id == account_id)


@dataclass(frozen=True, slots=True)
class Job:
    """Something that a trade does with voicemails of some buckets.

    A way is a role, the presets by connector, and a role that must be filled too for this way, if any.
    """

    title: str
    buckets: tuple[str, ...]
    ways: tuple[tuple[str, Mapping[str, tuple[str, ...]], str | None], ...]


def plan(vertical: str, accounts: Sequence[Account], *, without: Collection[str] = ()) -> Plan:
    """Plan for accounts in the order in which they were connected; an unknown trade is served as sales is.

    Of several accounts of one role the first has it. ``without`` names accounts to plan as if they were not there,
    which is how another account of their role gets its jobs too.
    """
    seen = [one for one in accounts if one.id not in without]
    holders = _holders(seen)
    buckets: dict[tuple[Account, str], list[str]] = {}
    done: dict[tuple[Account, str], list[str]] = {}
    recorded: set[str] = set()
    for job in jobs(vertical):
        found = _way(job, holders)
        if found is None:
            continue
        role, account, names = found
        for name in names:
            buckets.setdefault((account, name), []).extend(job.buckets)
            done.setdefault((account, name), []).append(job.title)
        if role in _RECORDS:
            recorded.update(job.buckets)
    made = tuple(
        Planned(
            account,
            _preset(account.connector, name),
            tuple(one for one in BUCKETS if one in found),
            tuple(dict.fromkeys(done[account, name])),
        )
        for (account, name), found in buckets.items()
    )
    gaps = tuple(bucket for bucket in BUCKETS if bucket not in recorded)
    return Plan(made, gaps, _taken(seen, holders))


def roles_of(connector: str) -> tuple[str, ...]:
    """Give what an account of this connector can be."""
    return tuple(role for role, connectors in _roles().items() if connector in connectors)


def keeps_records(connector: str) -> bool:
    """Tell whether an account of this connector keeps records; others page or text on top of a record."""
    return not _RECORDS.isdisjoint(roles_of(connector))


def narrowed(text: str, buckets: Sequence[str]) -> str:
    """Give a preset's YAML for these buckets only; raises ValueError when not one line names its buckets."""
    made, count = _BUCKETS.subn(rf"\g<1>{', '.join(buckets)}\g<2>", text)
    if count != 1:
        raise ValueError(f"a preset names its buckets in one line, not in {count}")
    return made


@cache
def jobs(vertical: str) -> tuple[Job, ...]:
    """List the jobs of a trade."""
    file = _FOLDER / f"{vertical}.yaml"
    if not vertical.isidentifier() or vertical == "roles" or not file.is_file():
        file = _FOLDER / f"{_OTHERWISE}.yaml"
    return tuple(
        Job(about["title"], tuple(about["buckets"]), tuple(_read_way(way) for way in about["ways"]))
        for about in load(file.read_text("utf-8")).values()
    )


def _read_way(way: Mapping[str, Any]) -> tuple[str, Mapping[str, tuple[str, ...]], str | None]:
    [role] = [name for name in way if name != _WITH]
    return role, {vendor: tuple(names) for vendor, names in way[role].items()}, way.get(_WITH)


@cache
def _roles() -> Mapping[str, tuple[str, ...]]:
    found = load((_FOLDER / "roles.yaml").read_text("utf-8"))
    return {role: tuple(connectors) for role, connectors in found.items()}


def _holders(accounts: Sequence[Account]) -> dict[str, Account]:
    found: dict[str, Account] = {}
    for account in accounts:
        for role in roles_of(account.connector):
            found.setdefault(role, account)
    return found


def _way(job: Job, holders: Mapping[str, Account]) -> tuple[str, Account, tuple[str, ...]] | None:
    for role, names, other in job.ways:
        account = holders.get(role)
        if account and account.connector in names and (other is None or other in holders):
            return role, account, names[account.connector]
    return None


def _taken(accounts: Sequence[Account], holders: Mapping[str, Account]) -> dict[str, str]:
    found: dict[str, str] = {}
    for account in accounts:
        others = [holders[role] for role in roles_of(account.connector)]
        if others and account not in others:
            found[account.id] = others[0].id
    return found


def _preset(connector: str, name: str) -> Preset:
    return next(one for one in presets(connector) if one.name == name)
