"""The HubSpot connector: what it is as data, and each act in the module named after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from connectors.hubspot import closing, describing, finding, paths, preparing, writing
from connectors.hubspot.calls import call
from connectors.hubspot.objects import type_number
from connectors.record import (
    Account,
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
    Todo,
    WebhookRequest,
    Write,
)

_USAGE = (
    "https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines (2026-11-22)"
)
_API_URL = "https://api.hubapi.com"


class HubSpot:
    """Reads and writes contacts, companies, deals, tickets, tasks, notes and custom objects."""

    name = "hubspot"
    label = "HubSpot"
    max_batch = writing.MAX_BATCH
    # Our key is a property with unique values: HubSpot itself keeps a second record out.
    repeats: frozenset[str] | None = frozenset()
    hosts = ("api.hubapi.com", ".hubapi.com", "app.hubspot.com", ".hubspot.com")
    oauth = OAuth(
        login_url="https://app.hubspot.com",
        api_url=_API_URL,
        authorize_url="{base}/oauth/authorize",
        token_url="{api}" + paths.TOKEN,
        revoke_url="{api}" + paths.REVOKE,
        scopes=(
            "oauth",
            "crm.objects.contacts.read",
            "crm.objects.contacts.write",
            "crm.objects.companies.read",
            "crm.objects.companies.write",
            "crm.objects.deals.read",
            "crm.objects.deals.write",
            "crm.objects.owners.read",
            "crm.schemas.contacts.read",
            "crm.schemas.contacts.write",
            "crm.schemas.companies.read",
            "crm.schemas.companies.write",
            "crm.schemas.deals.read",
            "crm.schemas.deals.write",
            "tickets",
        ),
        # Only Enterprise accounts can grant these; HubSpot drops what an account does not have.
        authorize_params={
            "optional_scope": "crm.objects.custom.read crm.objects.custom.write "
            "crm.schemas.custom.read"
        },
        keeps=("hub_id",),
        default_lifetime_s=1800.0,
        asks={
            "Client ID": "On the Auth page of your app in HubSpot's developer account.",
            "Client secret": "Beside the client ID; press Show.",
        },
        source="https://developers.hubspot.com/docs/api-reference/2026-03/authentication/"
        "oauth-tokens/refresh-oauth-token (2026-11-22)",
    )
    limits = (
        # An OAuth app has no daily limit. A search has a limit of its own and is not counted here.
        Limit("requests", "window", 110, 10.0, _USAGE),
        Limit("search", "window", 5, 1.0, _USAGE),
    )

    def write_cost(self, writes: Sequence[Write]) -> Mapping[str, int]:
        """Count the calls: one for upserts, one for updates, one for each associated object."""
        return writing.cost(writes)

    def read_limits(self, status: int, headers: Mapping[str, str]) -> Sequence[LimitReading]:
        """Read what is left of the window; a search's answer says nothing."""
        del status  # The headers mean the same in a refusal.
        # Source: https://developers.hubspot.com/changelog/rate-limit-headers-will-now-appear-for-oauth-authenticated-calls
        # seen 2026-11-22
        capacity = _number(headers.get("x-hubspot-ratelimit-max"))
        remaining = _number(headers.get("x-hubspot-ratelimit-remaining"))
        if capacity is None and remaining is None:
            return ()
        span_ms = _number(headers.get("x-hubspot-ratelimit-interval-milliseconds"))
        resets_in_s = None if span_ms is None else span_ms / 1000
        return (LimitReading("requests", capacity, remaining, resets_in_s),)

    def identify(self, account: Account) -> tuple[str, str]:
        """Give the portal's id and a name for it; HubSpot tells no company name to apps."""
        # Source: https://developers.hubspot.com/docs/api-reference/latest/account/account-information/get-account-details
        # seen 2026-11-22
        said = call(account, "GET", paths.ACCOUNT).body
        portal = str(said.get("portalId"))
        name = said.get("portalName") or account.settings.get("hub_domain")
        return portal, str(name or f"HubSpot account {portal}")

    def describe(
        self, account: Account, object_name: str | None = None
    ) -> Sequence[Object] | Sequence[Field]:
        """List the account's objects, or the properties and associations of one."""
        if object_name is None:
            return describing.describe_objects(account)
        return describing.describe_fields(account, object_name)

    def prepare(self, account: Account) -> Sequence[Todo]:
        """Create the unique property that keeps our key; list what a person must do instead."""
        return preparing.prepare(account)

    def find(self, account: Account, lookups: Sequence[Lookup]) -> Sequence[Found]:
        """Answer every lookup: by unique values in batches, by others with a search."""
        return [
            replace(
                found,
                candidates=tuple(
                    replace(one, record=self._linked(account, one.record))
                    for one in found.candidates
                ),
            )
            for found in finding.find(account, lookups)
        ]

    def write(self, account: Account, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Upsert by our key or update by record id, then associate; outcome i belongs to write i."""
        return [
            replace(one, record=self._linked(account, one.record)) if one.record else one
            for one in writing.write(account, writes)
        ]

    def closed(self, account: Account, ids: Sequence[RecordId]) -> Sequence[Closure]:
        """Tell which deals are won or lost, which tickets closed and which tasks done."""
        return closing.closed(account, ids)

    def webhook(self, account: Account, request: WebhookRequest) -> Sequence[Closure]:
        """Verify signature v3 and tell what has closed; raises Rejected when it is wrong."""
        return closing.webhook(account, request)

    def changed(self, account: Account, request: WebhookRequest) -> Sequence[RecordId]:
        """Verify signature v3 and name what has changed; raises Rejected when it is wrong."""
        return closing.changed(account, request)

    def accounts_of(self, request: WebhookRequest) -> Sequence[str]:
        """Name the portals that a webhook of the app speaks of; its signature is not yet checked."""
        return closing.accounts_of(request)

    def _linked(self, account: Account, record: RecordId) -> RecordId:
        """Give the record with the address of its page, where a person looks at it."""
        return replace(record, url=self.record_url(account, record))

    def record_url(self, account: Account, record: RecordId) -> str:
        """Give the address of a record's page; a sandbox shows its records itself."""
        host = urlsplit(account.base_url).hostname or ""
        if host != "api.hubapi.com" and not host.endswith(".hubapi.com"):
            return f"{account.base_url}/records/{record.object}/{record.id}"
        portal: Any = account.settings.get("hub_id", account.id)
        return f"https://app.hubspot.com/contacts/{portal}/record/{type_number(record.object)}/{record.id}"


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isdigit() else None
