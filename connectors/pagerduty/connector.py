"""The PagerDuty connector: what it is as data, and each act in the module named after it."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal
from urllib.parse import urlsplit

from connectors.errors import ContractBroken
from connectors.pagerduty import closing, describing, finding, services, subscribing, writing
from connectors.pagerduty.calls import call, one
from connectors.pagerduty.incidents import CREATES, INCIDENT
from connectors.pagerduty.notes import ASK_AFTER_S, NOTE
from connectors.pagerduty.preferences import SETTINGS, preferences
from connectors.pagerduty.refusals import seconds
from connectors.pagerduty.transport import OPERATION
from connectors.record import (
    JSON,
    Account,
    Choice,
    Closure,
    Field,
    Found,
    Limit,
    LimitReading,
    Lookup,
    OAuth,
    Object,
    Outcome,
    RecordId,
    Subscription,
    Todo,
    WebhookRequest,
    Write,
)
from connectors.settings import wrong

_RATE_LIMITS = "https://developer.pagerduty.com/docs/rest-api-rate-limits (2026-11-22)"
_DOMAIN = ".pagerduty.com"


class PagerDuty:
    """Opens incidents that page the on-call, and writes notes on them."""

    name = "pagerduty"
    label = "PagerDuty"
    max_batch = writing.MAX_BATCH
    one_by_one: frozenset[str] | None = None
    # PagerDuty itself keeps a second open incident of a key out; notes have no key.
    repeats: frozenset[str] | None = frozenset({NOTE})
    purposes: Mapping[str, Literal["page", "text"]] = {INCIDENT: "page"}
    hosts = ("api.pagerduty.com", "api.eu.pagerduty.com", "identity.pagerduty.com")
    oauth = OAuth(
        login_url="https://identity.pagerduty.com",
        api_url="https://api.pagerduty.com",
        authorize_url="{base}/oauth/authorize",
        token_url="{base}/oauth/token",  # noqa: S106 - an address
        # There is no address for it: an app's tokens are revoked on its page at PagerDuty.
        revoke_url=None,
        # Reads and writes. PagerDuty grants a scope that it does not know as nothing but "openid".
        scopes=("write",),
        default_lifetime_s=864_000.0,
        asks={
            "Client ID": "On your app's OAuth 2.0 page in PagerDuty, under Integrations > App Registration.",
            "Client secret": "Shown once, when OAuth 2.0 is added to the app.",
        },
        source="https://developer.pagerduty.com/docs/oauth-functionality (2026-11-22)",
    )
    limits = (
        # For each user in whose name the app acts.
        Limit("requests", "window", 960, 60.0, _RATE_LIMITS),
        # Creating incidents has a limit of its own that PagerDuty tells in the answers' headers only;
        # until then it can be no more than what all requests may be.
        Limit(CREATES, "window", 960, 60.0, _RATE_LIMITS),
    )
    settings = SETTINGS

    def write_cost(self, writes: Sequence[Write]) -> Mapping[str, int]:
        """Count the calls: to look for each key, to create, to change, and to find the default service."""
        return writing.write_cost(writes)

    def read_limits(self, status: int, headers: Mapping[str, str]) -> Sequence[LimitReading]:
        """Read what is left of the limit that is closest to being reached; some answers do not say."""
        del status  # The headers mean the same in a refusal.
        capacity = _number(headers.get("ratelimit-limit"))
        remaining = _number(headers.get("ratelimit-remaining"))
        if capacity is None and remaining is None:
            return ()
        resets_in_s = seconds(headers.get("ratelimit-reset"))
        name = headers.get(OPERATION) or "requests"
        return (LimitReading(name, capacity, remaining, resets_in_s),)

    def api_address(self, answer: Mapping[str, JSON]) -> str | None:
        """Give the API's address in the account's region, from the token answer; None when it does not say.

        The ID token came straight from PagerDuty over TLS, so its signature need not be checked; the caller
        checks that the address is PagerDuty's.
        """
        # Source: the claim aud in https://developer.pagerduty.com/docs/pagerduty-openid-token,
        # PagerDuty/developer-docs docs/app-integration-development/07-PagerDuty-OpenId-Token.md (2026-11-22)
        audiences = _claims(answer.get("id_token")).get("aud")
        listed = audiences if isinstance(audiences, list) else [audiences]
        urls = [one for one in listed if isinstance(one, str) and "://" in one]
        return urls[0].rstrip("/") if urls else None

    def identify(self, account: Account) -> tuple[str, str]:
        """Give the account's subdomain and its address; PagerDuty tells users no company name."""
        user = one(call(account, "GET", "/users/me"), "user")
        host = urlsplit(str(user.get("html_url") or "")).hostname or ""
        if not host.endswith(_DOMAIN):
            raise ContractBroken("PagerDuty does not say which account the user belongs to.")
        return host.removesuffix(_DOMAIN), host

    def describe(
        self, account: Account, object_name: str | None = None
    ) -> Sequence[Object] | Sequence[Field]:
        """List incidents and notes, or the fields of one, with what the account has to choose from."""
        if object_name is None:
            return describing.describe_objects()
        return describing.describe_fields(account, object_name)

    def prepare(self, account: Account) -> Sequence[Todo]:
        """Create nothing: incidents carry our key as they are. Ask for a service where there are several."""
        return services.prepare(account)

    def runs_on_s(self, settings: Mapping[str, JSON]) -> float:
        """Give how long a note may be on its way to PagerDuty."""
        del settings
        return ASK_AFTER_S

    def find(self, account: Account, lookups: Sequence[Lookup]) -> Sequence[Found]:
        """Answer every lookup by key; PagerDuty offers no other."""
        return [
            replace(
                found,
                candidates=tuple(
                    replace(each, record=self._linked(account, each.record))
                    for each in found.candidates
                ),
            )
            for found in finding.find(account, lookups)
        ]

    def write(self, account: Account, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Open incidents once for each key, or write notes; outcome i belongs to write i."""
        return [
            replace(outcome, record=self._linked(account, outcome.record))
            if outcome.record
            else outcome
            for outcome in writing.write(account, writes)
        ]

    def closed(self, account: Account, ids: Sequence[RecordId]) -> Sequence[Closure]:
        """Tell which incidents were resolved, and which were acknowledged; notes have no end."""
        return closing.closed(account, ids)

    def webhook(self, account: Account, request: WebhookRequest) -> Sequence[Closure]:
        """Verify the signature and tell what was acknowledged or resolved; raises Rejected when it is wrong."""
        del account  # The event says all; PagerDuty is not asked.
        return closing.webhook(request)

    def subscribe(self, account: Account, known: Subscription | None) -> Subscription:
        """Have PagerDuty report acknowledged and resolved incidents of the whole account."""
        return subscribing.subscribe(account, known)

    def unsubscribe(self, account: Account, known: Subscription) -> None:
        """End a subscription; one that is gone already is fine."""
        subscribing.unsubscribe(account, known)

    def check_settings(self, values: Mapping[str, JSON]) -> Sequence[str]:
        """Say what is wrong with each of these settings."""
        return wrong(preferences, values)

    def setting_choices(self, account: Account, name: str) -> Sequence[Choice]:
        """List the services that can be paged."""
        del name  # only the service comes from the account
        return services.choices(account)

    def _linked(self, account: Account, record: RecordId) -> RecordId:
        """Give the record with the address of its page, where a person looks at it."""
        return replace(record, url=self.record_url(account, record))

    def record_url(self, account: Account, record: RecordId) -> str:
        """Give the address of an incident's page; a sandbox shows its records itself."""
        host = urlsplit(account.base_url).hostname or ""
        if not host.endswith(_DOMAIN):
            return f"{account.base_url}/records/{record.object}/{record.id}"
        given = urlsplit(record.url or "")
        if record.url and given.scheme == "https" and (given.hostname or "").endswith(_DOMAIN):
            return record.url
        # PagerDuty leads a signed-in person from here to their own account.
        app = "app.eu" if host.startswith("api.eu.") else "app"
        if record.object != INCIDENT:
            return f"https://{app}.pagerduty.com/incidents"
        return f"https://{app}.pagerduty.com/incidents/{record.id}"


def _claims(token: JSON) -> Mapping[str, JSON]:
    """Read what a signed token (JWT) says; nothing when it is none."""
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:  # noqa: PLR2004 - head, claims, signature
        return {}
    try:
        read = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() else None
