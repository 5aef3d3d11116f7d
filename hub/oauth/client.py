"""The OAuth client of one connector, by authlib, with the operator's registration and every URL checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from connectors.http import is_allowed_base
from connectors.record import OAuth
from connectors.registry import connector
from hub.settings import Settings, VendorSettings, vendor_settings

TIMEOUT_S = 10.0
#: Stands in a vendor's login URL for what each account has of its own.
_PLACEHOLDER = re.compile(r"\{[a-z]+\}")
_ONE_WORD = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII | re.IGNORECASE)
_PLAIN_URL = re.compile(r"[a-z]+://[a-z0-9.:\[\]-]+(/[\w./-]*)?", re.ASCII | re.IGNORECASE)


class NotSetUp(Exception):
    """The operator has not registered an app at this vendor, or the connector does not use OAuth."""


class WrongHost(Exception):
    """A connection's address does not belong to the vendor."""


class NoAddress(Exception):
    """The vendor has no address that all accounts share, and none was given."""


class TokenRefused(Exception):
    """The vendor refused a code or a token; ``code`` is OAuth's word for why."""

    def __init__(self, code: str, detail: str) -> None:
        """Keep OAuth's error code and the vendor's sentence."""
        super().__init__(detail or code)
        self.code = code


class VendorSilent(Exception):
    """The vendor's token server could not be reached, or did not answer as OAuth says."""


def address_example(connector_name: str) -> str | None:
    """Give what an account's own address looks like, for a vendor without one that all accounts share; else None."""
    own = vendor_settings(connector_name).login_url or connector(connector_name).oauth.login_url
    return _PLACEHOLDER.sub("your-company", own) if _PLACEHOLDER.search(own) else None


def login_address(connector_name: str, typed: str | None) -> str:
    """Give the address to sign in at: what a person typed, else the operator's setting, else the vendor's.

    What is typed may lack ``https://``, or be no more than the account's own part of the address. Raises NoAddress.
    """
    found = connector(connector_name)
    typed = (typed or "").strip()
    if typed and _PLACEHOLDER.search(found.oauth.login_url) and _ONE_WORD.fullmatch(typed):
        return _PLACEHOLDER.sub(typed.lower(), found.oauth.login_url)
    if typed:
        return typed if "://" in typed else f"https://{typed}"
    if example := address_example(connector_name):
        raise NoAddress(f"Fill in your {found.label} address, such as {example}.")
    return vendor_settings(connector_name).login_url or found.oauth.login_url


def check_host(settings: Settings, connector_name: str, url: str) -> str:
    """Give the URL without a slash at its end; raises WrongHost unless it is the vendor's, by https.

    Addresses on this machine are allowed where the operator allows them, for sandboxes.
    """
    vendor = connector(connector_name)
    problem = WrongHost(f"This is not an address of {vendor.label}; nothing is sent there.")
    # Programs disagree about where the host ends in an address with any other character.
    if not _PLAIN_URL.fullmatch(url):
        raise problem
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as err:
        raise problem from err
    if not is_allowed_base(url, vendor.hosts, allow_loopback=settings.allow_loopback_vendors):
        raise problem
    if is_allowed_base(url, vendor.hosts, allow_loopback=False):
        if port not in {None, 443}:
            raise problem
        return f"https://{host}"
    return url.rstrip("/")


