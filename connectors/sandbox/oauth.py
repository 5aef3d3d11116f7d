"""An OAuth 2.0 server as vendors run them: authorise page, PKCE, rotation, revocation, expiry.

A person sees the authorise page, chooses one of the accounts and clicks "Allow" or "Deny". Codes
work once and for ten minutes, or as the rules say. With rotation on, a refresh answers a new refresh token and the old
one dies at once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.sandbox import clock
from connectors.sandbox.store import Store

#: What the sandboxes' only client is called; a real vendor gives these when one registers an app.
CLIENT_ID = "afterbeep-sandbox-client"
CLIENT_SECRET = "afterbeep-sandbox-secret"  # noqa: S105 - opens only a sandbox


@dataclass(frozen=True, slots=True)
class SandboxAccount:
    """A customer's account at the vendor in miniature; a person chooses one when connecting."""

    id: str
    name: str
    user: str = "Alex Morgan"
    email: str = "alex@afterbeep.example"


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access token allows: this account, these scopes."""

    id: str
    account: SandboxAccount
    scopes: tuple[str, ...]


TokenState = Literal["missing", "unknown", "expired"]


@dataclass(frozen=True, slots=True)
class OAuthRules:
    """How this vendor does OAuth.

    ``answer`` gives what the token answer holds besides the tokens. ``new_token`` makes a token
    of the vendor's shape. ``expires_in`` is left out of the answer when ``tells_lifetime`` is off.
    """

    authorize_path: str
    token_path: str
    scopes: tuple[str, ...]
    revoke_path: str | None = None
    introspect_path: str | None = None
    required_scopes: tuple[str, ...] = ()
    #: A vendor that grants nothing for a scope that it does not know, instead of refusing it.
    drops_unknown_scopes: bool = False
    code_lifetime_s: float = 600.0
    token_lifetime_s: float = 7200.0
    tells_lifetime: bool = True
    rotates_refresh: bool = False
    repeats_refresh: bool = True
    #: A refresh ends the access tokens that were issued before it, too.
    refresh_ends_access: bool = False
    requires_pkce: bool = False
    answer: Callable[[Grant], Mapping[str, Any]] = field(default=lambda _grant: {})
    new_token: Callable[[SandboxAccount, str], str] = field(
        default=lambda _account, _kind: secrets.token_urlsafe(40)
    )


class OAuthServer:
    """Issues, checks, refreshes and revokes tokens; its pages are in ``blueprint``."""

    def __init__(
        self, store: Store, rules: OAuthRules, *, label: str, accounts: tuple[SandboxAccount, ...]
    ) -> None:
        """Take the rules; settings made before a restart are used again."""
        self._store = store
        self._rules = rules
        self._label = label
        self.accounts = {account.id: account for account in accounts}
        kept = store.kept("settings", "oauth") or {}
        self.token_lifetime_s = float(kept.get("token_lifetime_s", rules.token_lifetime_s))
        self.rotates_refresh = bool(kept.get("rotates_refresh", rules.rotates_refresh))
        self.blueprint = Blueprint("oauth", __name__)
        add = self.blueprint.add_url_rule
        add(rules.authorize_path, "ask", self._ask, methods=["GET"])
        add(rules.authorize_path, "decide", self._decide, methods=["POST"])
        add(rules.token_path, "token", self._token, methods=["POST"])
        if rules.revoke_path:
            add(rules.revoke_path, "revoke", self._revoke, methods=["POST"])
        if rules.introspect_path:
            add(rules.introspect_path, "introspect", self._introspect, methods=["POST"])

    def configure(
        self, *, token_lifetime_s: float | None = None, rotates_refresh: bool | None = None
    ) -> None:
        """Change the lifetime of tokens issued from now on, and whether refresh tokens rotate."""
        if token_lifetime_s is not None:
            self.token_lifetime_s = token_lifetime_s
        if rotates_refresh is not None:
            self.rotates_refresh = rotates_refresh
        self._store.keep(
            "settings",
            "oauth",
            {"token_lifetime_s": self.token_lifetime_s, "rotates_refresh": self.rotates_refresh},
        )

    def check(self, authorization: str | None) -> Grant | TokenState:
        """Give what an ``Authorization`` header allows, or what is wrong with it."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() not in {"bearer", "oauth"} or not token:
            return "missing"
        access = self._store.kept("access", token.strip())
        if access is None:
            return "unknown"
        grant = self._grant(access["grant"])
        if grant is None:
            return "unknown"
        return "expired" if access["expires_at"] <= clock.seconds() else grant

    def expire_all(self) -> None:
        """Make every access token issued so far expired; refresh tokens go on working."""
        for token, access in self._store.all_kept("access").items():
            self._store.keep("access", token, {**access, "expires_at": 0})

    def revoke_all(self) -> None:
        """Withdraw every grant: access and refresh tokens stop working."""
        for kind in ("grant", "access", "refresh"):
            for name in self._store.all_kept(kind):
                self._store.forget(kind, name)

    def end(self, grant: Grant) -> None:
        """Withdraw one grant, as a vendor does that is told so by its bearer."""
        self._store.forget("grant", grant.id)
        self._store.add("tokens", "revoked")

    def _end_access(self, grant_id: str) -> None:
        for token, access in self._store.all_kept("access").items():
            if access["grant"] == grant_id:
                self._store.forget("access", token)

    def _grant(self, grant_id: str) -> Grant | None:
        document = self._store.kept("grant", grant_id)
        if document is None:
            return None
        account = self.accounts.get(document["account"])
        return None if account is None else Grant(grant_id, account, tuple(document["scopes"]))

    # The page on which a person decides.

    def _ask(self) -> BaseResponse:
        asked = request.args
        problem = self._problem_with_client(asked)
        if problem:
            refusal = render_template("refused.html", label=self._label, problem=problem)
            return make_response(refusal, 400)
        scopes = tuple(asked.get("scope", "").split()) or self._rules.scopes
        back = {"state": asked.get("state", "")}
        unknown = [scope for scope in scopes if scope not in self._rules.scopes]
        if self._rules.drops_unknown_scopes:
            scopes, unknown = tuple(scope for scope in scopes if scope not in unknown), []
        if unknown or asked.get("response_type") != "code":
            error = "invalid_scope" if unknown else "unsupported_response_type"
            return _go_back(asked["redirect_uri"], {"error": error, **back})
        missing_pkce = self._rules.requires_pkce and not asked.get("code_challenge")
        if missing_pkce or asked.get("code_challenge_method", "S256") != "S256":
            text = "PKCE with the method S256 is required"
            return _go_back(
                asked["redirect_uri"],
                {"error": "invalid_request", "error_description": text, **back},
            )
        ticket = secrets.token_urlsafe(24)
        self._store.keep("asked", ticket, {**asked.to_dict(), "scopes": scopes})
        page = make_response(
            render_template(
                "authorize.html",
                label=self._label,
                accounts=list(self.accounts.values()),
                scopes=scopes,
                ticket=ticket,
                action=self._rules.authorize_path,
            )
        )
        # Browsers apply form-action to the redirect that follows, so the client's origin is named.
        page.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; frame-ancestors 'none'; "
            f"form-action 'self' {_origin(asked['redirect_uri'])}"
        )
        return page

    def _decide(self) -> BaseResponse:
        ticket = request.form.get("ticket", "")
        asked = self._store.kept("asked", ticket)
        account = self.accounts.get(request.form.get("account", ""))
        if asked is None or not self._store.forget("asked", ticket):
            text = "This page was already used. Go back to where you came from and start again."
            page = render_template("refused.html", label=self._label, problem=text)
            return make_response(page, 400)
        state = {"state": asked["state"]} if asked.get("state") else {}
        if request.form.get("decision") != "allow" or account is None:
            text = "end-user denied authorization"
            return _go_back(
                asked["redirect_uri"],
                {"error": "access_denied", "error_description": text, **state},
            )
        code = secrets.token_urlsafe(32)
        expires_at = clock.seconds() + self._rules.code_lifetime_s
        document = {**asked, "account": account.id, "expires_at": expires_at}
        self._store.keep("code", code, document)
        return _go_back(asked["redirect_uri"], {"code": code, **state})

    def _problem_with_client(self, asked: Mapping[str, str]) -> str | None:
        if asked.get("client_id") != CLIENT_ID:
            return f'There is no app with this client id. The sandbox knows "{CLIENT_ID}".'
        target = urlsplit(asked.get("redirect_uri", ""))
        is_loopback = target.hostname in {"127.0.0.1", "localhost", "::1"}
        if target.scheme != "https" and not (target.scheme == "http" and is_loopback):
            return "redirect_uri must be https, or http on this machine."
        return None

    # What the client calls.

    def _token(self) -> Response:
        if not self._is_client():
            return _refuse("invalid_client", "invalid client credentials", 400)
        kind = request.form.get("grant_type")
        if kind == "authorization_code":
            return self._exchange()
        if kind == "refresh_token":
            return self._refresh()
        return _refuse("unsupported_grant_type", "grant type not supported", 400)

    def _is_client(self) -> bool:
        basic = request.authorization
        form = request.form
        client_id = (basic and basic.username) or form.get("client_id") or ""
        secret = (basic and basic.password) or form.get("client_secret") or ""
        has_id = hmac.compare_digest(client_id.encode(), CLIENT_ID.encode())
        return has_id and hmac.compare_digest(secret.encode(), CLIENT_SECRET.encode())

    def _exchange(self) -> Response:
        code = request.form.get("code", "")
        document = self._store.kept("code", code)
        if document is None or not self._store.forget("code", code):
            return _refuse("invalid_grant", "invalid authorization code", 400)
        if document["expires_at"] <= clock.seconds():
            return _refuse("invalid_grant", "expired authorization code", 400)
        if request.form.get("redirect_uri") != document["redirect_uri"]:
            return _refuse("redirect_uri_mismatch", "redirect_uri must match configuration", 400)
        challenge = document.get("code_challenge")
        if challenge and not _answers(challenge, request.form.get("code_verifier", "")):
            return _refuse("invalid_grant", "invalid code verifier", 400)
        grant = Grant(
            secrets.token_hex(8), self.accounts[document["account"]], tuple(document["scopes"])
        )
        self._store.keep(
            "grant", grant.id, {"account": grant.account.id, "scopes": list(grant.scopes)}
        )
        self._store.add("tokens", "issued")
        return self._answer(grant, refresh=self._new_refresh(grant))

    def _refresh(self) -> Response:
        token = request.form.get("refresh_token", "")
        with self._store.transaction():
            kept = self._store.kept("refresh", token)
            grant = kept and self._grant(kept["grant"])
            if not grant:
                self._store.add("tokens", "refused")
                return _refuse("invalid_grant", "expired access/refresh token", 400)
            refresh: str | None = token if self._rules.repeats_refresh else None
            if self.rotates_refresh:
                self._store.forget("refresh", token)
                refresh = self._new_refresh(grant)
            if self._rules.refresh_ends_access:
                self._end_access(grant.id)
            self._store.add("tokens", "refreshed")
            return self._answer(grant, refresh=refresh)

    def _new_refresh(self, grant: Grant) -> str:
        token = self._rules.new_token(grant.account, "refresh")
        self._store.keep("refresh", token, {"grant": grant.id})
        return token

    def _answer(self, grant: Grant, *, refresh: str | None) -> Response:
        token = self._rules.new_token(grant.account, "access")
        self._store.keep(
            "access",
            token,
            {"grant": grant.id, "expires_at": clock.seconds() + self.token_lifetime_s},
        )
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        if refresh is not None:
            answer["refresh_token"] = refresh
        if self._rules.tells_lifetime:
            answer["expires_in"] = int(self.token_lifetime_s)
        answer.update(self._rules.answer(grant))
        return jsonify(answer)

    def _revoke(self) -> Response:
        token = request.form.get("token", "")
        kept = self._store.kept("refresh", token) or self._store.kept("access", token)
        if kept is None:
            return _refuse("unsupported_token_type", "this token type is not supported", 400)
        self._store.forget("grant", kept["grant"])
        self._store.add("tokens", "revoked")
        return make_response("", 200)

    def _introspect(self) -> Response:
        if not self._is_client():
            return _refuse("invalid_client", "invalid client credentials", 401)
        token = request.form.get("token", "")
        kept = self._store.kept("access", token) or self._store.kept("refresh", token)
        grant = kept and self._grant(kept["grant"])
        left_s = (
            int(kept["expires_at"] - clock.seconds()) if kept and "expires_at" in kept else None
        )
        if not grant or (left_s is not None and left_s <= 0):
            return jsonify({"active": False})
        answer = {"active": True, "scope": " ".join(grant.scopes), "client_id": CLIENT_ID}
        if left_s is not None:
            answer["expires_in"] = left_s
        return jsonify({**answer, **self._rules.answer(grant)})


def _answers(challenge: str, verifier: str) -> bool:
    digest = hashlib.sha256(verifier.encode()).digest()
    return hmac.compare_digest(urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)


def _refuse(error: str, description: str, status: int) -> Response:
    return make_response(jsonify({"error": error, "error_description": description}), status)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _go_back(url: str, answer: Mapping[str, str]) -> BaseResponse:
    joint = "&" if urlsplit(url).query else "?"
    return redirect(f"{url}{joint}{urlencode(answer)}", code=302)
