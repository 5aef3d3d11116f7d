"""The mapping editor: one document as a form or as text, with check, preview, dry run and saving."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from connectors.errors import ConnectorError
from hub.db import audit
from hub.db import mappings as kept
from hub.db.connections import Connection
from hub.db.mappings import EditConflict, NameTaken
from hub.db.people import Role
from hub.delivery import look_up
from hub.delivery.rehearsal import Rehearsal, rehearse
from hub.web import editor, mapping_page, mapping_sides, reading
from hub.web.display import zone
from hub.web.editor import Checked, Preview
from hub.web.mapping_conflict import Conflict, conflict_of
from hub.web.mapping_draft import Draft
from hub.web.mapping_rows import Found, find, pages
from hub.web.reading import Voicemail
from hub.web.viewer import needs, the_hub, viewer
from mappings.catalogue import catalogue, example_facts
from mappings.document import load, parse, read
from mappings.edits import edit as edited
from mappings.event import with_transcript_text
from mappings.filled import read as read_form
from mappings.form import show
from mappings.presets import VERTICALS, presets
from mappings.problem import InvalidMapping, Problem
from mappings.render import compile_mapping
from mappings.rewrite import with_comments

EXAMPLE = "example"
_RECENT = 15
#: How many voicemails a dry run may look at.
REHEARSED = (100, 500, 2_000)
_BLANK = """\
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}
steps:
  - id: first
    object: null
    set: {}
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the editor shows beside the draft."""

    checked: Checked | None = None
    preview: Preview | None = None
    rehearsal: Rehearsal | None = None
    rehearsal_problems: tuple[Problem, ...] = ()
    problem: str | None = None
    conflict: Conflict | None = None
    #: Whether a preview is to be there again with the next edit.
    is_previewing: bool = False
    side: mapping_sides.AccountSide | None = None
    #: What to do once a person has said what becomes of comments that lost their place, and these.
    asks: str | None = None
    lost: tuple[str, ...] = ()


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
        trade = request.args.get("trade", "")
        offers = [
            (one, [it for it in presets(one.connector) if not trade or trade in it.verticals])
            for one in connections
        ]
        return render_template("mappings/new.html", offers=offers, verticals=VERTICALS, trade=trade)
    chosen = request.args.get("preset", "")
    preset = next((one for one in presets(connection.connector) if one.name == chosen), None)
    draft = Draft(
        text=preset.text if preset else _BLANK,
        name=preset.title if preset else "",
        connection_id=connection.id,
    )
    return _opened(draft, connection)


@pages.post("/new")
@needs(Role.MAPPER)
def create() -> ResponseReturnValue:
    """Edit, check, preview or save a mapping that does not exist yet."""
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
    """Show a mapping as it is in use, ready to be edited."""
    found = find(mapping_id)
    draft = Draft(
        text=found.version.source,
        name=found.row.name,
        connection_id=found.connection.id,
        expected_version=found.newest,
    )
    return _opened(draft, found.connection, found)


@pages.post("/<mapping_id>")
@needs(Role.MAPPER)
def edit(mapping_id: str) -> ResponseReturnValue:
    """Edit, check, preview or save the next version."""
    found = find(mapping_id)
    return _act(Draft.sent(found.connection.id, found.row.name), found.connection, found)


def opened_with(text: str, name: str, connection: Connection) -> ResponseReturnValue:
    """Open the editor for a new mapping with a text that somebody brought along."""
    return _opened(Draft(text=text, name=name, connection_id=connection.id), connection)


def _opened(draft: Draft, connection: Connection, found: Found | None = None) -> str:
    problem = None
    if request.args.get("view") != "yaml":
        problem = draft.open_as_form()
    return _editor(draft, connection, found, Shown(problem=problem))


def _act(draft: Draft, connection: Connection, found: Found | None) -> ResponseReturnValue:
    wanted = request.form.get("do", "check")
    word, _, fate = wanted.partition("--")
    if word in {"save", "to-yaml"} and (lost := draft.lost()) and not fate:
        return _editor(draft, connection, found, Shown(asks=word, lost=tuple(lost)))
    if word == "save":
        return _save(draft, connection, found, fate)
    if word == "to-yaml":
        draft.settle(keeps_comments=fate == "top")
        return _editor(draft, connection, found, Shown())
    if word == "to-form":
        return _editor(draft, connection, found, Shown(problem=draft.open_as_form()))
    if word in {"theirs", "merge"} and found is not None:
        return _resolved(draft, connection, found, word)
    return _editor(draft, connection, found, _shown(draft, connection, found, word, wanted))


def _shown(
    draft: Draft, connection: Connection, found: Found | None, word: str, wanted: str
) -> Shown:
    hub, me = the_hub(), viewer()
    if word in {"preview", "look"}:
        return _previewed(draft, connection, found, looks_up=word == "look")
    if word == "rehearse":
        return _rehearsed(draft, found)
    if draft.view == "yaml":
        return Shown(checked=editor.check_text(hub, me.tenant_id, connection.id, draft.text))
    objects = [step.object for step in read(draft.data).document.steps]
    if word in {"refresh", "check"}:
        is_all = word == "refresh"
        return Shown(
            side=mapping_sides.asked(hub, me.tenant_id, connection.id, objects, refresh=is_all)
        )
    side = mapping_sides.remembered(hub, me.tenant_id, connection.id, objects)
    filled = read_form(show(draft.data).pairs())
    made = edited(filled, wanted, side.directives(draft.data.get("steps", [])))
    draft.data, draft.focus, draft.more = made.data, made.focus, made.more
    pressed = wanted.partition(":")[0]
    draft.tool = pressed if pressed in {"up", "down"} else ""
    return _previewed_still(draft, connection, found)


def _previewed_still(draft: Draft, connection: Connection, found: Found | None) -> Shown:
    """Keep a preview that is looked at in step with what is typed; what cannot be tried has none until it is mended.

    Not for patients' words: each preview of them is a reading that a person asks for.
    """
    if request.form.get("shown") != "preview" or (viewer().is_phi and draft.event_id != EXAMPLE):
        return Shown()
    shown = _previewed(draft, connection, found, looks_up=False)
    is_whole = shown.preview is not None and not shown.preview.problems
    return shown if is_whole else Shown(is_previewing=True)


def _save(
    draft: Draft, connection: Connection, found: Found | None, fate: str
) -> ResponseReturnValue:
    me, hub = viewer(), the_hub()
    text = with_comments(draft.written(), draft.lost() if fate == "top" else [])
    checked = editor.check_text(hub, me.tenant_id, connection.id, text)
    if checked.errors or checked.document is None or not draft.name:
        problem = None if draft.name else "Give the mapping a name."
        return _editor(draft, connection, found, Shown(checked=checked, problem=problem)), 422
    try:
        with hub.tenant(me.tenant_id) as session:
            row = kept.save(
                session,
                connection_id=connection.id,
                name=draft.name,
                document=checked.document,
                source=text,
                author=me.actor,
                note=draft.note,
                mapping_id=found.row.id if found else None,
                expected_version=draft.expected_version if found else None,
            )
    except NameTaken as err:
        problem = f"{err} Choose another name."
        return _editor(draft, connection, found, Shown(problem=problem)), 409
    except EditConflict as err:
        return _conflict(draft, connection, err.newest), 409
    flash(f"Version {row.version} of {row.name} is in use from now on.")
    view = None if draft.view == "form" else draft.view
    return redirect(url_for(".one", mapping_id=row.id, saved=row.version, view=view), 303)


def _conflict(draft: Draft, connection: Connection, newest: int) -> str:
    """Show what somebody saved meanwhile beside what was typed, which stays in the editor."""
    found = find(request.view_args["mapping_id"] if request.view_args else "")
    conflict = conflict_of(found.row.id, draft.expected_version or 0, newest, draft.written())
    draft.expected_version = newest
    return _editor(draft, connection, found, Shown(conflict=conflict))


def _resolved(draft: Draft, connection: Connection, found: Found, word: str) -> str:
    """Go on with the other's text, or with one that holds the changes of both."""
    base = request.form.get("base_version", "")
    conflict = conflict_of(
        found.row.id, int(base) if base.isdigit() else 0, found.newest, draft.written()
    )
    draft.expected_version = found.newest
    if word == "theirs":
        draft.text, draft.view = conflict.theirs.row.source, "yaml"
        flash(f"This is version {found.newest}. Your text stands below it, until you leave.")
        draft.open_as_form()
        return _editor(draft, connection, found, Shown(conflict=replace(conflict, is_settled=True)))
    draft.text, draft.view = conflict.merged.text, "yaml"
    shown = Shown(
        checked=editor.check_text(the_hub(), viewer().tenant_id, connection.id, draft.text)
    )
    return _editor(
        draft, connection, found, replace(shown, conflict=replace(conflict, is_settled=True))
    )


