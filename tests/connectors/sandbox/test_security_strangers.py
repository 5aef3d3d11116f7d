"""A sandbox is for this machine's people: web sites that their browsers visit neither read nor change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from connectors.salesforce.sandbox import create_sandbox

URL = "http://127.0.0.1:9001"


@pytest.fixture(name="browser")
def _browser(tmp_path: Path) -> Iterator[FlaskClient]:
    with create_sandbox(tmp_path, public_url=URL).test_client() as browser:
        yield browser


@pytest.mark.parametrize("path", ["/", "/_sandbox/records.json", "/services/oauth2/authorize"])
def test_a_strange_name_that_leads_here_reads_nothing(browser: FlaskClient, path: str) -> None:
    """A site whose name is pointed at this machine is refused by the name that its browser sends."""
    answer = browser.get(path, base_url="http://evil.example:9001")

    assert answer.status_code == 403


@pytest.mark.parametrize("switch", ["clear", "revoke", "expire"])
def test_a_strange_page_switches_nothing(browser: FlaskClient, switch: str) -> None:
    """A form on another site can be sent here by a browser, and is refused by where it stands."""
    answer = browser.post(
        f"/_sandbox/{switch}", base_url=URL, headers={"Origin": "https://evil.example"}
    )

    assert answer.status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": URL}], ids=["program", "page"])
def test_programs_and_own_pages_go_on(browser: FlaskClient, headers: dict[str, str]) -> None:
    """Programs say no origin, and the sandbox's own pages say its own."""
    assert browser.get("/", base_url=URL, headers=headers).status_code == 200
    assert browser.post("/_sandbox/clear", base_url=URL, headers=headers).status_code == 204
