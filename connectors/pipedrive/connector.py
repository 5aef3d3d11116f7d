"""The Pipedrive connector: what it is as data, and each act in the module named after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from connectors.pipedrive import closing, describing, finding, hooks, paths, preparing, writing
from connectors.pipedrive.calls import call
from connectors.pipedrive.keys import KeyFields
from connectors.pipedrive.preferences import SETTINGS, key_fields
from connectors.pipedrive.refusals import ON_ITS_WAY_S, number, until_midnight_s
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

_LIMITS = "https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting (2026-11-22)"
_DAY_S = 86_400.0
_BURST_S = 2.0
_SEARCHES = 10
#: The pages of the objects, below the account's own address; a note has none.
_PAGES = {
    "Person": "/person/{id}",
    "Organization": "/organization/{id}",
    "Deal": "/deal/{id}",
    "Lead": "/leads/inbox/{id}",
    "Activity": "/activities/list",
    "Note": "/timeline",
}
_LINKED_PAGES = {
    "lead_id": "Lead",
    "deal_id": "Deal",
    "person_id": "Person",
    "org_id": "Organization",
}


class Pipedrive:
    """Reads and writes persons, organizations, leads, deals, activities and notes."""

    name = "pipedrive"
    label = "Pipedrive"
    max_batch = writing.MAX_BATCH
    one_by_one: frozenset[str] | None = None
    # Nothing at Pipedrive keeps a second record of a key out: two writes at once make two.
    repeats: frozenset[str] | None = None
    hosts = ("oauth.pipedrive.com", ".pipedrive.com")
    oauth = OAuth(
        login_url="https://oauth.pipedrive.com",
        authorize_url="{base}/oauth/authorize",
        token_url="{base}/oauth/token",  # noqa: S106 - an address
        revoke_url="{base}/oauth/revoke",
        scopes=(
            "base",
            "contacts:full",
            "deals:full",
            "leads:full",
            "activities:full",
            "search:read",
            "contact-fields:full",
            "deal-fields:full",
            "webhooks:full",
        ),
        has_pkce=False,
        token_auth="client_secret_basic",  # noqa: S106 - the name of a way to authenticate
        keeps=("api_domain",),
        default_lifetime_s=3600.0,
        api_url="https://api.pipedrive.com",
        asks={
            "Client ID": "In the Developer Hub, on the page OAuth & access scopes of your app.",
            "Client secret": "Beside the client ID.",
        },
        source="https://pipedrive.readme.io/docs/marketplace-oauth-authorization (2026-11-22)",
    )
    limits = (
        # 30,000 tokens for each seat of the smallest plan, times 2, 5 or 7 in the others: the headers say it.
        Limit("tokens", "day", 30_000, _DAY_S, _LIMITS),
        # An OAuth app on the smallest plan; 160, 400 and 480 on the others.
        Limit("requests", "window", 80, _BURST_S, _LIMITS),
        Limit("search", "window", _SEARCHES, _BURST_S, _LIMITS),
    )
    settings = SETTINGS

    def __init__(self) -> None:
        """Begin with no custom fields known."""
        self._keys = KeyFields()

    def write_cost(self, writes: Sequence[Write]) -> Mapping[str, int]:
        """Count tokens, requests and searches, looking for keys included."""
        return writing.cost(writes)

    def read_limits(self, status: int, headers: Mapping[str, str]) -> Sequence[LimitReading]:
        """Read what is left of the day's tokens and of the window; either may be missing.

        The answer to a search tells of the searches' window, which is known by its size: no plan's burst is so small.
        """
        del status  # The headers mean the same in a refusal.
        found: list[LimitReading] = []
        limit = number(headers.get("x-daily-ratelimit-token-limit"))
        left = number(headers.get("x-daily-ratelimit-token-remaining"))
        if limit is not None or left is not None:
            found.append(LimitReading("tokens", limit, left, until_midnight_s(headers)))
        limit, left = (
            number(headers.get("x-ratelimit-limit")),
            number(headers.get("x-ratelimit-remaining")),
        )
        if limit is not None:
            name = "search" if limit <= _SEARCHES else "requests"
            resets = number(headers.get("x-ratelimit-reset"))
            found.append(LimitReading(name, limit, left, None if resets is None else float(resets)))
        return found

    def identify(self, account: Account) -> tuple[str, str]:
        """Give the company's id and name."""
        me = call(account, paths.ME).one
        company = str(me.get("company_id"))
        return company, str(me.get("company_name") or f"Pipedrive company {company}")

    def describe(
        self, account: Account, object_name: str | None = None
    ) -> Sequence[Object] | Sequence[Field]:
        """List the objects, or the fields of one with the account's custom fields."""
        if object_name is None:
            return describing.describe_objects()
        return describing.describe_fields(account, self._keys, object_name)

    def prepare(self, account: Account) -> Sequence[Todo]:
        """Create the custom fields that keep our key; list what a person must do instead."""
        return preparing.prepare(account, self._keys)

    def runs_on_s(self, settings: Mapping[str, JSON]) -> float:
        """Give how long a request may be on its way to Pipedrive."""
        del settings
        return ON_ITS_WAY_S

    def find(self, account: Account, lookups: Sequence[Lookup]) -> Sequence[Found]:
        """Answer every lookup: by key among the newest records and by search, by values with a search."""
        return [
            replace(
                found,
                candidates=tuple(
                    replace(
                        one,
                        record=replace(
                            one.record, url=self._page(account, one.record, lookup.fields)
                        ),
                    )
                    for one in found.candidates
                ),
            )
            for lookup, found in zip(
                lookups, finding.find(account, self._keys, lookups), strict=True
            )
        ]

    def write(self, account: Account, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write one record after another; outcome i belongs to write i."""
        outcomes = writing.write(account, self._keys, writes)
        return [
            replace(
                made, record=replace(made.record, url=self._page(account, made.record, one.fields))
            )
            if made.record
            else made
            for one, made in zip(writes, outcomes, strict=True)
        ]

    def closed(self, account: Account, ids: Sequence[RecordId]) -> Sequence[Closure]:
        """Tell of deals won or lost, activities done, leads archived, converted or seen."""
        return closing.closed(account, ids)

    def webhook(self, account: Account, request: WebhookRequest) -> Sequence[Closure]:
        """Verify the password that we gave, and tell what has closed."""
        return hooks.webhook(account, request)

    def changed(self, account: Account, request: WebhookRequest) -> Sequence[RecordId]:
        """Verify the password that we gave, and name the record that has changed, without a call."""
        del account  # A subscription has a password of its own.
        return hooks.changed(request)

    def subscribe(self, account: Account, known: Subscription | None) -> Subscription:
        """Have Pipedrive report changes of deals, activities and leads."""
        return hooks.subscribe(account, known)

    def unsubscribe(self, account: Account, known: Subscription) -> None:
        """End the webhooks."""
        hooks.unsubscribe(account, known)

    def record_url(self, account: Account, record: RecordId) -> str:
        """Give the address of a record's page; a sandbox shows its records itself."""
        host = urlsplit(account.base_url).hostname or ""
        if not host.endswith(".pipedrive.com"):
            return f"{account.base_url}/records/{record.object}/{record.id}"
        page = _PAGES.get(record.object, "/")
        return account.base_url + page.format(id=record.id)

    def check_settings(self, values: Mapping[str, JSON]) -> Sequence[str]:
        """Say what is wrong with the settings."""
        return wrong(key_fields, values)

    def setting_choices(self, account: Account, name: str) -> Sequence[Choice]:
        """List nothing: no setting comes from the account."""
        del account, name
        return ()

    def _page(self, account: Account, record: RecordId, fields: Mapping[str, JSON]) -> str:
        """Give where a person sees a record: a note and an activity stand on the page of what they hang on."""
        is_real = (urlsplit(account.base_url).hostname or "").endswith(".pipedrive.com")
        if is_real and record.object in {"Note", "Activity"}:
            for name, target in _LINKED_PAGES.items():
                if isinstance(fields.get(name), str | int) and fields[name] != "":
                    return self.record_url(account, RecordId(target, str(fields[name])))
        return self.record_url(account, record)