def _previewed(
    draft: Draft, connection: Connection, found: Found | None, *, looks_up: bool
) -> Shown:
    """Render for the chosen voicemail; for tenants with health data that is a reading."""
    hub, me = the_hub(), viewer()
    facts = example_facts() if draft.event_id == EXAMPLE else _read(draft.event_id).data
    preview = editor.preview(draft.written(), facts, zone(me.timezone))
    if not looks_up or preview.problems:
        return Shown(preview=preview)
    wanted = {
        step.id: (step.object, step.rendered) for step in preview.steps if step.rendered is not None
    }
    made_for = (draft.event_id, found.row.id) if found and draft.event_id != EXAMPLE else None
    try:
        present = look_up.look_up(hub, me.tenant_id, connection.id, wanted, made_for=made_for)
    except ConnectorError as err:
        return Shown(preview=preview, problem=f"The account could not be asked: {err.detail}")
    with hub.tenant(me.tenant_id) as session:
        facts_read = {"records": sum(len(one.candidates) for one in present.values())}
        audit.record(
            session,
            actor=me.actor,
            action="records.looked_up",
            target=connection.id,
            facts=facts_read,
        )
    return Shown(preview=editor.beside(preview, present))


def _read(event_id: str) -> Voicemail:
    """Open a voicemail for a person's eyes."""
    me, hub = viewer(), the_hub()
    with hub.tenant(me.tenant_id) as session:
        voicemail = reading.one(hub, session, event_id)
        if voicemail is None or not voicemail.is_readable:
            abort(404)
        if me.is_phi:
            audit.record(session, actor=me.actor, action="voicemail.read", target=event_id)
    return voicemail


