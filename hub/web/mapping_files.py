"""Mappings as files: written out as YAML or JSON, and brought in as a new mapping that is not saved yet."""

from __future__ import annotations

import re

from flask import Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db.connections import Connection
from hub.db.people import Role
from hub.web import mapping_editor
from hub.web.mapping_rows import find, pages, version_row
from hub.web.viewer import needs, the_hub, viewer
from mappings.limits import MAX_TEXT_BYTES
from mappings.source import dump_json, load

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@pages.get("/<mapping_id>/file")
@needs(Role.VIEWER)
def export(mapping_id: str) -> ResponseReturnValue:
    """Give a mapping as a file: the text as it was written, or as JSON; of any version."""
    found = find(mapping_id)
    row = found.version
    if (number := request.args.get("version", type=int)) is not None:
        with the_hub().tenant(viewer().tenant_id) as session:
            row = version_row(session, mapping_id, number)
    is_json = request.args.get("as") == "json"
    name = _UNSAFE.sub("-", found.row.name).strip("-.") or "mapping"
    answer = Response(
        dump_json(load(row.source)) if is_json else row.source,
        content_type="application/json" if is_json else "application/yaml; charset=utf-8",
    )
    ending = "json" if is_json else "yaml"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}-v{row.number}.{ending}"'
    return answer


@pages.post("/file")
@needs(Role.MAPPER)
def bring_in() -> ResponseReturnValue:
    """Open a file in the editor as a new mapping; nothing is saved."""
    with the_hub().tenant(viewer().tenant_id) as session:
        connection = session.scalars(
            select(Connection).where(Connection.id == request.form.get("connection", ""))
        ).one_or_none()
    if connection is None:
        abort(404)
    file = request.files.get("file")
    content = file.read(MAX_TEXT_BYTES + 1) if file else b""
    problem = _problem(content)
    if problem:
        flash(problem, "error")
        return redirect(url_for(".new"), 303)
    name = re.sub(r"(-v\d+)?\.(ya?ml|json)\Z", "", (file.filename if file else "") or "")
    text = content.decode("utf-8").replace("\r\n", "\n")
    return mapping_editor.opened_with(text, name[:80], connection)


def _problem(content: bytes) -> str | None:
    """Say why a file cannot be taken."""
    if not content.strip():
        return "Choose a file that holds a mapping, in YAML or JSON."
    if len(content) > MAX_TEXT_BYTES:
        return f"The file is larger than {MAX_TEXT_BYTES // 1024} KiB."
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return "The file is no text in UTF-8."
    return "The file holds a character that no text holds." if "\x00" in text else None
