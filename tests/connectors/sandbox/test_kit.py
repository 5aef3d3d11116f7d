"""What the kit gives every sandbox; seen through the Salesforce sandbox, a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import running

from connectors.errors import Throttled
from connectors.record import Account, Lookup, OAuth, Write
from connectors.registry import connector

SALESFORCE = connector("salesforce")
assert isinstance(SALESFORCE.oauth, OAuth)
FACTS = SALESFORCE.oauth
AUTHORIZE = "/services/oauth2/authorize"


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory) -> Iterator[running.Sandbox]:
    with running.sandbox("salesforce", tmp_path_factory.mktemp("kit")) as box:
        yield box


@pytest.fixture(name="calm", autouse=True)
def _calm(request) -> Iterator[None]:
    yield
    if "box" in request.fixturenames:
        box = request.getfixturevalue("box")
        box.clear_faults()
        box.set(token_lifetime_s=7200, rotates_refresh=False, limits={"requests": 100_000})


def _account(box: running.Sandbox) -> Account:
    account = running.account(box, SALESFORCE, running.authorise(box, FACTS))
    assert list(SALESFORCE.prepare(account)) == []
    return account


def _lead(key: str, **fields: str) -> Write:
    return Write(key, "Lead", {"LastName": "Whitfield", "Company": "Interiors", **fields})


def _ask(box: running.Sandbox, **changes: str) -> object:
    asked = {
        "response_type": "code",
        "client_id": running.CLIENT_ID,
        "redirect_uri": running.REDIRECT_URI,
        "scope": "api refresh_token",
        "state": "s",
        **changes,
    }
    return box.http.get(box.url + AUTHORIZE, params=asked)


# Storage and processes.


@pytest.mark.processes
def test_records_and_tokens_survive_sigkill(tmp_path):
    """What was answered is there after kill -9, and tokens go on working."""
    box = running.start("salesforce", tmp_path)
    account = _account(box)
    (outcome,) = SALESFORCE.write(account, [_lead("kept")])
    box.kill()

    with running.sandbox("salesforce", tmp_path) as again:
        moved = replace(account, base_url=again.url)
        (found,) = SALESFORCE.find(moved, [Lookup("Lead", key="kept")])

    assert [c.record.id for c in found.candidates] == [outcome.record.id]


@pytest.mark.processes
def test_sigterm_stops_cleanly(tmp_path):
    """An operator's stop ends the process with exit code 0."""
    box = running.start("salesforce", tmp_path)
    box.stats()

    assert box.stop() == 0


@pytest.mark.processes
def test_a_used_port_is_told(tmp_path):
    """Starting on a port in use fails at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "connectors.sandbox.serve", "salesforce", "--port", port]
        ended = subprocess.run(
            [*command, "--folder", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=Path(__file__).parents[3],
        )

    assert ended.returncode not in {0, -signal.SIGKILL}
    assert "in use" in ended.stderr


# OAuth.


def test_a_stranger_gets_no_page(box):
    """An unknown client id is told to the person and never redirected."""
    answer = _ask(box, client_id="somebody")

    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "url", ["http://evil.example/cb", "javascript:alert(1)", "", "http://127.0.0.1.evil.example/"]
)
def test_codes_go_only_to_safe_addresses(box, url):
    """redirect_uri must be https, or this machine."""
    assert _ask(box, redirect_uri=url).status_code == 400


def test_unknown_scopes_are_refused(box):
    """The error goes back to the client with its state."""
    answer = _ask(box, scope="api everything")

    assert answer.status_code == 302
    assert "error=invalid_scope" in answer.headers["location"]
    assert "state=s" in answer.headers["location"]


def test_pkce_is_verified(box):
    """A code is worth nothing without the verifier that made its challenge."""
    page = _ask(box, code_challenge="A" * 43, code_challenge_method="S256")
    code = _allow(box, page.text)
    answer = running.token(
        box,
        FACTS,
        grant_type="authorization_code",
        code=code,
        redirect_uri=running.REDIRECT_URI,
        code_verifier="b" * 43,
    )

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"


def test_a_code_works_once(box):
    """The second exchange of a code is refused."""
    code = _allow(box, _ask(box).text)
    form = {"grant_type": "authorization_code", "redirect_uri": running.REDIRECT_URI, "code": code}
    first = running.token(box, FACTS, **form)
    second = running.token(box, FACTS, **form)

    assert [first.status_code, second.status_code] == [200, 400]


def test_a_decision_is_taken_once(box):
    """Sending the page's form again does nothing."""
    html = _ask(box).text
    _allow(box, html)
    form = {"ticket": running._value("ticket", html), "decision": "allow", "account": "x"}

    assert box.http.post(box.url + AUTHORIZE, data=form).status_code == 400