def _rehearsed(draft: Draft, found: Found | None) -> Shown:
    """Try the latest voicemails; only numbers are shown."""
    me, hub = viewer(), the_hub()
    number = request.form.get("latest", "")
    latest = int(number) if number.isdigit() and int(number) in REHEARSED else REHEARSED[0]
    try:
        mapping = compile_mapping(parse(load(draft.written())))
    except InvalidMapping as err:
        return Shown(rehearsal_problems=err.problems)
    rehearsal = rehearse(
        hub,
        me.tenant_id,
        mapping,
        mapping_id=found.row.id if found else None,
        latest=latest,
        timezone=zone(me.timezone),
    )
    if me.is_phi:
        with hub.tenant(me.tenant_id) as session:
            audit.record(
                session,
                actor=me.actor,
                action="mapping.rehearsed",
                target=found.row.id if found else "new",
                facts={"voicemails": rehearsal.voicemails},
            )
    return Shown(rehearsal=rehearsal)


def _editor(draft: Draft, connection: Connection, found: Found | None, shown: Shown) -> str:
    me, hub = viewer(), the_hub()
    recent = reading.latest(hub, me.tenant_id, size=_RECENT)
    reading.note_listed(hub, me, recent)
    bodies = {one.row.id: one.data for one in recent if one.is_readable}
    if not draft.event_id:
        draft.event_id = editor.first_match(draft.text, bodies) or EXAMPLE
    page = None
    if draft.view == "form":
        page = _page(draft, connection, shown, recent, bodies)
    return render_template(
        "mappings/edit.html",
        draft=draft,
        connection=connection,
        found=found,
        shown=shown,
        checked=shown.checked or (page.checked if page else None),
        page=page,
        recent=recent,
        example=EXAMPLE,
        rehearsed=REHEARSED,
        catalogue=catalogue(),
        again=_again(found) if found and request.args.get("saved") else None,
    )


def _page(
    draft: Draft,
    connection: Connection,
    shown: Shown,
    recent: tuple[Voicemail, ...],
    bodies: dict[str, dict[str, Any]],
) -> mapping_page.FormPage:
    me = viewer()
    objects = [step.object for step in read(draft.data).document.steps]
    side = shown.side or mapping_sides.remembered(the_hub(), me.tenant_id, connection.id, objects)
    # What a patient said is shown only when somebody asks for it, and then it is written down.
    body = None if me.is_phi else bodies.get(draft.event_id)
    facts = with_transcript_text(body) if body else example_facts()
    return mapping_page.build(
        draft,
        side,
        mapping_sides.event_fields(recent, is_phi=me.is_phi),
        facts,
        zone(me.timezone),
    )


def _again(found: Found) -> int:
    """Count the records that earlier versions made, of which the newest could make better ones."""
    with the_hub().tenant(viewer().tenant_id) as session:
        return kept.made_by_earlier(session, found.row.id, found.row.version)
