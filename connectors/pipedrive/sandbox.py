"""Pipedrive in miniature: OAuth, records of six objects, custom fields, search, tokens, webhooks.

Besides what the kit offers (see :mod:`connectors.sandbox`) there are

- ``POST /_pipedrive/convert``  ``{"lead": "..."}`` a person makes a deal of this lead
- ``POST /_pipedrive/settings`` ``{"index_lag_s": 5, "phone_search": "whole", "max_deals": 100}``

``index_lag_s`` is how old a record must be before a search finds it. With ``phone_search`` "whole" a search finds a
number only as it was written. ``max_deals`` is what the plan allows. A fault ``status`` 403 answers Cloudflare's page.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from flask import Flask, Response, make_response

from connectors.pipedrive import sandbox_schema as schema
from connectors.pipedrive.sandbox_records import Records
from connectors.pipedrive.sandbox_routes import Routes
from connectors.pipedrive.sandbox_search import Index
from connectors.pipedrive.sandbox_webhooks import Webhooks
from connectors.sandbox.kit import Sandbox, View, answer_json
from connectors.sandbox.limits import LimitRule, Usage
from connectors.sandbox.oauth import OAuthRules, SandboxAccount, TokenState

_ACCOUNTS = (
    SandboxAccount(schema.SYNCING_ACCOUNT, "Whitfield Plumbing"),
    SandboxAccount("7302", "Lakeside Dental"),
)
_SCOPES = (
    "base",
    "contacts:read",
    "contacts:full",
    "deals:read",
    "deals:full",
    "leads:read",
    "leads:full",
    "activities:read",
    "activities:full",
    "search:read",
    "contact-fields:full",
    "deal-fields:full",
    "webhooks:read",
    "webhooks:full",
    "users:read",
    "admin",
)
_BLOCKED = (
    "<!DOCTYPE html><html><head><title>Access denied | api.pipedrive.com used Cloudflare to restrict "
    "access</title></head><body><h1>Error 1015</h1><p>You are being rate limited</p></body></html>"
)


class _Answers:
    """Pipedrive's words for what is wrong."""

    def unauthorised(self, state: TokenState) -> Response:
        """Answer 401; Pipedrive does not say why."""
        del state
        return answer_json(
            {"success": False, "error": "unauthorized access", "errorCode": 401}, 401
        )

    def throttled(self, usages: Mapping[str, Usage]) -> Response:
        """Answer 429; the day's tokens and the burst are told apart by the headers alone."""
        del usages
        return _too_many()

    def failed(self, status: int) -> Response:
        """Answer with this status."""
        if status == 429:  # noqa: PLR2004 - the status is the case
            return _too_many()
        if status == 403:  # noqa: PLR2004 - the status is the case
            answer = make_response(_BLOCKED, 403)
            answer.content_type = "text/html; charset=UTF-8"
            return answer
        texts = {402: "Company is not open for access. Please check your subscription."}
        error = texts.get(status, "Internal server error")
        return answer_json({"success": False, "error": error, "errorCode": status}, status)

    def headers(self, usages: Mapping[str, Usage]) -> Mapping[str, str]:
        """Give the headers of the window and of the day's tokens."""
        window = usages.get("search") or usages.get("requests")
        day = usages.get("tokens")
        if window is None or day is None:
            return {}
        return {
            "x-ratelimit-limit": str(window.capacity),
            "x-ratelimit-remaining": str(window.remaining),
            "x-ratelimit-reset": str(max(1, round(window.resets_in_s))),
            "x-daily-ratelimit-token-limit": str(day.capacity),
            "x-daily-ratelimit-token-remaining": str(day.remaining),
        }


def _too_many() -> Response:
    return answer_json({"success": False, "error": "Rate limit exceeded", "errorCode": 429}, 429)


def create_sandbox(folder: Path, *, public_url: str) -> Flask:
    """Give Pipedrive in miniature, with its state in this folder."""
    sandbox = Sandbox(
        name="pipedrive",
        label="Pipedrive",
        folder=folder,
        public_url=public_url,
        key_field=schema.KEY_FIELD,
        accounts=_ACCOUNTS,
        oauth=OAuthRules(
            authorize_path="/oauth/authorize",
            token_path="/oauth/token",  # noqa: S106 - an address
            revoke_path="/oauth/revoke",
            scopes=_SCOPES,
            required_scopes=("base",),
            token_lifetime_s=3600,
            rotates_refresh=True,
            answer=lambda grant: {"scope": " ".join(grant.scopes), "api_domain": public_url},
            new_token=_token,
        ),
        limits=(
            LimitRule("tokens", 30_000, 86_400.0),
            LimitRule("requests", 80, 2.0),
            LimitRule("search", 10, 2.0),
        ),
        answers=_Answers(),
        views=(
            View("Person", "Persons", ("name",), ("job_title", schema.KEY_FIELD)),
            View("Organization", "Organizations", ("name",), ("website",)),
            View("Lead", "Leads", ("title",), ("person_id", "is_archived")),
            View("Deal", "Deals", ("title",), ("status", "stage_id", "value")),
            View("Activity", "Activities", ("subject",), ("type", "due_date", "due_time", "done")),
            View("Note", "Notes", ("content",), ("person_id", "deal_id")),
        ),
    )
    index = Index(sandbox.store)
    Routes(sandbox, Records(sandbox, index), index, Webhooks(sandbox.store)).add()
    return sandbox.app


def _token(account: SandboxAccount, kind: str) -> str:
    """Give tokens of Pipedrive's shape."""
    word = secrets.token_hex(20)
    return (
        f"{account.id}:{account.id}:{word}"
        if kind == "refresh"
        else f"v1u:{secrets.token_urlsafe(200)}"
    )
