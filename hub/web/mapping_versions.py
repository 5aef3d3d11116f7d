"""Saved versions of a mapping: who saved which and why, what changed, and going back to one."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import mappings as kept
from hub.db.mappings import MappingVersion
from hub.db.people import Role
from hub.web import editor
from hub.web.mapping_conflict import changes_between
from hub.web.mapping_rows import Saved, authors, find, pages, version_row
from hub.web.viewer import needs, the_hub, viewer


@pages.get("/<mapping_id>/versions")
@needs(Role.VIEWER)
def versions(mapping_id: str) -> ResponseReturnValue:
    """List all saved versions, the newest first."""
    found = find(mapping_id)
    with the_hub().tenant(viewer().tenant_id) as session:
        rows = session.scalars(
            select(MappingVersion)
            .where(MappingVersion.mapping_id == mapping_id)
            .order_by(MappingVersion.number.desc())
            .limit(200)
        ).all()
        names = authors(session, rows)
        again = kept.made_by_earlier(session, mapping_id, found.row.version)
    saved = [Saved(row, names.get(row.author, row.author)) for row in rows]
    return render_template("mappings/versions.html", found=found, saved=saved, again=again)


@pages.get("/<mapping_id>/versions/<int:number>")
@needs(Role.VIEWER)
def version(mapping_id: str, number: int) -> ResponseReturnValue:
    """Show one version and how it differs from the one before it, or from the one that is asked for."""
    found = find(mapping_id)
    against = request.args.get("against", type=int) or max(number - 1, 1)
    with the_hub().tenant(viewer().tenant_id) as session:
        this, other = (
            version_row(session, mapping_id, number),
            version_row(session, mapping_id, against),
        )
        author = authors(session, [this]).get(this.author, this.author)
    return render_template(
        "mappings/version.html",
        found=found,
        saved=Saved(this, author),
        against=against,
        by_path=changes_between(other.source, this.source),
        changes=editor.difference(other.source, this.source),
    )


@pages.post("/<mapping_id>/versions/<int:number>/use")
@needs(Role.MAPPER)
def use(mapping_id: str, number: int) -> ResponseReturnValue:
    """Save an older version once more, as the newest one; every version stays."""
    me = viewer()
    with the_hub().tenant(me.tenant_id) as session:
        old = version_row(session, mapping_id, number)
        try:
            mapping = kept.locked(session, mapping_id)
        except LookupError:
            abort(404)
        row = kept.save(
            session,
            connection_id=mapping.connection_id,
            name=mapping.name,
            document=old.document,
            source=old.source,
            author=me.actor,
            note=f"As version {number} was",
            mapping_id=mapping_id,
        )
    flash(f"Version {row.version} of {row.name}, as version {number} was, is in use from now on.")
    return redirect(url_for(".versions", mapping_id=mapping_id, saved=row.version), 303)
