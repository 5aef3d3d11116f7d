"""A person's browser in the tests: signed in, reading pages, and sending the forms that stand in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from hub.context import Hub
from hub.db import people
from hub.db.people import Role
from hub.web.viewer import COOKIE
from tests.conftest import Company, new_company

PASSWORD = "correct horse battery"


class Page(HTMLParser):
    """What tests look for in a page: forms with their fields, elements, and text."""

    def __init__(self, html: str) -> None:
        """Read a page."""
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.forms: list[dict[str, Any]] = []
        self._in_textarea: str | None = None
        self.feed(html)

    @property
    def text(self) -> str:
        """All text, spaces made single."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and forms with their hidden fields."""
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag == "form":
            self.forms.append(
                {
                    "action": found.get("action", ""),
                    "method": found.get("method", "get"),
                    "fields": {},
                }
            )
        elif tag in {"input", "button", "textarea"} and self.forms and found.get("name"):
            if tag == "textarea":
                self._in_textarea = found["name"]
            elif found.get("type") in {"hidden", "text", None}:
                self.forms[-1]["fields"].setdefault(found["name"], found.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        """Close a text field."""
        if tag == "textarea":
            self._in_textarea = None

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.words.append(data)
        if self._in_textarea is not None:
            self.forms[-1]["fields"][self._in_textarea] = data


@dataclass
class Visitor:
    """A browser of one person; ``csrf`` is the token of their pages."""

    client: FlaskClient
    company: Company
    csrf: str = ""

    def get(self, path: str, **words: Any) -> TestResponse:
        """Open a page."""
        return self.client.get(path, **words)

    def page(self, path: str) -> Page:
        """Open a page that must be there, and read it."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return Page(answer.text)

    def post(self, path: str, data: dict[str, Any] | None = None, **words: Any) -> TestResponse:
        """Send a form with the right token."""
        return self.client.post(path, data={"csrf": self.csrf} | (data or {}), **words)


def signed_in(
    app: Flask, hub: Hub, company: Company | None = None, *, role: Role = Role.OWNER
) -> Visitor:
    """Give the browser of a person who has this role; without a company, in a new one."""
    if company is None:
        company = new_company(hub, role=role)
    with hub.tenant(company.tenant_id) as session:
        token = people.start_sign_in(session, person_id=company.person_id, lasts=timedelta(hours=1))
    with hub.everyone("a test reads its own sign-in") as session:
        viewer = people.viewer(session, token=token, lasts=timedelta(hours=1))
    assert viewer is not None
    client = app.test_client()
    client.set_cookie(COOKIE, token)
    return Visitor(client, company, viewer.csrf_token)
