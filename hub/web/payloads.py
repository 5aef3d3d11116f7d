"""One delivery, three payloads side by side: what the event says, what is sent, what the vendor answered.

What was sent is not kept: it is worked out again by the version of the mapping that it was sent under. Attempts are
kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import audit
from hub.db.deliveries import Delivery
from hub.db.mappings import MappingVersion
from hub.db.people import Role
from hub.db.tenancy import TenantSession
from hub.web import outcomes, reading
from hub.web.display import zone
from hub.web.reading import Done, Voicemail
from hub.web.viewer import needs, the_hub, viewer
from mappings.catalogue import find_field
from mappings.directives import Directive, From, Items, Text
from mappings.document import MappingDocument, Step, parse
from mappings.event import with_transcript_text
from mappings.paths import getter
from mappings.problem import InvalidMapping
from mappings.render import RenderProblem, compile_mapping

pages = Blueprint("payloads", __name__, url_prefix="/deliveries")
_MODES = {"never": "only when the record is new", "if_empty": "only where the record has nothing"}


@dataclass(frozen=True, slots=True)
class Fact:
    """Something of the event that the step reads."""

    path: str
    label: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A field of the record, and when an existing record keeps its own."""

    name: str
    value: str
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Payloads:
    """The two payloads that are worked out; ``problem`` says why the second one could not be."""

    version: int | None = None
    facts: tuple[Fact, ...] = ()
    sent: tuple[Sent, ...] = ()
    found_by: tuple[str, ...] = ()
    problem: str | None = None


@pages.get("/<delivery_id>")
@needs(Role.VIEWER)
def show(delivery_id: str) -> ResponseReturnValue:
    """Show one delivery; for tenants with health data it is written down who read it."""
    me, hub = viewer(), the_hub()
    with hub.tenant(me.tenant_id) as session:
        event_id = session.scalars(
            select(Delivery.event_id).where(Delivery.id == delivery_id)
        ).one_or_none()
        found = event_id and reading.one(hub, session, event_id)
        if not found:
            abort(404)
        done = next(one for one in found.done if one.row.id == delivery_id)
        tries = reading.attempts_of(hub, session, [delivery_id]).get(delivery_id, ())
        became = outcomes.of_deliveries(session, [delivery_id])
        version = next(
            (one.row.mapping_version for one in tries if one.row.mapping_version),
            done.row.mapping_version,
        )
        worked_out = _payloads(session, found, done, version, me.timezone)
        if me.is_phi:
            audit.record(session, actor=me.actor, action="voicemail.read", target=found.row.id)
    return render_template(
        "voicemails/payloads.html",
        voicemail=found,
        done=done,
        tries=tries,
        became=[(outcome, *outcomes.in_words(outcome)) for outcome in became],
        payloads=worked_out,
    )


def _payloads(
    session: TenantSession, found: Voicemail, done: Done, version: int | None, timezone: str
) -> Payloads:
    row = done.row
    if version is None or row.mapping_id is None:
        return Payloads(problem="No mapping led to this.")
    if not found.is_readable:
        return Payloads(version, problem="What the caller said is not there any more.")
    document = session.scalars(
        select(MappingVersion.document).where(
            MappingVersion.mapping_id == row.mapping_id, MappingVersion.number == version
        )
    ).one_or_none()
    try:
        parsed = parse(document or {})
    except InvalidMapping:
        return Payloads(
            version, problem=f"Version {version} of the mapping cannot be read any more."
        )
    facts = {**with_transcript_text(found.data), "bucket": found.row.bucket}
    return _rendered(parsed, done, version, facts, _ids(found, row), timezone)


def _rendered(  # noqa: PLR0917 - called once
    parsed: MappingDocument,
    done: Done,
    version: int,
    facts: dict[str, Any],
    ids: Mapping[str, str],
    timezone: str,
) -> Payloads:
    step = next((one for one in parsed.steps if one.id == done.row.step), None)
    if step is None:
        return Payloads(version, problem=f"Version {version} of the mapping has no such step.")
    read = tuple(_fact(path, facts) for path in _paths(step))
    compiled = next(one for one in compile_mapping(parsed).steps if one.id == step.id)
    known = {other: ids.get(other, f"(id of {other})") for other in compiled.depends_on}
    try:
        made = compiled.render(facts, ids=known, timezone=zone(timezone))
    except RenderProblem as err:
        return Payloads(version, read, problem=f"{err.path}: {err.detail}")
    return Payloads(
        version,
        read,
        tuple(
            Sent(name, _shown(value), _MODES.get(made.update_modes.get(name, "")))
            for name, value in made.fields.items()
        ),
        tuple(
            ", ".join(f"{name} = {_shown(value)}" for name, value in way.items())
            for way in made.matches
        ),
    )


def _ids(found: Voicemail, row: Delivery) -> dict[str, str]:
    return {
        one.row.step: one.row.record_id
        for one in found.done
        if one.row.mapping_id == row.mapping_id and one.row.record_id
    }


def _paths(step: Step) -> list[str]:
    """Name what a step reads of the event, in the order in which it does."""
    targets = [*step.targets, *(one for way in step.matches for one in way)]
    return list(dict.fromkeys(path for one in targets for path in _read_by(one.directive)))


def _read_by(directive: Directive) -> Sequence[str]:
    match directive.source:
        case From(paths):
            return paths
        case Text(template):
            return template.paths
        case Items(items):
            return [path for one in items for path in _read_by(one)]
        case _:
            return ()


def _fact(path: str, facts: dict[str, Any]) -> Fact:
    field, value = find_field(path), getter(path)(facts)
    return Fact(path, field.label if field else path, None if value is None else _shown(value))


def _shown(value: Any) -> str:
    if value is None:
        return "(cleared)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
