"""The Google Calendar connector: what it is as data, and each act in the module named after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from connectors.google_calendar import closing, describing, finding, offering, watching, writing
from connectors.google_calendar.naming import EVENT, HOLD, page
from connectors.google_calendar.preferences import SETTINGS, preferences
from connectors.google_calendar.wire import APP_LIMIT, USER_LIMIT
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

_QUOTA: Final = "https://developers.google.com/workspace/calendar/api/guides/quota (2026-11-22)"
_SCOPE: Final = "https://www.googleapis.com/auth/calendar"


class GoogleCalendar:
    """Writes appointments: holds in the first free slot, and events at a given time."""

    name = "google_calendar"
    label = "Google Calendar"
    max_batch = writing.MAX_BATCH
    one_by_one: frozenset[str] | None = None
    # An event's id is our own, and Google refuses a second; but it does not promise to notice when two are
    # inserted at the same moment.
    # Source: https://developers.google.com/workspace/calendar/api/v3/reference/events/insert (2026-11-22)
    repeats: frozenset[str] | None = frozenset({EVENT, HOLD})
    hosts = ("www.googleapis.com", "accounts.google.com", "oauth2.googleapis.com")
    oauth = OAuth(
        login_url="https://accounts.google.com",
        api_url="https://www.googleapis.com",
        tokens_url="https://oauth2.googleapis.com",
        authorize_url="{base}/o/oauth2/v2/auth",
        token_url="{tokens}/token",  # noqa: S106 - an address
        revoke_url="{tokens}/revoke",
        scopes=(f"{_SCOPE}.events", f"{_SCOPE}.freebusy", f"{_SCOPE}.calendarlist.readonly"),
        # Without both, Google gives a refresh token only the first time that somebody connects.
        authorize_params={"access_type": "offline", "prompt": "consent"},
        default_lifetime_s=3_600.0,
        asks={
            "Client ID": "In the Google Cloud console under Google Auth Platform, Clients.",
            "Client secret": "Beside the client ID, when the client is made.",
        },
        source="https://developers.google.com/identity/protocols/oauth2/web-server (2026-11-22)",
    )
    limits = (
        Limit(APP_LIMIT, "window", 10_000, 60.0, _QUOTA, scope="app"),
        Limit(USER_LIMIT, "window", 600, 60.0, _QUOTA),
    )
    settings = SETTINGS

    def write_cost(self, writes: Sequence[Write]) -> Mapping[str, int]:
        """Count one for each new event, three for each update, and for holds what asking for free times costs."""
        return writing.cost(writes)

    def read_limits(self, status: int, headers: Mapping[str, str]) -> Sequence[LimitReading]:
        """Read nothing: Google's answers say nothing of its limits."""
        del status, headers
        return ()

    def identify(self, account: Account) -> tuple[str, str]:
        """Give the address of the person's own calendar, and its name."""
        own = describing.own_calendar(account)
        name = str(own.get("id"))
        return name, str(own.get("summaryOverride") or own.get("summary") or name)

    def describe(
        self, account: Account, object_name: str | None = None
    ) -> Sequence[Object] | Sequence[Field]:
        """List the two objects, or the fields of one with the account's calendars."""
        if object_name is None:
            return describing.describe_objects(account)
        return describing.describe_fields(account, object_name)

    def prepare(self, account: Account) -> Sequence[Todo]:
        """Check the settings and that the calendar can be written to; there is nothing to create."""
        return describing.prepare(account)

    def find(self, account: Account, lookups: Sequence[Lookup]) -> Sequence[Found]:
        """Answer every lookup, fifty in a call: by key, by id or by contact."""
        return finding.find(account, lookups)

    def write(self, account: Account, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Place holds, insert events, patch known ones; outcome i belongs to write i."""
        return writing.write(account, writes)

    def closed(self, account: Account, ids: Sequence[RecordId]) -> Sequence[Closure]:
        """Tell which events were confirmed, took place, lapsed or were cancelled, and which were edited."""
        return closing.closed(account, ids)

    def webhook(self, account: Account, request: WebhookRequest) -> Sequence[Closure]:
        """Verify a channel's token and read what changed; raises Rejected when the token is wrong."""
        return watching.webhook(account, request)

    def subscribe(self, account: Account, known: Subscription | None) -> Subscription:
        """Open a push channel for the connection's calendar, or a new one before the known one ends."""
        return watching.subscribe(account, known)

    def unsubscribe(self, account: Account, known: Subscription) -> None:
        """End a push channel."""
        watching.unsubscribe(account, known)

    def free_times(
        self, account: Account, start: datetime, end: datetime, duration_minutes: int, most: int
    ) -> Sequence[datetime]:
        """List free times of the connection's calendar, by the settings that holds are placed by; one call."""
        return offering.free_times(
            account, (start, end), timedelta(minutes=duration_minutes), most=most
        )

    def record_url(self, account: Account, record: RecordId) -> str:
        """Give the address of an event's page."""
        return page(account.base_url, record)

    def check_settings(self, values: Mapping[str, JSON]) -> Sequence[str]:
        """Say what is wrong with each of these settings."""
        return wrong(preferences, values)

    def setting_choices(self, account: Account, name: str) -> Sequence[Choice]:
        """List the calendars: those that can be written to, or all of which busy times can be asked."""
        return describing.calendars(account, is_written_to=name == "calendar")
