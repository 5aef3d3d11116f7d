"""Runs a sandbox as a process of its own, for tests; also plays the person who clicks "Allow".

::

    with running.sandbox("salesforce", tmp_path) as box:
        tokens = running.authorise(box, connector.oauth)
        account = running.account(box, connector, tokens)
        box.fault(kind="cut_after", path="/composite/")
        box.stats()["records"]
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from connectors.interface import Connector
from connectors.record import Account, KeyAuth, OAuth
from connectors.sandbox.oauth import CLIENT_ID, CLIENT_SECRET

REDIRECT_URI = "http://127.0.0.1:9/oauth/callback"


@dataclass
class Sandbox:
    """A running sandbox; ``stop`` and ``kill`` end the processes that were started for it."""

    name: str
    url: str
    folder: Path
    process: subprocess.Popen[str]
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20))

    def stats(self) -> dict[str, Any]:
        """Give the sandbox's statistics."""
        return self.http.get(f"{self.url}/_sandbox/stats.json").raise_for_status().json()

    def records(self, object_name: str | None = None, **query: Any) -> list[dict[str, Any]]:
        """Give the records that arrived, newest first."""
        params = {k: v for k, v in {"object": object_name, **query}.items() if v is not None}
        answer = self.http.get(f"{self.url}/_sandbox/records.json", params=params)
        return answer.raise_for_status().json()["records"]

    def fault(self, **fault: Any) -> None:
        """Switch a fault on; see connectors.sandbox.faults for the keywords."""
        self.http.post(f"{self.url}/_sandbox/faults", json=fault).raise_for_status()

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self.http.delete(f"{self.url}/_sandbox/faults").raise_for_status()

    def set(self, **settings: Any) -> None:
        """Change settings: token_lifetime_s, rotates_refresh, limits."""
        self.http.post(f"{self.url}/_sandbox/settings", json=settings).raise_for_status()

    def post(self, switch: str) -> None:
        """Do ``expire``, ``revoke`` or ``clear`` at once."""
        self.http.post(f"{self.url}/_sandbox/{switch}").raise_for_status()

    def stop(self) -> int:
        """Stop it as an operator does; give the exit code."""
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def kill(self) -> None:
        """End it without warning: the server and its worker, which share a process group."""
        self.http.close()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)
        if self.process.stdout:
            self.process.stdout.close()


def start(name: str, folder: Path, *, port: int = 0) -> Sandbox:
    """Start a sandbox on a free port, or on this one, with its state in *folder*."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "connectors.sandbox.serve",
            name,
            "--port",
            str(port),
            "--folder",
            str(folder),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    if found is None:
        process.wait(timeout=20)
        raise RuntimeError(f"the {name} sandbox did not start: {line!r}")
    return Sandbox(name, found.group(), folder, process)


@contextmanager
def sandbox(name: str, folder: Path) -> Iterator[Sandbox]:
    """Run a sandbox for as long as the block lasts."""
    box = start(name, folder)
    try:
        yield box
    finally:
        if box.process.poll() is None:
            box.stop()
        else:
            box.http.close()


def connect(
    box: Sandbox, connector: Connector, *, account: str | None = None, **parts: Any
) -> tuple[Account, dict[str, Any]]:
    """Connect as a person does: through the authorise page, or with the keys that the sandbox shows.

    Gives the account, and the token answer, which is empty where there are keys.
    """
    if isinstance(connector.oauth, KeyAuth):
        return keyed_account(box, connector, account=account, **parts), {}
    tokens = authorise(box, connector.oauth, account=account)
    return _account(box, connector, tokens, **parts), tokens


def authorise(
    box: Sandbox, oauth: OAuth, *, decision: str = "allow", account: str | None = None
) -> dict[str, Any]:
    """Connect as a person does, through the authorise page; give the token answer.

    Raises PermissionError with the vendor's error when the person or the vendor refused.
    """
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    state = secrets.token_urlsafe(8)
    page = box.http.get(
        oauth.authorize_url.format(base=box.url, api=box.url, tokens=box.url),
        params={
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "scope": " ".join(oauth.scopes),
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **oauth.authorize_params,
        },
    )
    location = page.headers.get("location")
    if location is None:
        page.raise_for_status()
        form = {
            "ticket": _value("ticket", page.text),
            "account": account or _value("account", page.text),
            "decision": decision,
        }
        action = re.search(r'<form method="post" action="([^"]+)"', page.text)
        assert action is not None
        answer = box.http.post(f"{box.url}{action.group(1)}", data=form)
        location = answer.headers["location"]
    back = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert back.pop("state") == state
    if "error" in back:
        raise PermissionError(back["error"])
    return token(
        box,
        oauth,
        grant_type="authorization_code",
        code=back["code"],
        redirect_uri=REDIRECT_URI,
        code_verifier=verifier,
    ).json()


def token(box: Sandbox, oauth: OAuth, **form: str) -> httpx.Response:
    """Call the token address as this vendor wants its clients to authenticate."""
    url = oauth.token_url.format(base=box.url, api=box.url, tokens=box.url)
    if oauth.token_auth == "client_secret_basic":
        return box.http.post(url, data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    return box.http.post(url, data={**form, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET})


def account(box: Sandbox, connector: Connector, tokens: Mapping[str, Any], **parts: Any) -> Account:
    """Make the account record that the hub would make of a token answer."""
    return _account(box, connector, tokens, **parts)


def keyed_account(
    box: Sandbox, connector: Connector, *, account: str | None = None, **parts: Any
) -> Account:
    """Make the account record that the hub would make of the keys which the sandbox shows."""
    assert isinstance(connector.oauth, KeyAuth)
    keys = box.http.get(f"{box.url}/_sandbox/keys.json").raise_for_status().json()
    fields = keys[account] if account else next(iter(keys.values()))
    assert set(connector.oauth.fields) == set(fields)
    return Account(id="connection-1", base_url=box.url, token=json.dumps(fields), **parts)


def _account(
    box: Sandbox, connector: Connector, tokens: Mapping[str, Any], **parts: Any
) -> Account:
    oauth = connector.oauth
    kept = oauth.keeps if isinstance(oauth, OAuth) else ()
    return Account(
        id="connection-1",
        base_url=box.url,
        token=tokens["access_token"],
        settings={name: tokens[name] for name in kept if name in tokens}
        | parts.pop("settings", {}),
        **parts,
    )


def _value(name: str, html: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', html)
    if found is None:
        raise AssertionError(f"the page has no field {name}")
    return found.group(1)