def test_the_client_must_know_its_secret(box):
    """A wrong secret is invalid_client."""
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": running.CLIENT_ID}
    answer = box.http.post(f"{box.url}/services/oauth2/token", data={**form, "client_secret": "no"})

    assert answer.json()["error"] == "invalid_client"


def test_basic_authentication_works_too(box):
    """Clients may put id and secret into the Authorization header."""
    refresh = running.authorise(box, FACTS)["refresh_token"]
    answer = box.http.post(
        f"{box.url}/services/oauth2/token",
        data={"grant_type": "refresh_token", "refresh_token": refresh},
        auth=(running.CLIENT_ID, running.CLIENT_SECRET),
    )

    assert answer.status_code == 200


def test_rotation_kills_the_old_refresh_token(box):
    """With rotation on, a refresh token works once and is answered with its successor."""
    box.set(rotates_refresh=True)
    old = running.authorise(box, FACTS)["refresh_token"]
    first = running.token(box, FACTS, grant_type="refresh_token", refresh_token=old)
    again = running.token(box, FACTS, grant_type="refresh_token", refresh_token=old)
    new = first.json()["refresh_token"]
    third = running.token(box, FACTS, grant_type="refresh_token", refresh_token=new)

    assert [first.status_code, again.status_code, third.status_code] == [200, 400, 200]


def test_without_rotation_the_refresh_token_stays(box):
    """Salesforce repeats no refresh token; the old one goes on working."""
    refresh = running.authorise(box, FACTS)["refresh_token"]
    answers = [
        running.token(box, FACTS, grant_type="refresh_token", refresh_token=refresh)
        for _ in range(2)
    ]

    assert [a.status_code for a in answers] == [200, 200]
    assert "refresh_token" not in answers[0].json()


def test_introspection_tells_a_live_token_from_a_dead_one(box):
    """An expired token is inactive."""
    token = running.authorise(box, FACTS)["access_token"]
    form = {
        "token": token,
        "client_id": running.CLIENT_ID,
        "client_secret": running.CLIENT_SECRET,
    }
    url = f"{box.url}/services/oauth2/introspect"
    live = box.http.post(url, data=form).json()
    box.post("expire")
    dead = box.http.post(url, data=form).json()

    assert [live["active"], dead["active"]] == [True, False]


def _allow(box: running.Sandbox, html: str) -> str:
    form = {
        "ticket": running._value("ticket", html),
        "account": running._value("account", html),
        "decision": "allow",
    }
    location = box.http.post(box.url + AUTHORIZE, data=form).headers["location"]
    return location.partition("code=")[2].partition("&")[0]


# Limits, faults, settings.


def test_a_limit_refuses_after_its_capacity(box):
    """The calls up to the capacity are answered and the next is refused."""
    account = running.account(box, SALESFORCE, running.authorise(box, FACTS))
    org_id, _ = SALESFORCE.identify(account)
    used = box.stats()["limits"][org_id]["requests"]["used"]
    box.set(limits={"requests": used + 2})
    SALESFORCE.describe(account)
    SALESFORCE.describe(account)

    with pytest.raises(Throttled):
        SALESFORCE.describe(account)


