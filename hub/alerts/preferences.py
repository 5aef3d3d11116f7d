"""What a tenant may set about its alerts: ``settings["alerts"]``; a missing key means the default."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select

from hub.db import audit
from hub.db.people import Membership, Person, Role
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant

MOST_RECIPIENTS: Final = 20
_KEY: Final = "alerts"
_ADDRESS: Final = re.compile(
    r"[^@\s\x00-\x1f\x7f<>,;\"()]{1,64}@[^@\s\x00-\x1f\x7f<>,;\"()]{1,189}"
)


class WrongRecipients(ValueError):
    """Addresses cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """How a tenant wants to be told.

    ``queue_age_s`` are ages in seconds of the oldest waiting delivery, each told once. ``steady_s`` is how long a
    connection must be well before it is called recovered. ``recipients`` are mail addresses; None stands for all
    owners and admins, empty for nobody.
    """

    queue_age_s: tuple[float, ...] = (300.0, 3_600.0, 21_600.0)
    steady_s: float = 300.0
    recipients: tuple[str, ...] | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Preferences:
        """Read a tenant's settings; what cannot be read is taken as not set."""
        found = settings.get(_KEY)
        kept = found if isinstance(found, Mapping) else {}
        ages, steady, told = kept.get("queue_age_s"), kept.get("steady_s"), kept.get("recipients")
        default = cls()
        return cls(
            queue_age_s=_ages(ages) or default.queue_age_s,
            steady_s=_number(steady, default.steady_s),
            recipients=tuple(str(one) for one in told) if isinstance(told, list) else None,
        )


def _number(value: object, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return default
    return float(value)


def _ages(value: object) -> tuple[float, ...]:
    """Give ages in order; none when one of them is none."""
    ages = {_number(one, 0.0) for one in value} if isinstance(value, list) else set()
    return () if 0.0 in ages else tuple(sorted(ages))


def plain_recipients(lines: Iterable[str]) -> tuple[str, ...]:
    """Give addresses as they are kept, each once; raises WrongRecipients."""
    found = tuple(dict.fromkeys(one.strip().lower() for one in lines if one.strip()))
    wrong = [one for one in found if not _ADDRESS.fullmatch(one)]
    if wrong:
        raise WrongRecipients(f"This is not a mail address: {wrong[0][:80]}")
    if len(found) > MOST_RECIPIENTS:
        raise WrongRecipients(f"At most {MOST_RECIPIENTS} addresses can be told.")
    return found


def set_recipients(session: TenantSession, recipients: Sequence[str] | None, *, actor: str) -> None:
    """Keep who gets the mails of the session's tenant; None stands for all owners and admins."""
    tenant = session.scalars(
        select(Tenant).where(Tenant.id == session.tenant_id).with_for_update(key_share=True)
    ).one()
    found = tenant.settings.get(_KEY)
    kept = dict(found) if isinstance(found, Mapping) else {}
    if recipients is None:
        kept.pop("recipients", None)
    else:
        kept["recipients"] = list(recipients)
    tenant.settings = {**tenant.settings, _KEY: kept}
    session.flush()
    audit.record(
        session,
        actor=actor,
        action="alerts.recipients_set",
        target=tenant.id,
        facts={"number": None if recipients is None else len(recipients)},
    )


def addresses(session: TenantSession, tenant_id: str, preferences: Preferences) -> list[str]:
    """Give the addresses that a tenant's mails go to: those that it set, else its owners and admins."""
    if preferences.recipients is not None:
        return list(preferences.recipients)
    query = (
        select(Person.email)
        .join(Membership, Membership.person_id == Person.id)
        .where(
            Membership.tenant_id == tenant_id,
            Membership.role.in_((Role.OWNER.value, Role.ADMIN.value)),
            Person.disabled_at.is_(None),
        )
        .order_by(Person.email)
    )
    return list(session.scalars(query.limit(MOST_RECIPIENTS)))
