"""What a browser would send of a form that nobody has touched."""

from __future__ import annotations

from html.parser import HTMLParser


class _Reader(HTMLParser):
    """Collects names and values of one form: inputs, selects, text areas."""

    def __init__(self, form_id: str) -> None:
        """Look for the form of this id."""
        super().__init__()
        self.form_id = form_id
        self.found: list[tuple[str, str]] = []
        self._inside = False
        self._select: str | None = None
        self._chosen: str | None = None
        self._area: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a field."""
        own = dict(attrs)
        name = own.get("name")
        if tag == "form":
            self._inside = own.get("id") == self.form_id
        elif not self._inside:
            return
        elif tag == "input" and name:
            if own.get("type") not in {"checkbox", "radio"} or "checked" in own:
                self.found.append((name, own.get("value") or ""))
        elif tag == "select":
            self._select, self._chosen = name, None
        elif tag == "option" and (self._chosen is None or "selected" in own):
            self._chosen = own.get("value") or ""
        elif tag == "textarea":
            self._area, self._text = name, ""

    def handle_data(self, data: str) -> None:
        """Note the text of an area."""
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        """Close a field or the form."""
        if tag == "textarea" and self._area:
            self.found.append((self._area, self._text))
            self._area = None
        elif tag == "select" and self._select:
            self.found.append((self._select, self._chosen or ""))
            self._select = None
        elif tag == "form":
            self._inside = False


def fields(html: str, form_id: str, **changed: str) -> dict[str, list[str]]:
    """Give what is sent of the form of this id, with some fields changed; ``__`` in a name is a dot."""
    reader = _Reader(form_id)
    reader.feed(html)
    wanted = {name.replace("__", "."): value for name, value in changed.items()}
    data: dict[str, list[str]] = {}
    for name, value in reader.found:
        if name not in wanted:
            data.setdefault(name, []).append(value)
    return data | {name: [value] for name, value in wanted.items()}
