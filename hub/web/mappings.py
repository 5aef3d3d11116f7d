"""The list of mappings, and turning them on and off; with the pages of editor, versions and files."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import mappings as kept
from hub.db.connections import Connection
from hub.db.mappings import FieldMapping, MappingVersion
from hub.db.people import Role
from hub.web import mapping_editor, mapping_files, mapping_versions
from hub.web.mapping_rows import pages
from hub.web.viewer import needs, the_hub, viewer

__all__ = ["mapping_editor", "mapping_files", "mapping_versions", "pages"]


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


@pages.post("/<mapping_id>/remove")
@needs(Role.MAPPER)
def remove(mapping_id: str) -> ResponseReturnValue:
    """Put a mapping away that is off; what it wrote and its versions stay."""
    me = viewer()
    with the_hub().tenant(me.tenant_id) as session:
        try:
            row = kept.locked(session, mapping_id)
        except LookupError:
            abort(404)
        name, is_active = row.name, row.is_active
        if not is_active:
            kept.archive(session, mapping_id, actor=me.actor)
    if is_active:
        flash(f"{name} is in use. Turn it off first.", "error")
    else:
        flash(f"{name} is removed. The records that it wrote stay.")
    return redirect(url_for(".show"), 303)
