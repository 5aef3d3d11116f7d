"""The Twilio connector: what it is as data, and each act in the module named after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from connectors.errors import NeedsReconnect
from connectors.record import (
    JSON,
    Account,
    Choice,
    Closure,
    Field,
    Found,
    KeyAuth,
    Limit,
    LimitReading,
    Lookup,
    Object,
    Outcome,
    RecordId,
    Todo,
    WebhookRequest,
    Write,
)
from connectors.settings import wrong
from connectors.twilio_sms import closing, describing, finding, sending
from connectors.twilio_sms.calls import CONCURRENCY, client, is_twilio, keys_of, reading
from connectors.twilio_sms.refusals import ASK_AFTER_S
from connectors.twilio_sms.rules import SETTINGS, rules_of

_TOO_MANY = "https://www.twilio.com/docs/api/errors/20429 (2026-11-22)"
_QUEUE = "https://www.twilio.com/docs/api/errors/21611 (2026-11-22)"


class TwilioSMS:
    """Sends texts, and tells what became of them."""

    name = "twilio_sms"
    label = "Twilio SMS"
    max_batch = sending.MAX_BATCH
    one_by_one: frozenset[str] | None = None
    #: A text reaches the caller; it is no work that somebody closes.
    purposes: Mapping[str, Literal["page", "text"]] = MappingProxyType({finding.OBJECT: "text"})
    # Nothing at Twilio keeps a second text of one key out.
    repeats: frozenset[str] | None = None
    hosts = ("api.twilio.com", ".twilio.com")
    oauth = KeyAuth(
        fields={
            "account_sid": "Account SID",
            "api_key_sid": "API key SID",
            "api_key_secret": "API key secret",
            "auth_token": "Auth Token",
        },
        secrets=frozenset({"api_key_secret", "auth_token"}),
        login_url="https://api.twilio.com",
        asks={
            "Account SID": "On the first page of Twilio's console, under Account info; it begins with AC.",
            "API key SID": "Account management, API keys & tokens, Create API key (Standard); begins with SK.",
            "API key secret": "Shown once, when the key is made.",
            "Auth Token": "Beside the Account SID. Reports on texts are checked with it; no text is sent with it.",
        },
        source="https://www.twilio.com/docs/iam/api-keys/keys-in-console (2026-11-22)",
    )
    limits = (
        # Twilio does not say how many; 100 is what others report of it. A refusal teaches the budget more.
        Limit(CONCURRENCY, "concurrency", 100, 60.0, _TOO_MANY),
        # The time of one sender: a part of a text takes a second of a US long code's.
        Limit(sending.SENDER_MS, "window", 60_000, 60.0, _QUEUE),
    )
    settings = SETTINGS

    def write_cost(self, writes: Sequence[Write]) -> Mapping[str, int]:
        """Count a call for each text, look-ups of those that may not be first, and the sender's time."""
        return sending.cost(writes)

    def read_limits(self, status: int, headers: Mapping[str, str]) -> Sequence[LimitReading]:
        """Read nothing: Twilio-Concurrent-Requests tells how many calls there are, but not how many may be."""
        del status, headers
        return ()

    def identify(self, account: Account) -> tuple[str, str]:
        """Give the Account SID and the account's name; raises NeedsReconnect unless both kinds of keys work."""
        keys = keys_of(account)
        with reading():
            client(account).incoming_phone_numbers.page(page_size=1)
        if not keys.auth_token:
            raise NeedsReconnect("The Auth Token is missing. Reports on texts are checked with it.")
        # A standard API key may not read the account itself.
        # Source: https://www.twilio.com/docs/api/errors/20003 (2026-11-22)
        with reading():
            about = (
                client(account, with_auth_token=True).api.v2010.accounts(keys.account_sid).fetch()
            )
            return keys.account_sid, str(about.friendly_name or f"Twilio {keys.account_sid}")

    def describe(
        self, account: Account, object_name: str | None = None
    ) -> Sequence[Object] | Sequence[Field]:
        """List the one object, or the fields of a text with the account's senders."""
        if object_name is None:
            return describing.describe_objects()
        return describing.describe_fields(account, object_name)

    def prepare(self, account: Account) -> Sequence[Todo]:
        """List what keeps texts from being sent: no number, or several and none chosen."""
        return describing.prepare(account)

    def runs_on_s(self, settings: Mapping[str, JSON]) -> float:
        """Give how long a text may be on its way to Twilio."""
        del settings
        return ASK_AFTER_S

    def find(self, account: Account, lookups: Sequence[Lookup]) -> Sequence[Found]:
        """Find texts by recipient and words; raises Rejected for what cannot be asked."""
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
        """Send texts that were not sent yet; outcome i belongs to write i."""
        return [
            replace(one, record=self._linked(account, one.record)) if one.record else one
            for one in sending.write(account, writes)
        ]

    def closed(self, account: Account, ids: Sequence[RecordId]) -> Sequence[Closure]:
        """Tell which texts arrived, were lost, or are on their way."""
        return closing.closed(account, ids)

    def webhook(self, account: Account, request: WebhookRequest) -> Sequence[Closure]:
        """Verify a report by the Auth Token and tell what became of its text."""
        return closing.webhook(account, request)

    def _linked(self, account: Account, record: RecordId) -> RecordId:
        return replace(record, url=self.record_url(account, record))

    def record_url(self, account: Account, record: RecordId) -> str:
        """Give the address of the text's page in the console; a sandbox shows it itself."""
        if not is_twilio(account.base_url):
            return f"{account.base_url}/records/{record.object}/{record.id}"
        return f"https://console.twilio.com/us1/monitor/logs/sms?sid={record.id}"

    def check_settings(self, values: Mapping[str, JSON]) -> Sequence[str]:
        """Say what is wrong with each of these settings."""
        return wrong(rules_of, values)

    def setting_choices(self, account: Account, name: str) -> Sequence[Choice]:
        """List the account's senders: numbers that can send texts, and Messaging Services."""
        del name  # only the sender comes from the account
        return describing.senders(account)
