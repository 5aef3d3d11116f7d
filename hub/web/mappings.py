"""Mappings: the list, the editor with check and preview, versions, and going back to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import audit
from hub.db import mappings as kept
from hub.db.connections import Connection
from hub.db.mappings import EditConflict, FieldMapping, MappingVersion, NameTaken
from hub.db.people import Person, Role
from hub.db.tenancy import TenantSession
from hub.web import editor, reading
from hub.web.display import zone
from hub.web.editor import Checked, Preview
from hub.web.viewer import needs, the_hub, viewer
from mappings.catalogue import catalogue, example_facts
from mappings.presets import VERTICALS, presets

pages = Blueprint("mappings", __name__, url_prefix="/mappings")
_EXAMPLE = "example"
_RECENT = 15
_LONGEST_NAME, _LONGEST_NOTE = 80, 200


@dataclass(slots=True)
class Draft:
    """What stands in the editor's form; it is given back whatever happens."""

    text: str
    name: str
    connection_id: str
    expected_version: int | None = None
    note: str = ""
    event_id: str = ""

    @classmethod
    def sent(cls, connection_id: str, name: str = "") -> Draft:
        """Read the form."""
        form = request.form
        number = form.get("expected_version", "")
        return cls(
            text=form.get("text", "").replace("\r\n", "\n"),
            name=form.get("name", name).strip()[:_LONGEST_NAME],
            connection_id=connection_id,
            expected_version=int(number) if number.isdigit() else None,
            note=form.get("note", "").strip()[:_LONGEST_NOTE],
            event_id=form.get("event", ""),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A mapping with its connection, the version in use, and the newest number."""

    row: FieldMapping
    connection: Connection
    version: MappingVersion
    newest: int


@dataclass(frozen=True, slots=True)
class Saved:
    """One saved version and who saved it."""

    row: MappingVersion
    author: str


@pages.get("")
@needs(Role.VIEWER)
def show() -> ResponseReturnValue:
    """List the mappings, those in use first."""
    with the_hub().tenant(viewer().tenant_id) as session:
        rows = session.execute(
            select(FieldMapping, Connection, MappingVersion)
            .join(Connection, Connection.id == FieldMapping.connection_id)
            .join(
                MappingVersion,
                (MappingVersion.mapping_id == FieldMapping.id)
                & (MappingVersion.number == FieldMapping.version),
            )
            .where(FieldMapping.archived_at.is_(None))
            .order_by(FieldMapping.is_active.desc(), FieldMapping.name)
        ).all()
        connections = session.scalars(
            select(Connection).order_by(Connection.created_at, Connection.id)
        ).all()
    return render_template("mappings/list.html", rows=rows, connections=connections)


@pages.get("/new")
@needs(Role.MAPPER)
def new() -> ResponseReturnValue:
    """Choose a connection and a preset; with both chosen, open the editor."""
    with the_hub().tenant(viewer().tenant_id) as session:
        connections = session.scalars(
            select(Connection).order_by(Connection.label, Connection.id)
        ).all()
    wanted = request.args.get("connection", "")
    connection = next((one for one in connections if one.id == wanted), None)
    if wanted and connection is None:
        abort(404)
    if connection is None:
        offers = [(one, presets(one.connector)) for one in connections]
        return render_template("mappings/new.html", offers=offers, verticals=VERTICALS)
    chosen = request.args.get("preset", "")
    preset = next((one for one in presets(connection.connector) if one.name == chosen), None)
    draft = Draft(
        text=preset.text if preset else _BLANK,
        name=preset.title if preset else "",
        connection_id=connection.id,
    )
    return _editor(draft, connection)


_BLANK = """\
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}
steps:
  - id: first
    object:
    set: {}
"""


@pages.post("/new")
@needs(Role.MAPPER)
def create() -> ResponseReturnValue:
    """Check, preview or save a mapping that does not exist yet."""
    with the_hub().tenant(viewer().tenant_id) as session:
        connection = session.scalars(
            select(Connection).where(Connection.id == request.form.get("connection", ""))
        ).one_or_none()
    if connection is None:
        abort(404)
    return _act(Draft.sent(connection.id), connection, None)


@pages.get("/<mapping_id>")
@needs(Role.VIEWER)
def one(mapping_id: str) -> ResponseReturnValue:
    """Show a mapping's text as it is in use, ready to be edited."""
    found = _find(mapping_id)
    draft = Draft(
        text=found.version.source,
        name=found.row.name,
        connection_id=found.connection.id,
        expected_version=found.newest,
    )
    return _editor(draft, found.connection, found)


