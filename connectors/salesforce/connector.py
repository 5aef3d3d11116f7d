"""The Salesforce connector: facts about the vendor, and what it can do, each in its own module."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn

from connectors.errors import Rejected
from connectors.http import Transport
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
from connectors.salesforce import bulk, keys, lookup, rows, soql
from connectors.salesforce.calls import Calls, cost_of
from connectors.salesforce.fields import fields_of, objects_of
from connectors.salesforce.refusals import record_url

_LIMITS_SOURCE = (
    "https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/"
    "salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm"
)
_USAGE = re.compile(r"(?:^|[;,\s])(?P<name>api-usage|per-app-api-usage)=(?P<used>\d+)/(?P<of>\d+)")


class Salesforce:
    """Reads and writes records in Salesforce orgs; see connectors.interface for what each promises."""

    name = "salesforce"
    label = "Salesforce"
    #: Source: https://developer.salesforce.com/docs/platform/api-rest/guide/
    #: resources-composite-sobjects-collections-upsert (2026-11-22)
    max_batch = rows.MAX_BATCH
    #: Above so many records Salesforce wants Bulk API 2.0 to be used.
    #: Source: https://developer.salesforce.com/docs/platform/salesforce-app-limits-cheatsheet/guide/
    #: salesforce-app-limits-platform-bulkapi.html (2026-11-22)
    bulk_from = 2_000
    max_bulk = bulk.MAX_ROWS
    # Leads, contacts and cases have a unique key, but that of a task may be an external id only:
    # two upserts at the same moment could make two tasks.
    repeats: frozenset[str] | None = frozenset({"Task", "Event"})
    #: My Domain, production, sandboxes: every address that a token answer gives is below this.
    hosts = (".salesforce.com",)
    oauth = OAuth(
        # A sandbox org logs in at https://test.salesforce.com, an org with My Domain at its own.
        login_url="https://login.salesforce.com",
        authorize_url="{base}/services/oauth2/authorize",
        token_url="{base}/services/oauth2/token",  # noqa: S106 - an address
        revoke_url="{base}/services/oauth2/revoke",
        # api: the REST API. refresh_token: work while nobody is signed in. Nothing else is asked for.
        scopes=("api", "refresh_token"),
        # Apps that more than two customers' orgs use must send PKCE, with the secret too.
        has_pkce=True,
        token_auth="client_secret_post",  # noqa: S106 - the name of a method
        # instance_url is the base of every call; id ends in the id of the user who connected.
        keeps=("instance_url", "id"),
        # The answer has no expires_in: a token lives as long as the org's session setting says,
        # two hours unless the admin changed it. An earlier end is answered 401 and refreshed then.
        default_lifetime_s=7_200.0,
        asks={
            "Login URL": (
                "https://login.salesforce.com for production, https://test.salesforce.com for a "
                "sandbox org, or the org's My Domain address."
            ),
            "Consumer key": "Of the External Client App that you made for Afterbeep.",
            "Consumer secret": "Beside the consumer key.",
        },
        source=(
            "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_web_server_flow.htm"
        ),
    )
    limits = (
        # Every org has at least this; what it really has is read from each answer.
        Limit("requests", "day", 100_000, 86_400.0, _LIMITS_SOURCE),
        # Counts only calls that take 20 s and longer. Ours are short and one connection makes one
        # at a time, so no call is charged to it; refusals by it are recognised.
        Limit("long_calls", "concurrency", 25, 600.0, _LIMITS_SOURCE),
    )

    def __init__(self) -> None:
        """Keep nothing but open connections."""
        self._transport = Transport(self.label, cost=cost_of)

    def write_cost(self, writes: Sequence[Write]) -> Mapping[str, int]:
        """Give one call, for new and known records alike; of more than 200 those that a job takes."""
        if len(writes) > self.max_batch:
            return {"requests": bulk.cost(writes)}
        return {"requests": 1 if writes else 0}

    def read_limits(self, status: int, headers: Mapping[str, str]) -> Sequence[LimitReading]:
        """Read ``Sforce-Limit-Info: api-usage=18/5000; per-app-api-usage=17/250(appName=x)``."""
        # Source (2026-11-22):
        # https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm
        del status
        found = [
            (int(match["of"]), max(0, int(match["of"]) - int(match["used"])))
            for match in _USAGE.finditer(headers.get("sforce-limit-info", ""))
        ]
        if not found:
            return ()
        # The tighter of the org's limit and that of the app is the one that will stop us.
        capacity, remaining = min(found, key=lambda pair: pair[1])
        return (LimitReading("requests", capacity=capacity, remaining=remaining),)

    def identify(self, account: Account) -> tuple[str, str]:
        """Give the org's id and name."""
        calls = self._calls(account)
        try:
            for row in calls.query("SELECT Id, Name FROM Organization LIMIT 1"):
                return str(row["Id"]), str(row["Name"])
        except Rejected:
            # The user may not read the Organization object; the id is known all the same.
            pass
        user = calls.user()
        org_id = str(user["organization_id"])
        return org_id, f"Salesforce org {org_id}"

    def describe(
        self, account: Account, object_name: str | None = None
    ) -> Sequence[Object] | Sequence[Field]:
        """List the org's objects, or the fields of one; our key field is not among them."""
        calls = self._calls(account)
        if object_name is None:
            return objects_of(calls.get("sobjects"))
        try:
            path = f"sobjects/{soql.name(object_name)}/describe"
        except ValueError as err:
            raise Rejected(f'Salesforce has no object "{object_name}".', code="NOT_FOUND") from err
        return fields_of(calls.get(path), without=frozenset({lookup.KEY_FIELD}))

    def prepare(self, account: Account) -> Sequence[Todo]:
        """Make the key fields, or say which steps an admin must take."""
        return keys.prepare(self._calls(account), account)

    def find(self, account: Account, lookups: Sequence[Lookup]) -> Sequence[Found]:
        """Answer lookups with one query for each object and set of fields, where it fits."""
        return lookup.find(self._calls(account), account.base_url, lookups)

    def write(self, account: Account, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Upsert by key, and update by id, up to 200 records of one object; more go through a job."""
        calls = self._calls(account)
        if len(writes) > self.max_batch:
            return bulk.write(calls, account.base_url, writes)
        outcomes = rows.write(calls, account.base_url, writes)
        return bulk.write_unsorted(calls, account.base_url, writes, outcomes)

    def poll(self, account: Account, job: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Start a job that is not started yet, or tell what became of the writes in it."""
        return bulk.poll(self._calls(account), account.base_url, job, writes)

    def poll_cost(self, job: str) -> Mapping[str, int]:
        """Give the one call that asks for the state; starting costs one more, results two or three."""
        del job
        return {"requests": 1}

    def closed(self, account: Account, ids: Sequence[RecordId]) -> Sequence[Closure]:
        """Tell which leads were converted, and which tasks, cases and opportunities closed."""
        return lookup.closed(self._calls(account), ids)

    def webhook(self, account: Account, request: WebhookRequest) -> NoReturn:
        """Refuse: Salesforce has no plain webhooks, closures are polled for."""
        del account, request
        raise Rejected("Salesforce does not send webhooks.", code="no_webhooks")

    def record_url(self, account: Account, record: RecordId) -> str:
        """Give the record's page in Lightning Experience."""
        return record_url(account.base_url, record.object, record.id)

    def _calls(self, account: Account) -> Calls:
        return Calls(self._transport, account)
