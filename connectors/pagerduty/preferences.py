"""What a connection's admin has set: the service that is paged, and in whose name an account's own key writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.errors import Rejected
from connectors.record import JSON, Setting

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
SETTINGS: Final = (
    Setting(
        "service_id",
        "Service to page",
        "choice",
        "Incidents open there, unless the mapping names another. Not needed where the account has a single service.",
        is_from_account=True,
    ),
    Setting(
        "from_email",
        "E-mail address of a user",
        "text",
        "In whose name incidents open. Only for an account that is reached with its own API key.",
        is_advanced=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Preferences:
    """The settings of one connection, read and checked; None is not set."""

    service_id: str | None
    from_email: str | None


def preferences(settings: Mapping[str, JSON]) -> Preferences:
    """Read a connection's settings; raises Rejected naming the first that is wrong."""
    return Preferences(
        _text(settings, "service_id", _ID, "must be the id of a service, such as PIJ90N7"),
        _text(settings, "from_email", _EMAIL, "must be an e-mail address"),
    )


def _text(settings: Mapping[str, JSON], name: str, form: re.Pattern[str], what: str) -> str | None:
    value = settings.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not form.fullmatch(value):
        raise Rejected(
            f'The setting "{name}" of this PagerDuty connection {what}.', code="settings"
        )
    return value
