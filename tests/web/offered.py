"""What a page offers: its links, and its forms and buttons that can be pressed, each with where it leads."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

#: Attributes with an address that a script asks, and how.
_BY_SCRIPT = {
    "hx-get": "GET",
    "hx-post": "POST",
    "data-live": "GET",
    "data-pass": "POST",
    "data-result": "GET",
}


@dataclass(frozen=True, order=True, slots=True)
class Offer:
    """A way on: the method and the address, made whole."""

    method: str
    url: str


@dataclass
class _Form:
    method: str
    action: str


@dataclass
class Offers(HTMLParser):
    """Reads a page; ``found`` holds its offers to our own addresses."""

    here: str
    html: str
    found: set[Offer] = field(default_factory=set)
    _forms: dict[str, _Form] = field(default_factory=dict)
    _open: list[_Form] = field(default_factory=list)
    _disabled: list[str] = field(default_factory=list)
    _late: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read it to its end; buttons may name a form that stands below them."""
        super().__init__()
        self.feed(self.html)
        for name, button in self._late:
            if name in self._forms:
                self._press(self._forms[name], button)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link, a form, or what sends one."""
        at = {name: value or "" for name, value in attrs}
        if tag == "fieldset" and ("disabled" in at or self._disabled):
            self._disabled.append(tag)
        if tag == "form":
            made = _Form(at.get("method", "get").upper(), at.get("action", self.here))
            self._open.append(made)
            if at.get("id"):
                self._forms[at["id"]] = made
        # Buttons that wait for a tick are turned off by a script only, and may be pressed without one.
        if not self._disabled and ("disabled" not in at or "data-needs-ticked" in at):
            self._offer(tag, at)

    def _offer(self, tag: str, at: dict[str, str]) -> None:
        for name, method in _BY_SCRIPT.items():
            if name in at:
                self._add(method, at[name])
        name = {"a": "href", "audio": "src"}.get(tag)
        if name and at.get(name):
            self._add("GET", at[name])
        if tag == "button" and at.get("type", "submit") == "submit":
            if "form" in at:
                self._late.append((at["form"], at))
            elif self._open:
                self._press(self._open[-1], at)

    def handle_endtag(self, tag: str) -> None:
        """Close a form, or a part that is turned off."""
        if tag == "form" and self._open:
            self._open.pop()
        if tag == "fieldset" and self._disabled:
            self._disabled.pop()

    def _press(self, form: _Form, button: dict[str, str]) -> None:
        method = button.get("formmethod", form.method).upper()
        if method != "DIALOG":
            self._add(method, button.get("formaction", form.action))

    def _add(self, method: str, url: str) -> None:
        whole = urlsplit(urljoin(f"http://here{self.here}", url))
        if whole.netloc == "here" and whole.scheme == "http":
            query = f"?{whole.query}" if whole.query and method == "GET" else ""
            self.found.add(Offer(method, whole.path + query))