@pages.post("/<mapping_id>")
@needs(Role.MAPPER)
def edit(mapping_id: str) -> ResponseReturnValue:
    """Check, preview or save the next version."""
    found = _find(mapping_id)
    return _act(Draft.sent(found.connection.id, found.row.name), found.connection, found)


def _act(draft: Draft, connection: Connection, found: Found | None) -> ResponseReturnValue:
    wanted = request.form.get("do", "check")
    if wanted == "preview":
        return _editor(draft, connection, found, preview=_preview(draft))
    me = viewer()
    checked = editor.check_text(the_hub(), me.tenant_id, connection.id, draft.text)
    if wanted != "save":
        return _editor(draft, connection, found, checked=checked)
    if checked.errors or checked.document is None or not draft.name:
        problem = None if draft.name else "Give the mapping a name."
        return _editor(draft, connection, found, checked=checked, problem=problem), 422
    return _save(draft, connection, found, checked.document)


def _save(
    draft: Draft, connection: Connection, found: Found | None, document: dict[str, Any]
) -> ResponseReturnValue:
    me = viewer()
    try:
        with the_hub().tenant(me.tenant_id) as session:
            row = kept.save(
                session,
                connection_id=connection.id,
                name=draft.name,
                document=document,
                source=draft.text,
                author=me.actor,
                note=draft.note,
                mapping_id=found.row.id if found else None,
                expected_version=draft.expected_version if found else None,
            )
    except NameTaken as err:
        return _editor(draft, connection, found, problem=f"{err} Choose another name."), 409
    except EditConflict as err:
        return _conflict(draft, connection, err.newest), 409
    flash(f"Version {row.version} of {row.name} is in use from now on.")
    return redirect(url_for(".one", mapping_id=row.id), 303)


def _conflict(draft: Draft, connection: Connection, newest: int) -> str:
    """Show both texts: what somebody saved meanwhile, and what was typed, which stays in the editor."""
    found = _find(request.view_args["mapping_id"] if request.view_args else "")
    with the_hub().tenant(viewer().tenant_id) as session:
        theirs = _version(session, found.row.id, newest)
        author = _authors(session, [theirs]).get(theirs.author, theirs.author)
    draft.expected_version = newest
    return _editor(
        draft,
        connection,
        found,
        conflict=Saved(theirs, author),
        changes=editor.difference(theirs.source, draft.text),
    )


def _editor(
    draft: Draft,
    connection: Connection,
    found: Found | None = None,
    *,
    checked: Checked | None = None,
    preview: Preview | None = None,
    problem: str | None = None,
    conflict: Saved | None = None,
    changes: list[tuple[str, str]] | None = None,
) -> str:
    me, hub = viewer(), the_hub()
    recent = reading.latest(hub, me.tenant_id, size=_RECENT)
    reading.note_listed(hub, me, recent)
    if not draft.event_id:
        bodies = {one.row.id: one.data for one in recent if one.is_readable}
        draft.event_id = editor.first_match(draft.text, bodies) or ""
    return render_template(
        "mappings/edit.html",
        draft=draft,
        connection=connection,
        found=found,
        checked=checked,
        preview=preview,
        problem=problem,
        conflict=conflict,
        changes=changes,
        recent=recent,
        example=_EXAMPLE,
        catalogue=catalogue(),
    )


def _preview(draft: Draft) -> Preview:
    """Render the text for the chosen voicemail; for tenants with health data that is a reading."""
    me, hub = viewer(), the_hub()
    if draft.event_id == _EXAMPLE:
        return editor.preview(draft.text, example_facts(), zone(me.timezone))
    with hub.tenant(me.tenant_id) as session:
        voicemail = reading.one(hub, session, draft.event_id)
        if voicemail is None or not voicemail.is_readable:
            abort(404)
        if me.is_phi:
            audit.record(session, actor=me.actor, action="voicemail.read", target=draft.event_id)
    return editor.preview(draft.text, voicemail.data, zone(me.timezone))