@dataclass(frozen=True, slots=True)
class VendorClient:
    """What is needed to talk OAuth with one vendor for one login URL."""

    oauth: OAuth
    registration: VendorSettings
    login_url: str
    redirect_url: str

    def url(self, template: str) -> str:
        """Fill the login, the API and the token address into one of the vendor's URLs."""
        is_vendors = self.login_url == self.oauth.login_url
        tokens = self.oauth.tokens_url if is_vendors and self.oauth.tokens_url else self.login_url
        return template.format(base=self.login_url, api=self.api_url, tokens=tokens)

    @property
    def api_url(self) -> str:
        """The API's address where the token answer names none: the vendor's, or the sandbox itself."""
        if self.oauth.api_url and self.login_url == self.oauth.login_url:
            return self.oauth.api_url
        return self.registration.app_url or self.login_url

    def authorize_url(self, *, state: str, verifier: str) -> str:
        """Give the address of the page where a person allows us in."""
        with self._client() as client:
            url, _ = client.create_authorization_url(
                self.url(self.oauth.authorize_url),
                state=state,
                code_verifier=verifier if self.oauth.has_pkce else None,
                **self.oauth.authorize_params,
            )
        return str(url)

    def exchange(self, *, code: str, verifier: str) -> dict[str, Any]:
        """Trade an authorisation code for tokens; raises TokenRefused or VendorSilent."""
        with self._client() as client:
            return self._ask(
                client.fetch_token,
                self.url(self.oauth.token_url),
                code=code,
                code_verifier=verifier if self.oauth.has_pkce else None,
                grant_type="authorization_code",
            )

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        """Trade a refresh token for new tokens; raises TokenRefused or VendorSilent."""
        with self._client() as client:
            return self._ask(
                client.refresh_token, self.url(self.oauth.token_url), refresh_token=refresh_token
            )

    def revoke(self, token: str) -> bool:
        """Give a token back; tells whether the vendor took it.

        It is the access token where the vendor ends the bearer's own (``revoke_by``), else the refresh token.
        """
        if self.oauth.revoke_url is None:
            return False
        with self._client() as client:
            try:
                url = self.url(self.oauth.revoke_url)
                if self.oauth.revoke_by == "bearer":
                    bearer = {"Authorization": f"Bearer {token}"}
                    # With an auth of its own the header is not replaced by one from .netrc.
                    answer = client.request("DELETE", url, headers=bearer, auth=lambda asked: asked)
                else:
                    answer = client.revoke_token(url, token=token)
            except (requests.RequestException, OAuthError):
                return False
        return bool(answer.ok)

    def _client(self) -> OAuth2Session:
        session = OAuth2Session(
            client_id=self.registration.client_id,
            client_secret=self.registration.client_secret,
            token_endpoint_auth_method=self.oauth.token_auth,
            revocation_endpoint_auth_method=self.oauth.token_auth,
            scope=" ".join(self.oauth.scopes),
            redirect_uri=self.redirect_url,
            code_challenge_method="S256" if self.oauth.has_pkce else None,
            default_timeout=TIMEOUT_S,
        )
        session.max_redirects = 0  # secrets go to the address that was checked, and to no other
        return session

    @staticmethod
    def _ask(call: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            token = dict(call(*args, **kwargs))
        except OAuthError as err:
            raise TokenRefused(str(err.error), str(err.description or "")) from err
        except (requests.RequestException, ValueError, TypeError, AttributeError) as err:
            raise VendorSilent(type(err).__name__) from err
        if not token.get("access_token"):
            raise VendorSilent("the token answer holds no access token")
        return token


def vendor_client(settings: Settings, connector_name: str, login_url: str | None) -> VendorClient:
    """Give the client for a connector; raises NotSetUp, NoAddress or WrongHost."""
    found = connector(connector_name)
    if not isinstance(found.oauth, OAuth):
        raise NotSetUp(f"{found.label} is connected with keys, not by OAuth.")
    registration = vendor_settings(connector_name)
    if not registration.is_complete:
        name = connector_name.upper()
        raise NotSetUp(
            f"{found.label} is not set up: the operator registers an app there and sets "
            f"AFTERBEEP_{name}_CLIENT_ID and AFTERBEEP_{name}_CLIENT_SECRET."
        )
    chosen = login_address(connector_name, login_url)
    return VendorClient(
        oauth=found.oauth,
        registration=registration,
        login_url=check_host(settings, connector_name, chosen),
        redirect_url=f"{settings.base_url}/connections/callback",
    )
