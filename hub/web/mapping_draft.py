"""What stands in the mapping editor, as text or as a form; it is given back whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import request

from mappings.document import load
from mappings.edits import edit
from mappings.filled import Filled, read
from mappings.form import Unshowable, show
from mappings.problem import InvalidMapping, Location
from mappings.rewrite import lost_comments, rewrite, with_comments

_LONGEST_NAME, _LONGEST_NOTE = 80, 200


@dataclass(slots=True)
class Draft:
    """A mapping being written.

    ``text`` is the text as it was opened, or as it stands in the YAML view. In the form view ``data`` is what the form
    says; ``focus`` is where to go on, ``tool`` the button that was pressed there, ``more`` the row that gets one more
    line.
    """

    text: str
    name: str
    connection_id: str
    expected_version: int | None = None
    note: str = ""
    event_id: str = ""
    view: str = "yaml"
    data: dict[str, Any] = field(default_factory=dict)
    focus: Location | None = None
    tool: str = ""
    more: Location | None = None

    @classmethod
    def sent(cls, connection_id: str, name: str = "") -> Draft:
        """Read the form that a browser sent."""
        form = request.form
        number = form.get("expected_version", "")
        made = cls(
            text=form.get("text", "").replace("\r\n", "\n"),
            name=form.get("name", name).strip()[:_LONGEST_NAME],
            connection_id=connection_id,
            expected_version=int(number) if number.isdigit() else None,
            note=form.get("note", "").strip()[:_LONGEST_NOTE],
            event_id=form.get("event", ""),
        )
        if form.get("view") == "form":
            made.view = "form"
            made.data = turned(list(form.items(multi=True))).data
        return made

    def open_as_form(self) -> str | None:
        """Show the text as a form from now on; gives the reason when it cannot be shown so."""
        try:
            self.data = read(show(load(self.text)).pairs()).data
        except InvalidMapping as err:
            return f"The text cannot be read as it stands: {err.problems[0]}"
        except Unshowable as err:
            return f"The text is not built like a mapping: {err}"
        self.view = "form"
        return None

    def written(self) -> str:
        """Give the text that says what stands in the editor."""
        if self.view == "yaml":
            return self.text
        try:
            opened = read(show(load(self.text)).pairs()).data
        except (InvalidMapping, Unshowable):
            opened = None
        return self.text if opened == self.data else rewrite(self.text, self.data)

    def lost(self) -> list[str]:
        """List the comments that have no place in the text any more."""
        return lost_comments(self.text, self.written()) if self.view == "form" else []

    def settle(self, *, keeps_comments: bool) -> None:
        """Take what the form says as the text from now on."""
        lost, text = self.lost(), self.written()
        self.text = with_comments(text, lost) if keeps_comments else text
        self.view = "yaml"


def turned(pairs: Sequence[tuple[str, str]]) -> Filled:
    """Read a form in which some fields were told to get their value in another way than before."""
    before, turns = [], []
    was = {name: value for name, value in pairs if name.endswith(".was")}
    for name, value in pairs:
        old = was.get(name.removesuffix(".kind") + ".was") if name.endswith(".kind") else None
        if old and old != value:
            turns.append(f"kind-{value}:{name.removesuffix('.kind')}")
        before.append((name, old or value))
    found = read(before)
    for action in turns:
        found = Filled(edit(found, action).data, found.places)
    return found