@pages.post("/<mapping_id>/active")
@needs(Role.MAPPER)
def set_active(mapping_id: str) -> ResponseReturnValue:
    """Let a mapping apply to new voicemails, or not."""
    me, is_active = viewer(), request.form.get("active") == "yes"
    with the_hub().tenant(me.tenant_id) as session:
        try:
            row = kept.set_active(session, mapping_id, is_active=is_active, actor=me.actor)
        except LookupError:
            abort(404)
    flash(
        f"{row.name} applies to new voicemails."
        if is_active
        else f"{row.name} no longer applies to new voicemails. What is planned already goes on."
    )
    return redirect(url_for(".show"), 303)


@pages.get("/<mapping_id>/versions")
@needs(Role.VIEWER)
def versions(mapping_id: str) -> ResponseReturnValue:
    """List all saved versions, the newest first."""
    found = _find(mapping_id)
    with the_hub().tenant(viewer().tenant_id) as session:
        rows = session.scalars(
            select(MappingVersion)
            .where(MappingVersion.mapping_id == mapping_id)
            .order_by(MappingVersion.number.desc())
            .limit(200)
        ).all()
        authors = _authors(session, rows)
    saved = [Saved(row, authors.get(row.author, row.author)) for row in rows]
    return render_template("mappings/versions.html", found=found, saved=saved)


@pages.get("/<mapping_id>/versions/<int:number>")
@needs(Role.VIEWER)
def version(mapping_id: str, number: int) -> ResponseReturnValue:
    """Show one version and how it differs from the one before it, or from the one that is asked for."""
    found = _find(mapping_id)
    against = request.args.get("against", type=int) or max(number - 1, 1)
    with the_hub().tenant(viewer().tenant_id) as session:
        this, other = _version(session, mapping_id, number), _version(session, mapping_id, against)
        author = _authors(session, [this]).get(this.author, this.author)
    return render_template(
        "mappings/version.html",
        found=found,
        saved=Saved(this, author),
        against=against,
        changes=editor.difference(other.source, this.source),
    )


@pages.post("/<mapping_id>/versions/<int:number>/use")
@needs(Role.MAPPER)
def use(mapping_id: str, number: int) -> ResponseReturnValue:
    """Go back (or forward) to a version; every version stays."""
    me = viewer()
    with the_hub().tenant(me.tenant_id) as session:
        try:
            row = kept.publish(session, mapping_id, number, actor=me.actor)
        except LookupError:
            abort(404)
    flash(f"Version {number} of {row.name} is in use from now on.")
    return redirect(url_for(".versions", mapping_id=mapping_id), 303)


def _find(mapping_id: str) -> Found:
    with the_hub().tenant(viewer().tenant_id) as session:
        found = session.execute(
            select(FieldMapping, Connection, MappingVersion)
            .join(Connection, Connection.id == FieldMapping.connection_id)
            .join(
                MappingVersion,
                (MappingVersion.mapping_id == FieldMapping.id)
                & (MappingVersion.number == FieldMapping.version),
            )
            .where(FieldMapping.id == mapping_id, FieldMapping.archived_at.is_(None))
        ).one_or_none()
        if found is None:
            abort(404)
        return Found(found[0], found[1], found[2], kept.newest_number(session, mapping_id))


def _version(session: TenantSession, mapping_id: str, number: int) -> MappingVersion:
    row = session.scalars(
        select(MappingVersion).where(
            MappingVersion.mapping_id == mapping_id, MappingVersion.number == number
        )
    ).one_or_none()
    if row is None:
        abort(404)
    return row


def _authors(session: TenantSession, rows: Sequence[MappingVersion]) -> dict[str, str]:
    """Give the names of people who saved versions; keys and commands keep their own words."""
    ids = {row.author.removeprefix("person:") for row in rows}
    people = session.execute(select(Person.id, Person.name).where(Person.id.in_(ids)))
    return {f"person:{person_id}": name for person_id, name in people}
