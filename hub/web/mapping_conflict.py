"""Two people who edited one mapping: what each changed, and a text with the changes of both."""

from __future__ import annotations

from dataclasses import dataclass

from hub.web import editor
from hub.web.mapping_rows import Saved, authors, version_row
from hub.web.viewer import the_hub, viewer
from mappings.diff import Change, diff
from mappings.document import load, parse
from mappings.merge import Merged, merge
from mappings.problem import InvalidMapping


@dataclass(frozen=True, slots=True)
class Conflict:
    """What somebody saved meanwhile (``theirs``) and what was typed (``mine``), both begun from ``base_version``."""

    theirs: Saved
    mine: str
    base_version: int
    merged: Merged
    their_changes: tuple[Change, ...]
    my_changes: tuple[Change, ...]
    lines: list[tuple[str, str]]
    is_settled: bool = False


def conflict_of(mapping_id: str, base_version: int, newest: int, mine: str) -> Conflict:
    """Put both sides beside the version from which they began."""
    with the_hub().tenant(viewer().tenant_id) as session:
        theirs = version_row(session, mapping_id, newest)
        base = version_row(session, mapping_id, base_version or newest)
        author = authors(session, [theirs]).get(theirs.author, theirs.author)
    return Conflict(
        theirs=Saved(theirs, author),
        mine=mine,
        base_version=base.number,
        merged=merge(base.source, mine, theirs.source, whose=f"version {newest}, {author}"),
        their_changes=changes_between(base.source, theirs.source),
        my_changes=changes_between(base.source, mine),
        lines=editor.difference(theirs.source, mine),
    )


def changes_between(old: str, new: str) -> tuple[Change, ...]:
    """List what changed by path; nothing where one of the two cannot be read."""
    try:
        return tuple(diff(parse(load(old)), parse(load(new))))
    except InvalidMapping:
        return ()
