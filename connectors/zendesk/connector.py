"""The Zendesk connector: what it is as data, and each act in the module named after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from connectors.errors import ContractBroken
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
from connectors.zendesk import closing, describing, finding, jobs, subscribing, writing
from connectors.zendesk.calls import call
from connectors.zendesk.objects import TICKET, USER
from connectors.zendesk.preferences import SETTINGS, preferences

_RATES = "https://developer.zendesk.com/api-reference/introduction/rate-limits (2026-11-22)"


class Zendesk:
    """Reads and writes tickets and users of Zendesk Support."""

    name = "zendesk"
    label = "Zendesk"
    max_batch = writing.MAX_BATCH
    one_by_one: frozenset[str] | None = frozenset({"User"})
    # Two tickets may have one external_id. Users may not, but nobody outside of Zendesk has seen
    # what it does with two that come at the same moment.
    repeats: frozenset[str] | None = frozenset({TICKET, USER})
    max_lost = 40
    hosts = (".zendesk.com",)
    oauth = OAuth(
        login_url="https://{sub}.zendesk.com",
        authorize_url="{base}/oauth/authorizations/new",
        token_url="{base}/oauth/tokens",  # noqa: S106 - an address
        revoke_url="{base}/api/v2/oauth/tokens/current",
        revoke_by="bearer",
        # Fields, groups and jobs have no scope of their own, so all is read and little is written.
        scopes=("read", "tickets:write", "users:write", "webhooks:write"),
        default_lifetime_s=172_800.0,
        asks={
            "Address": "Your own: https://, your subdomain, and .zendesk.com.",
            "Client ID": "The unique identifier of the OAuth client, in Admin Center under Apps and integrations, "
            "APIs, OAuth clients.",
            "Client secret": "Shown once when the client is saved.",
        },
        source="https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/ (2026-11-22)",
    )
    limits = (
        # The smallest plan's; the answers' headers correct it (400, 700, 2500).
        Limit("requests", "window", 200, 60.0, _RATES),
        Limit("update_tickets", "window", 100, 60.0, _RATES),
        Limit("list_tickets", "window", 100, 60.0, _RATES),
        # Thirty may wait or run at the same time; a hundred rows take less than a minute.
        Limit("jobs", "window", 30, 60.0, _RATES),
    )
    settings = SETTINGS

    def write_cost(self, writes: Sequence[Write]) -> Mapping[str, int]:
        """Count the calls: one for a job, one for a single record; questions about jobs come later."""
        return writing.cost(writes)

    def read_limits(self, status: int, headers: Mapping[str, str]) -> Sequence[LimitReading]:
        """Read what is left of this minute, of all calls and of lists of tickets."""
        del status  # The headers mean the same in a refusal.
        # Source: https://developer.zendesk.com/api-reference/introduction/rate-limits (2026-11-22)
        resets_in_s = _number(headers.get("ratelimit-reset"))
        found: list[LimitReading] = []
        capacity = _number(headers.get("x-rate-limit") or headers.get("ratelimit-limit"))
        left = _number(headers.get("x-rate-limit-remaining") or headers.get("ratelimit-remaining"))
        if capacity is not None or left is not None:
            found.append(LimitReading("requests", capacity, left, resets_in_s))
        listing = _parts(headers.get("zendesk-ratelimit-tickets-index"))
        if listing:
            found.append(
                LimitReading(
                    "list_tickets",
                    _number(listing.get("total")),
                    _number(listing.get("remaining")),
                    _number(listing.get("resets")),
                )
            )
        return tuple(found)

    def identify(self, account: Account) -> tuple[str, str]:
        """Give the number of the account's oldest brand, and the default brand's name.

        Zendesk tells agents no number of the account itself; a brand's number is one of its kind in all Zendesk.
        """
        brands = call(account, "GET", "/brands").listed("brands")
        numbers = [one["id"] for one in brands if isinstance(one.get("id"), int)]
        if not numbers:
            raise ContractBroken("Zendesk lists no brand of the account.")
        default = next((one for one in brands if one.get("default")), brands[0])
        return str(min(numbers)), str(default.get("name") or f"Zendesk {min(numbers)}")

    def describe(
        self, account: Account, object_name: str | None = None
    ) -> Sequence[Object] | Sequence[Field]:
        """List the objects that we write, or the fields of one as the account has them."""
        if object_name is None:
            return describing.describe_objects()
        return describing.describe_fields(account, object_name)

    def prepare(self, account: Account) -> Sequence[Todo]:
        """Nothing has to be prepared: our key is kept in a field that every account has."""
        del account
        return ()

    def runs_on_s(self, settings: Mapping[str, JSON]) -> float:
        """Give how long a job that nobody knows of may be queued and run."""
        return preferences(settings).job_runs_s

    def find(self, account: Account, lookups: Sequence[Lookup]) -> Sequence[Found]:
        """Answer every lookup: by our key from Zendesk's own tables, by other values with a search."""
        return [
            Found(tuple(replace(c, record=self._linked(account, c.record)) for c in one.candidates))
            for one in finding.find(account, lookups)
        ]

    def write(self, account: Account, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Make or change records, several by a job of Zendesk's; outcome i belongs to write i."""
        return self._with_links(account, writing.write(account, writes))

    def poll(self, account: Account, job: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Ask what became of the writes that a job took; outcome i belongs to write i."""
        return self._with_links(account, jobs.poll(account, job, writes))

    def poll_cost(self, job: str) -> Mapping[str, int]:
        """One call, whatever the job."""
        del job
        return {"requests": 1}

    def closed(self, account: Account, ids: Sequence[RecordId]) -> Sequence[Closure]:
        """Tell which tickets are solved or closed, and which somebody has taken up."""
        return closing.closed(account, ids)

    def webhook(self, account: Account, request: WebhookRequest) -> Sequence[Closure]:
        """Verify a webhook and tell what was solved or taken up; raises Rejected when it is not signed."""
        del account  # The secret belongs to this account's webhook alone.
        return closing.webhook(request)

    def subscribe(self, account: Account, known: Subscription | None) -> Subscription:
        """Have Zendesk tell us of each changed status."""
        return subscribing.subscribe(account, known)

    def unsubscribe(self, account: Account, known: Subscription) -> None:
        """End the webhook; one that is gone already is fine."""
        subscribing.unsubscribe(account, known)

    def record_url(self, account: Account, record: RecordId) -> str:
        """Give the address of a record's page for agents; a sandbox shows its records itself."""
        host = urlsplit(account.base_url).hostname or ""
        if not host.endswith(".zendesk.com"):
            return f"{account.base_url}/records/{record.object}/{record.id}"
        place = "tickets" if record.object == TICKET else "users"
        return f"{account.base_url}/agent/{place}/{record.id}"

    def check_settings(self, values: Mapping[str, JSON]) -> Sequence[str]:
        """Say what is wrong with each of these settings."""
        return wrong(preferences, values)

    def setting_choices(self, account: Account, name: str) -> Sequence[Choice]:
        """List nothing: no setting comes from the account."""
        del account, name
        return ()

    def _with_links(self, account: Account, outcomes: Sequence[Outcome]) -> list[Outcome]:
        return [
            replace(one, record=self._linked(account, one.record)) if one.record else one
            for one in outcomes
        ]

    def _linked(self, account: Account, record: RecordId) -> RecordId:
        """Give the record with the address of its page."""
        return replace(record, url=self.record_url(account, record))


def _number(value: str | None) -> int | None:
    return int(value) if value and value.strip().isdigit() else None


def _parts(value: str | None) -> Mapping[str, str]:
    """Read "total=100; remaining=99; resets=41"."""
    pairs = (part.partition("=") for part in (value or "").split(";"))
    return {name.strip(): number.strip() for name, mark, number in pairs if mark}
