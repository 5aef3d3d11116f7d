"""An OpenID provider in miniature, on a port of this machine, with real keys; tests tell it to lie."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT, SECRET = "afterbeep", "a client's secret"


@dataclass
class Provider:
    """What the provider knows, and how it misbehaves."""

    url: str = ""
    email: str = "sam@harbor.example"
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    #: What signs, when it is not the published key.
    signs_with: Any = None
    alg: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    discovery: dict[str, Any] = field(default_factory=dict)
    is_down: bool = False
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    answer: dict[str, Any] | None = None

    def authorize(self, url: str) -> str:
        """Sign the person in as a browser would; gives where the browser is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.url}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def tokens(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Trade a code, once, for whoever shows the verifier and the secret."""
        known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        code = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(
            hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        ).decode()
        if authorization != f"Basic {known}":
            return 401, {"error": "invalid_client"}
        if code is None or challenge.rstrip("=") != code["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if self.answer is not None:
            return 200, self.answer
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "person-1",
            "nonce": code["nonce"],
            "iat": now,
            "exp": now + 300,
            "email": self.email,
            "email_verified": True,
            "name": "Sam Rivers",
        } | self.claims
        header = {"alg": self.alg, "kid": "one"}
        signed = jwt.encode(header, claims, self.signs_with or self.key, algorithms=[self.alg])
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": signed}


def secret_key() -> OctKey:
    """Give a key that the client knows as well: its secret."""
    return OctKey.import_key(SECRET * 3)


@contextmanager
def serving() -> Iterator[Provider]:
    """Serve a provider."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def send(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(500 if provider.is_down else status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def show(self, back: str) -> None:
            """Ask the person, as providers do, on a page of theirs."""
            page = f'<h1>Who are you?</h1><a href="{escape(back)}">{escape(provider.email)}</a>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>Provider</title>{page}".encode())

        def do_GET(self) -> None:
            provider.asked.append(self.path)
            if self.path.startswith("/authorize?"):
                self.show(provider.authorize(f"{provider.url}{self.path}"))
            elif self.path == "/keys":
                self.send(200, {"keys": [provider.key.as_dict(private=False)]})
            else:
                here = provider.url
                self.send(
                    200,
                    {
                        "issuer": here,
                        "authorization_endpoint": f"{here}/authorize",
                        "token_endpoint": f"{here}/token",
                        "jwks_uri": f"{here}/keys",
                    }
                    | provider.discovery,
                )

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            size = int(self.headers.get("Content-Length", 0))
            form = {name: one[0] for name, one in parse_qs(self.rfile.read(size).decode()).items()}
            self.send(*provider.tokens(form, self.headers.get("Authorization", "")))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield provider
    server.shutdown()
    thread.join()
