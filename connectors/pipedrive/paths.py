"""Every address of Pipedrive that we call, with what a call of it costs.

A company has a budget of tokens for each day, and every address has its price.
Source: https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting (2026-11-22); the prices
stand in Pipedrive's API document as ``x-token-cost``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

V1, V2 = "/api/v1", "/api/v2"
SEARCH_TOKENS = 20


@dataclass(frozen=True, slots=True)
class Call:
    """A method and a path, the tokens that a call costs, and whether it counts as a search."""

    method: str
    path: str
    tokens: int
    is_search: bool = False

    @property
    def is_write(self) -> bool:
        """Say whether a lost answer leaves us uncertain."""
        return self.method != "GET"

    @property
    def units(self) -> dict[str, int]:
        """Give what the call costs of each limit; a search counts as a request too."""
        units = {"tokens": self.tokens, "requests": 1}
        return {**units, "search": 1} if self.is_search else units


# Source: https://developers.pipedrive.com/docs/api/v1/Users (2026-11-22)
ME = Call("GET", f"{V1}/users/me", 2)
# Source: https://developers.pipedrive.com/docs/api/v1/ItemSearch (2026-11-22)
SEARCH = Call("GET", f"{V2}/itemSearch", SEARCH_TOKENS, is_search=True)
ACTIVITY_TYPES = Call("GET", f"{V1}/activityTypes", 20)
STAGES = Call("GET", f"{V2}/stages", 5)
PIPELINES = Call("GET", f"{V2}/pipelines", 5)
LEAD_LABELS = Call("GET", f"{V1}/leadLabels", 10)
ARCHIVED_LEADS = Call("GET", f"{V1}/leads/archived", 40)
# Source: https://developers.pipedrive.com/docs/api/v1/Webhooks (2026-11-22)
WEBHOOKS = Call("GET", f"{V1}/webhooks", 10)
ADD_WEBHOOK = Call("POST", f"{V1}/webhooks", 10)


@dataclass(frozen=True, slots=True)
class Paths:
    """The addresses of one object; v1 costs twice what v2 does."""

    root: str
    one_tokens: int
    list_tokens: int
    write_tokens: int
    update_method: str = "PATCH"

    @property
    def many(self) -> Call:
        """Give the call that lists records."""
        return Call("GET", self.root, self.list_tokens)

    @property
    def add(self) -> Call:
        """Give the call that creates a record."""
        return Call("POST", self.root, self.write_tokens)

    def one(self, record_id: str) -> Call:
        """Give the call that reads a record."""
        return Call("GET", f"{self.root}/{_part(record_id)}", self.one_tokens)

    def update(self, record_id: str) -> Call:
        """Give the call that changes a record."""
        return Call(self.update_method, f"{self.root}/{_part(record_id)}", self.write_tokens)


OBJECTS: Mapping[str, Paths] = {
    "Person": Paths(f"{V2}/persons", 1, 10, 5),
    "Organization": Paths(f"{V2}/organizations", 1, 10, 5),
    "Deal": Paths(f"{V2}/deals", 1, 10, 5),
    "Activity": Paths(f"{V2}/activities", 1, 10, 5),
    # Leads and notes exist in v1 only.
    # Source: https://pipedrive.readme.io/docs/pipedrive-api-v2-migration-guide (2026-11-22)
    "Lead": Paths(f"{V1}/leads", 2, 20, 10),
    "Note": Paths(f"{V1}/notes", 2, 20, 10, "PUT"),
}


def fields(word: str) -> Call:
    """Give the call that lists the fields of ``person``, ``organization`` or ``deal``."""
    return Call("GET", f"{V2}/{word}Fields", 10)


def add_field(word: str) -> Call:
    """Give the call that creates a custom field."""
    return Call("POST", f"{V2}/{word}Fields", 5)


def drop_webhook(webhook_id: str) -> Call:
    """Give the call that ends a webhook."""
    return Call("DELETE", f"{V1}/webhooks/{_part(webhook_id)}", 6)


def _part(text: str) -> str:
    return quote(text, safe="")
