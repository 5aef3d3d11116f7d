"""Google's documents: errors, calendars, masks of fields; and the merge that a patch is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.sandbox.oauth import SandboxAccount

Document = dict[str, Any]
_ROOT = "https://www.googleapis.com/auth/calendar"
EVENTS, FREE_BUSY, CALENDARS = (
    f"{_ROOT}.events",
    f"{_ROOT}.freebusy",
    f"{_ROOT}.calendarlist.readonly",
)
SCOPES = (EVENTS, FREE_BUSY, CALENDARS)
_WORDS = {
    400: "Bad Request",
    401: "Invalid Credentials",
    403: "Forbidden",
    404: "Not Found",
    409: "The requested identifier already exists.",
    410: "Resource has been deleted",
    429: "Rate Limit Exceeded",
    500: "Backend Error",
    503: "The service is currently unavailable.",
}


class RefusedError(Exception):
    """A call is refused; ``document`` is what Google would say."""

    def __init__(
        self, status: int, reason: str, message: str | None = None, *, domain: str = "global"
    ) -> None:
        """Keep the status and make the document."""
        super().__init__(reason)
        self.status = status
        self.document = error(status, reason, message, domain=domain)


def error(
    status: int, reason: str, message: str | None = None, *, domain: str = "global"
) -> Document:
    """Give Google's document for an error."""
    # Source: https://developers.google.com/workspace/calendar/api/guides/errors (2026-11-22)
    said = message or _WORDS.get(status, "Error")
    listed = {"domain": domain, "reason": reason, "message": said}
    return {"error": {"errors": [listed], "code": status, "message": said}}


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar of an account, with what the connected person may do there."""

    id: str
    name: str
    role: str
    zone: str = "America/Los_Angeles"
    is_primary: bool = False

    def document(self) -> Document:
        """Give its entry in the person's list."""
        found: Document = {
            "kind": "calendar#calendarListEntry",
            "etag": f'"{abs(hash(self.id)) % 10**12}"',
            "id": self.id,
            "summary": self.name,
            "timeZone": self.zone,
            "colorId": "14",
            "backgroundColor": "#9fe1e7",
            "foregroundColor": "#000000",
            "selected": True,
            "accessRole": self.role,
            "defaultReminders": [{"method": "popup", "minutes": 10}],
            "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
        }
        return {**found, "primary": True} if self.is_primary else found


def calendars_of(account: SandboxAccount) -> dict[str, Calendar]:
    """Give an account's calendars by their address: the person's own, a shared one, and holidays."""
    name, _, domain = account.id.partition("@")
    shared = f"{domain.partition('.')[0]}-crew@group.calendar.google.example"
    holidays = f"{name}.holidays@group.v.calendar.google.example"
    found = (
        Calendar(account.id, account.name, "owner", is_primary=True),
        Calendar(shared, "Crew", "writer", zone="America/Denver"),
        Calendar(holidays, "Holidays", "reader"),
    )
    return {one.id: one for one in found}


def stamp(seconds: float) -> str:
    """Write a moment as Google does."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def merge(kept: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """Give a document after a patch: objects are merged, lists replaced, null takes away."""
    made = dict(kept)
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, Mapping):
            before = made.get(name)
            made[name] = merge(before if isinstance(before, Mapping) else {}, value)
        else:
            made[name] = value
    return made


def masked(document: Any, mask: str | None) -> Any:
    """Give the part of a document that ``fields`` asks for, such as ``items(id,start/dateTime)``."""
    # Source: https://developers.google.com/workspace/calendar/api/guides/performance (2026-11-22)
    return _cut(document, _tree(mask)) if mask else document


_Tree = dict[str, "_Tree"]


def _tree(mask: str) -> _Tree:
    made: _Tree = {}
    for part in _parts(mask):
        path, bracket, inner = part.partition("(")
        place = made
        for step in path.split("/"):
            place = place.setdefault(step, {})
        if bracket:
            place.update(_tree(inner.removesuffix(")")))
    return made


def _parts(mask: str) -> Iterator[str]:
    """Split at the commas that stand outside of brackets."""
    depth, start = 0, 0
    for place, sign in enumerate(mask):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            yield mask[start:place]
            start = place + 1
    yield mask[start:]


def _cut(document: Any, tree: _Tree) -> Any:
    if not tree:
        return document
    if isinstance(document, list):
        return [_cut(one, tree) for one in document]
    if not isinstance(document, Mapping):
        return document
    return {name: _cut(value, tree[name]) for name, value in document.items() if name in tree}
