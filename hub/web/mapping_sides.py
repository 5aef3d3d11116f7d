"""Both sides of a mapping: what the account has, and what a voicemail gives, with examples of real ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.record import Field, Object
from hub.context import Hub
from hub.delivery import describe
from hub.web.reading import Voicemail
from mappings.catalogue import CatalogueField, catalogue
from mappings.event import with_transcript_text
from mappings.paths import getter
from mappings.problem import Location
from mappings.suggest import Suggestion, suggest

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class AccountSide:
    """The objects and fields of an account as we know them; ``problem`` says why they could not be read anew.

    ``unread`` names objects of the mapping of which nothing is known yet.
    """

    objects: tuple[Object, ...] = ()
    fields: Mapping[str, tuple[Field, ...]] = field(default_factory=dict)
    read_at: datetime | None = None
    problem: str | None = None
    unread: tuple[str, ...] = ()
    #: Whether the account was asked just now, so that asking again would not help.
    is_asked: bool = False
    suggestions: Mapping[str, Mapping[str, Suggestion]] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        """Whether anything at all is known of the account."""
        return bool(self.objects)

    @property
    def is_to_be_asked(self) -> bool:
        """Whether something that the form needs was never read."""
        return not self.is_asked and bool(self.unread or not self.is_known)

    def named(self, object_name: str) -> Mapping[str, Field]:
        """Give the fields of an object by name."""
        return {one.name: one for one in self.fields.get(object_name, ())}

    def schema(self, object_name: str) -> Sequence[Field] | None:
        """Give the fields for the check; None for an object that the account does not have."""
        return self.fields.get(object_name)

    def is_missing(self, object_name: str) -> bool:
        """Tell whether the account surely has no such object."""
        return self.is_known and object_name not in {one.name for one in self.objects}

    def directives(self, steps: Sequence[Mapping[str, Any]]) -> dict[Location, Mapping[str, Any]]:
        """Give the suggestions for the steps of a document, by where they would stand."""
        return {
            ("steps", place, "set", name): found.directive
            for place, step in enumerate(steps)
            for name, found in self.suggestions.get(str(step.get("object")), {}).items()
        }


@dataclass(frozen=True, slots=True)
class EventField:
    """Something that a voicemail gives, and what it was in a real one (or is in the made-up one)."""

    row: CatalogueField
    example: str


def remembered(
    hub: Hub, tenant_id: str, connection_id: str, object_names: Iterable[str]
) -> AccountSide:
    """Give what was last read of an account, without asking it."""
    known = describe.remembered(hub, tenant_id, connection_id)
    wanted = [name for name in dict.fromkeys(object_names) if name]
    objects = known.objects.items if known.objects else ()
    found = {name: known.fields[name] for name in wanted if name in known.fields}
    named = {one.name for one in objects}
    times = [one.read_at for one in found.values() if one.read_at]
    if known.objects and known.objects.read_at and not times:
        times = [known.objects.read_at]
    return AccountSide(
        objects=objects,
        fields={name: one.items for name, one in found.items()},
        read_at=min(times, default=None),
        unread=tuple(name for name in wanted if name not in found and (not named or name in named)),
        suggestions={name: _suggested(one.items) for name, one in found.items()},
    )


def asked(
    hub: Hub,
    tenant_id: str,
    connection_id: str,
    object_names: Iterable[str],
    *,
    refresh: bool = False,
) -> AccountSide:
    """Ask the account within its budget for what we do not know freshly, or for all of it.

    Where it does not answer, give the last known and the reason.
    """
    wanted = [name for name in dict.fromkeys(object_names) if name]
    objects = describe.objects(hub, tenant_id, connection_id, refresh=refresh)
    problem = objects.problem
    named = {one.name for one in objects.items}
    for name in wanted:
        if problem is None and (not named or name in named):
            problem = describe.fields(hub, tenant_id, connection_id, name, refresh=refresh).problem
    known = remembered(hub, tenant_id, connection_id, wanted)
    return AccountSide(
        objects=known.objects,
        fields=known.fields,
        read_at=known.read_at,
        problem=problem,
        unread=() if problem else known.unread,
        is_asked=True,
        suggestions=known.suggestions,
    )


def _suggested(fields: Sequence[Field]) -> dict[str, Suggestion]:
    return {one.field: one for one in suggest(fields, catalogue())}


def event_fields(voicemails: Sequence[Voicemail], *, is_phi: bool) -> tuple[EventField, ...]:
    """List what a voicemail gives, with examples of the latest real ones; made-up ones where callers are patients."""
    facts = [with_transcript_text(one.data) for one in voicemails if one.is_readable and not is_phi]
    return tuple(EventField(row, _example(row, facts)) for row in catalogue())


def _example(row: CatalogueField, facts: Sequence[dict[str, Any]]) -> str:
    if not row.is_open:
        read = getter(row.path)
        for one in facts:
            value = read(one)
            if value not in (None, "", [], {}):
                return shortened(value)
    return shortened(row.example)


def shortened(value: Any) -> str:
    """Write a value on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip() + "…"
