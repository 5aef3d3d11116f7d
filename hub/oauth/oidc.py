"""Sign-in by an OpenID provider: the way there, and who comes back, by authlib and joserfc.

Authorisation code with PKCE, state and nonce. Nothing that the provider says is believed before its signature, issuer,
audience, nonce and times have been checked. No host is asked but the issuer's and those that the operator named.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from connectors.http import is_allowed_base
from hub.settings import Settings

TIMEOUT_S: Final = 5.0
#: Signatures by a key pair only: with a shared secret, or none, anybody who knows the client could sign.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384")
_KEPT_S: Final = 600.0
#: Keys that are not known are looked for again, but no more often than this.
_AGAIN_S: Final = 30.0
_LARGEST: Final = 1_000_000
_LEEWAY_S: Final = 60


class NotIdentified(Exception):
    """Nobody can be signed in by this answer; ``code`` says why, for the log."""

    def __init__(self, code: str) -> None:
        """Keep the reason; it holds nothing of the person or of any token."""
        super().__init__(code)
        self.code = code


class ProviderSilent(NotIdentified):
    """The provider could not be reached, or did not answer as OpenID says."""


class Unverified(NotIdentified):
    """The provider does not vouch for the person's address."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and what must be known when it comes back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for: an address that it has verified."""

    email: str
    name: str


@dataclass(slots=True)
class _Kept:
    document: dict[str, Any]
    at: float = field(default_factory=time.monotonic)


class Provider:
    """The operator's OpenID provider; what it publishes is kept for ten minutes."""

    def __init__(self, settings: Settings) -> None:
        """Ask nothing yet."""
        self._settings = settings
        self._issuer = settings.oidc_issuer or ""
        self._kept: dict[str, _Kept] = {}
        self._redirect = f"{settings.base_url}/sign-in/callback"

    def begin(self) -> Begun:
        """Give the way to the provider; raises ProviderSilent."""
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        verifier = secrets.token_urlsafe(48)
        endpoint = self._endpoint("authorization_endpoint")
        with self._client() as client:
            url, _ = client.create_authorization_url(
                endpoint, state=state, nonce=nonce, code_verifier=verifier
            )
        return Begun(str(url), state, nonce, verifier)

    def finish(self, *, code: str, verifier: str, nonce: str) -> Identity:
        """Trade the code that came back, and give who it is; raises NotIdentified."""
        endpoint = self._endpoint("token_endpoint")
        with self._client() as client:
            try:
                token = dict(
                    client.fetch_token(
                        endpoint,
                        code=code,
                        code_verifier=verifier,
                        grant_type="authorization_code",
                    )
                )
            except OAuthError:
                raise NotIdentified("code refused") from None
            except (requests.RequestException, ValueError, TypeError, AttributeError) as err:
                raise ProviderSilent(f"tokens: {type(err).__name__}") from None
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise ProviderSilent("no id_token")
        return self._identity(self._claims(id_token), nonce)

    def _identity(self, claims: Mapping[str, Any], nonce: str) -> Identity:
        self._check(claims, nonce)
        email = claims.get("email")
        if not isinstance(email, str) or "@" not in email:
            raise Unverified("no email")
        if claims.get("email_verified") is not True:
            raise Unverified("email not verified")
        name = claims.get("name")
        return Identity(email, name.strip()[:200] if isinstance(name, str) else "")

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        audience = claims.get("aud")
        listed = audience if isinstance(audience, list) else [audience]
        own, now = self._settings.oidc_client_id, time.time()
        if claims.get("iss") != self._issuer:
            raise NotIdentified("issuer")
        if own not in listed or (len(listed) > 1 and claims.get("azp") != own):
            raise NotIdentified("audience")
        if claims.get("azp", own) != own:
            raise NotIdentified("audience")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise NotIdentified("nonce")
        expires, issued = claims.get("exp"), claims.get("iat")
        if not isinstance(expires, int | float) or expires + _LEEWAY_S < now:
            raise NotIdentified("expired")
        if not isinstance(issued, int | float) or issued - _LEEWAY_S > now:
            raise NotIdentified("issued in the future")
        if not claims.get("sub"):
            raise NotIdentified("subject")

    def _claims(self, id_token: str) -> dict[str, Any]:
        for is_again in (False, True):
            try:
                keys = KeySet.import_key_set(
                    self._published(self._endpoint("jwks_uri"), is_again=is_again)  # type: ignore[arg-type]
                )
                return dict(jwt.decode(id_token, keys, algorithms=list(ALGORITHMS)).claims)
            except (JoseError, ValueError, TypeError, KeyError) as err:
                # A key of yesterday may have been replaced since the keys were read.
                if is_again:
                    raise NotIdentified(f"signature: {type(err).__name__}") from None
        raise NotIdentified("signature")

    def _endpoint(self, name: str) -> str:
        where = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        document = self._published(where)
        if document.get("issuer") != self._issuer:
            raise ProviderSilent("it names another issuer")
        return self._allowed(document.get(name))

    def _allowed(self, url: object) -> str:
        """Give an address of the provider; raises ProviderSilent unless it is on a host that may be asked."""
        named = [one.strip().lower() for one in self._settings.oidc_hosts.split(",")]
        hosts = [urlsplit(self._issuer).hostname or "", *(one for one in named if one)]
        is_ours = isinstance(url, str) and is_allowed_base(
            url.partition("?")[0], hosts, allow_loopback=self._settings.allow_loopback_vendors
        )
        if not isinstance(url, str) or not is_ours:
            raise ProviderSilent("an address on another host")
        return url

    def _published(self, url: str, *, is_again: bool = False) -> dict[str, Any]:
        """Give a public document of the provider, kept for a while."""
        url = self._allowed(url)
        kept = self._kept.get(url)
        if kept is None or time.monotonic() - kept.at > (_AGAIN_S if is_again else _KEPT_S):
            # Two at once read it twice; nobody waits for another one's reading.
            kept = self._kept[url] = _Kept(_fetched(url))
        return kept.document

    def _client(self) -> OAuth2Session:
        secret = self._settings.oidc_client_secret
        session = OAuth2Session(
            client_id=self._settings.oidc_client_id,
            client_secret=secret.get_secret_value() if secret else None,
            scope="openid email profile",
            redirect_uri=self._redirect,
            code_challenge_method="S256",
            token_endpoint_auth_method=self._auth_method(),
            default_timeout=TIMEOUT_S,
        )
        session.max_redirects = (
            0  # the secret goes to the address that was checked, and to no other
        )
        return session

    def _auth_method(self) -> str:
        where = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        methods = self._published(where).get("token_endpoint_auth_methods_supported")
        is_post = isinstance(methods, list) and "client_secret_basic" not in methods
        return "client_secret_post" if is_post else "client_secret_basic"


def _fetched(url: str) -> dict[str, Any]:
    """Read a small JSON object; no redirects, and no longer than a person waits."""
    try:
        with requests.get(url, timeout=TIMEOUT_S, allow_redirects=False, stream=True) as answer:
            body, until = bytearray(), time.monotonic() + TIMEOUT_S
            for part in answer.iter_content(65_536):
                body += part
                if len(body) > _LARGEST or time.monotonic() > until:
                    raise ProviderSilent("too large or too slow")
            if not answer.ok:
                raise ProviderSilent(f"status {answer.status_code}")
        document = json.loads(body)
    except (requests.RequestException, ValueError) as err:
        raise ProviderSilent(type(err).__name__) from None
    if not isinstance(document, dict):
        raise ProviderSilent("no object")
    return document
