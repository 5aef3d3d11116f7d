"""The one interface that every vendor implements.

A connector is stateless. It knows no tenant, no database, no queue and no retry. It calls
``account.spend`` before every request and ``account.observe`` after every answer, sets
every timeout, and never sleeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from connectors.record import (
    Account,
    Closure,
    Field,
    Found,
    KeyAuth,
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


class Connector(Protocol):
    """Reads and writes records in one vendor's accounts.

    ``write`` is idempotent: the same keys again give the same records. Lists that are answered belong
    to the question by position: outcome i belongs to write i, answer i to lookup i.
    """

    name: str
    label: str
    oauth: OAuth | KeyAuth
    limits: tuple[Limit, ...]
    max_batch: int
    #: Objects of which the vendor would make a second record of one key if two writes of it were on
    #: their way at the same moment; None when it may happen to any object.
    repeats: frozenset[str] | None
    #: Host names that a connection's base URL may have; a leading dot stands for subdomains.
    hosts: tuple[str, ...]

    def write_cost(self, writes: Sequence[Write]) -> Mapping[str, int]:
        """Give the units of each limit that this batch will cost, for asking beforehand."""

    def read_limits(self, status: int, headers: Mapping[str, str]) -> Sequence[LimitReading]:
        """Read what an answer's headers say of the account's limits; header names in lower case."""

    def identify(self, account: Account) -> tuple[str, str]:
        """Give the vendor's id of the account and the name that a person knows it by."""

    def describe(
        self, account: Account, object_name: str | None = None
    ) -> Sequence[Object] | Sequence[Field]:
        """List the account's objects, or the fields of one object.

        Raises Rejected when the account has no such object.
        """

    def prepare(self, account: Account) -> Sequence[Todo]:
        """Create what we need in the account (key fields); list what a person must do instead.

        Doing it again changes nothing.
        """

    def find(self, account: Account, lookups: Sequence[Lookup]) -> Sequence[Found]:
        """Answer every lookup, in as few calls as the vendor allows."""

    def write(self, account: Account, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write records of one object, at most ``max_batch``; outcome i belongs to write i.

        Raises Throttled, Unavailable, NeedsReconnect or Uncertain when that holds for the whole
        batch; an error that concerns one record is that record's outcome.
        """

    def closed(self, account: Account, ids: Sequence[RecordId]) -> Sequence[Closure]:
        """Tell which of these records have been closed, and when."""

    def webhook(self, account: Account, request: WebhookRequest) -> Sequence[Closure]:
        """Verify and read what the vendor sent; raises Rejected when the signature is wrong."""

    def record_url(self, account: Account, record: RecordId) -> str:
        """Give the address of a record's page for a person."""
