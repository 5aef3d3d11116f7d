"""What a connection's admin has set: whether users may be made in bulk, and how long jobs may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.errors import Rejected
from connectors.record import JSON, Setting

#: How long a job may wait and run, unless the settings say otherwise. Zendesk names no figure.
_RUNS_S: Final = 600.0
_LONGEST_S: Final = 86_400
SETTINGS: Final = (
    Setting(
        "bulk_users",
        "New users are made in bulk",
        "boolean",
        "Only where Zendesk's support has allowed it for the account; else they are made one by one.",
        default=False,
        is_advanced=True,
    ),
    Setting(
        "job_runs_s",
        "A job takes at most (seconds)",
        "number",
        "So long nobody asks for the records of a job whose answer was lost.",
        default=600,
        is_advanced=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Preferences:
    """The settings of one connection, read and checked."""

    bulk_users: bool = False
    job_runs_s: float = _RUNS_S


def preferences(settings: Mapping[str, JSON]) -> Preferences:
    """Read a connection's settings; raises Rejected naming the first that is wrong."""
    is_bulk = settings.get("bulk_users")
    if not isinstance(is_bulk, bool | None):
        raise _wrong("bulk_users", "must be true or false")
    runs_s = settings.get("job_runs_s")
    if runs_s is None:
        runs_s = _RUNS_S
    if isinstance(runs_s, bool) or not isinstance(runs_s, int | float):
        raise _wrong("job_runs_s", "must be a number of seconds")
    if not 0 <= runs_s <= _LONGEST_S:
        raise _wrong("job_runs_s", f"must be a number from 0 to {_LONGEST_S}")
    return Preferences(bool(is_bulk), float(runs_s))


def _wrong(name: str, what: str) -> Rejected:
    return Rejected(f'The setting "{name}" of this Zendesk connection {what}.', code="settings")