@pytest.mark.parametrize(
    "fault", [{"kind": "explode"}, {"kind": "slow", "seconds": "long"}, {"kind": "slow", "oops": 1}]
)
def test_a_fault_that_makes_no_sense_is_refused(box, fault):
    """The answer says what is wrong."""
    answer = box.http.post(f"{box.url}/_sandbox/faults", json=fault)

    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("settings", [{"limits": {"nope": 1}}, {"color": "red"}])
def test_a_setting_that_does_not_exist_is_refused(box, settings):
    """Nothing is applied."""
    before = box.http.get(f"{box.url}/_sandbox/settings").json()
    answer = box.http.post(f"{box.url}/_sandbox/settings", json=settings)

    assert answer.status_code == 400
    assert box.http.get(f"{box.url}/_sandbox/settings").json() == before


def test_a_fault_hits_only_what_it_names(box):
    """Path and method choose, the count runs down, a rate stays on."""
    box.fault(kind="status", status=503, path="/limits", method="GET", next=2)
    box.fault(kind="status", status=500, path="/describe", rate=1.0)
    token = running.authorise(box, FACTS)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    def status(path: str) -> int:
        return box.http.get(f"{box.url}/services/data/v62.0/{path}", headers=headers).status_code

    assert [status("limits") for _ in range(3)] == [503, 503, 200]
    assert [status("sobjects/Lead/describe") for _ in range(3)] == [500, 500, 500]
    assert status("sobjects") == 200
    assert [fault["kind"] for fault in box.stats()["faults"]] == ["status"]


# Pages.


def test_the_page_shows_what_arrived(box):
    """A newcomer sees the lead, its fields on a page of its own, and words as words."""
    account = _account(box)
    words = '<script>alert("x")</script> & "quotes"'
    (outcome,) = SALESFORCE.write(account, [_lead("page", FirstName="Dana", Description=words)])
    overview = box.http.get(box.url + "/").text
    one = box.http.get(outcome.record.url, follow_redirects=True).text

    assert "Dana Whitfield" in overview
    assert "Dana Whitfield" in one
    assert "<script>alert" not in overview + one
    assert "&lt;script&gt;" in one


@pytest.mark.parametrize("path", ["/", "/?refresh=5", "/?object=Lead", AUTHORIZE])
def test_pages_have_no_inline_code(box, path):
    """Styles come from one file and scripts from nowhere, and the policy says so."""
    answer = box.http.get(box.url + path) if path != AUTHORIZE else _ask(box)

    assert answer.status_code == 200
    assert " style=" not in answer.text
    assert "<style" not in answer.text
    assert "<script" not in answer.text
    assert "default-src 'none'; style-src 'self'" in answer.headers["content-security-policy"]
    assert box.http.get(f"{box.url}/_sandbox/sandbox.css").status_code == 200


def test_clear_forgets_records_and_keeps_the_set_up(box):
    """After clearing, the connection works on without a new set-up."""
    account = _account(box)
    SALESFORCE.write(account, [_lead("cleared")])
    box.post("clear")
    (outcome,) = SALESFORCE.write(account, [_lead("cleared")])

    assert outcome.is_new
    assert box.stats()["duplicate_keys"] == []


def test_a_task_leads_to_its_person(box):
    """References between records are links, and what belongs to the set-up is not shown."""
    account = _account(box)
    (lead,) = SALESFORCE.write(account, [_lead("linked")])
    (task,) = SALESFORCE.write(
        account, [Write("linking", "Task", {"Subject": "Call back", "WhoId": lead.record.id})]
    )
    page = box.http.get(task.record.url, follow_redirects=True).text

    assert f'href="/records/Lead/{lead.record.id}"' in page
    assert "PermissionSet" not in box.stats()["records"]
    assert "PermissionSet" not in box.http.get(box.url + "/").text
