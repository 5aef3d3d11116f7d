"""The service on which an incident opens when the mapping names none.

PagerDuty wants a service for every incident, and a preset cannot know an account's services. So the
connection's setting ``service_id`` decides; without it the account's only service; of several, one that is
called after us or after voicemail, else the oldest. ``prepare`` asks an admin to choose where there are several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.errors import Rejected
from connectors.pagerduty.calls import listed
from connectors.pagerduty.preferences import preferences
from connectors.record import Account, Choice, Todo

SETTING = "service_id"
_OURS = ("afterbeep", "voicemail")


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the account; a disabled one opens no incidents."""

    id: str
    name: str
    created_at: str
    is_enabled: bool


def services(account: Account) -> list[Service]:
    """List the account's services by name; a call for each hundred."""
    return [
        Service(
            id=str(row.get("id") or ""),
            name=str(row.get("name") or row.get("summary") or row.get("id")),
            created_at=str(row.get("created_at") or ""),
            is_enabled=row.get("status") != "disabled",
        )
        for row in listed(account, "/services", "services", params={"sort_by": "name"})
        if row.get("id")
    ]


def choices(account: Account) -> list[Choice]:
    """List the services that can be paged."""
    return [Choice(one.id, one.name) for one in services(account) if one.is_enabled]


def chosen_service(account: Account) -> str | None:
    """Give the service that an admin chose for the connection."""
    return preferences(account.settings).service_id


def default_service(account: Account) -> Service:
    """Give the service for incidents whose mapping names none; raises Rejected when there is none."""
    chosen = chosen_service(account)
    if chosen is not None:
        return Service(chosen, chosen, "", is_enabled=True)
    found = _best(services(account))
    if found is None:
        raise Rejected(
            "This PagerDuty account has no enabled service that the connected user may see. Create one, "
            "then send this again.",
            field="service",
        )
    return found


def prepare(account: Account) -> list[Todo]:
    """List what an admin must do before incidents can open where they should."""
    every = services(account)
    usable = [service for service in every if service.is_enabled]
    chosen = chosen_service(account)
    if chosen is not None:
        return [] if chosen in {service.id for service in usable} else [_choose_again(chosen)]
    best = _best(every)
    if best is None:
        return [
            Todo(
                "PagerDuty: there is no service to page",
                "Create a service in PagerDuty under Services > Service Directory > New Service, with the "
                "escalation policy that voicemails should reach, then check this connection again.",
            )
        ]
    if len(usable) == 1:
        return []
    names = ", ".join(f"{service.name} ({service.id})" for service in usable[:20])
    return [
        Todo(
            "PagerDuty: choose the service that voicemails page",
            f"There are several: {names}. Set {SETTING} of this connection to one of them, or name the "
            f"service in each mapping. Until then incidents open on {best.name}.",
            is_blocking=False,
        )
    ]


def _choose_again(chosen: str) -> Todo:
    return Todo(
        "PagerDuty: the chosen service is gone or disabled",
        f"The connection's {SETTING} is {chosen}, which is none of the enabled services that the connected "
        "user may see. Choose another, or enable it in PagerDuty.",
    )


def _best(every: Sequence[Service]) -> Service | None:
    usable = [service for service in every if service.is_enabled]
    named = [one for one in usable if any(word in one.name.lower() for word in _OURS)]
    return min(named or usable, key=lambda one: (one.created_at, one.id), default=None)
