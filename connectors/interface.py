"""The one interface that every vendor implements.

A connector is stateless. It knows no tenant, no database, no queue and no retry. It calls
``account.spend`` before every request and ``account.observe`` after every answer, sets
every timeout, and never sleeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

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
    OAuth,
    Object,
    Outcome,
    RecordId,
    Setting,
    Subscription,
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
        """Tell which of these records have been closed, and when; also which were touched, where known."""

    def webhook(self, account: Account, request: WebhookRequest) -> Sequence[Closure]:
        """Verify and read what the vendor sent; raises Rejected when the signature is wrong."""

    def record_url(self, account: Account, record: RecordId) -> str:
        """Give the address of a record's page for a person."""


# What only some vendors can do. The hub asks with isinstance.


@runtime_checkable
class WorksLater(Protocol):
    """A vendor that takes writes now and tells later what became of them.

    ``write`` gives such rows ``NotYet`` with a ``job``.
    """

    def poll(self, account: Account, job: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Ask what became of the writes that a job took; outcome i belongs to write i.

        ``NotYet`` with the job again while it runs; Uncertain when the vendor knows nothing of the job any more.
        """

    def poll_cost(self, job: str) -> Mapping[str, int]:
        """Give the units of each limit that one poll will cost, at least."""


@runtime_checkable
class WritesInBulk(Protocol):
    """A vendor with a cheaper way for very many records: ``write`` takes up to ``max_bulk`` then."""

    #: From so many waiting rows on the other way is cheaper.
    bulk_from: int
    max_bulk: int


@runtime_checkable
class Subscribes(Protocol):
    """A vendor that can be told, for each account, where to report what its users do."""

    def subscribe(self, account: Account, known: Subscription | None) -> Subscription:
        """Have the vendor report to ``account.webhook_url``; renews *known*, or makes one where there is none.

        Doing it again makes no second subscription.
        """

    def unsubscribe(self, account: Account, known: Subscription) -> None:
        """End a subscription; one that is gone already is fine."""


@runtime_checkable
class ReportsForAll(Protocol):
    """A vendor that reports on all accounts of our app to one address."""

    def accounts_of(self, request: WebhookRequest) -> Sequence[str]:
        """Name the accounts (as ``identify`` does) that a request speaks of; its signature is not yet checked."""


@runtime_checkable
class NamesChanged(Protocol):
    """A vendor whose webhooks say which records have changed, but not how they stand now.

    Only those that are ours are then asked for with ``closed``: the account's calls are not spent on strangers.
    """

    def changed(self, account: Account, request: WebhookRequest) -> Sequence[RecordId]:
        """Verify what the vendor sent and name its records, without a call; raises Rejected as ``webhook`` does."""


@runtime_checkable
class HasPurposes(Protocol):
    """A vendor some of whose objects are no records of work.

    ``page``: it calls a person on call. ``text``: it reaches the caller, so that its arrival is the first touch and
    closes nothing.
    """

    #: Object to what it is for.
    purposes: Mapping[str, Literal["page", "text"]]


@runtime_checkable
class TellsAddress(Protocol):
    """A vendor whose token answer says in a way of its own where the account's API is."""

    def api_address(self, answer: Mapping[str, JSON]) -> str | None:
        """Give the API's address from a token answer; None when it does not say. The caller checks whose it is."""


@runtime_checkable
class FindsOneByOne(Protocol):
    """A vendor that is asked for each lost record with a call of its own."""

    #: So many are asked for at once at most, so that an account's budget never keeps all from being found.
    max_lost: int


@runtime_checkable
class WritesOneByOne(Protocol):
    """A vendor whose batches save no calls, for some objects: nobody has to wait for company there."""

    #: Objects of which every record costs its own call; None when it is so for all.
    one_by_one: frozenset[str] | None


@runtime_checkable
class Configurable(Protocol):
    """A vendor whose connections an admin may set something for. Everything has a default."""

    #: In the order in which a form shows them; no name is among ``OAuth.keeps``.
    settings: tuple[Setting, ...]

    def check_settings(self, values: Mapping[str, JSON]) -> Sequence[str]:
        """Say what is wrong with these values, a sentence for each, without a call."""

    def setting_choices(self, account: Account, name: str) -> Sequence[Choice]:
        """List what the account offers for a setting that ``is_from_account``."""


@runtime_checkable
class OffersTimes(Protocol):
    """A vendor whose accounts tell when an appointment is possible, so that a caller can be offered a choice."""

    def free_times(
        self, account: Account, start: datetime, end: datetime, duration_minutes: int, most: int
    ) -> Sequence[datetime]:
        """Give the first moments from *start* to before *end* at which so many minutes are free, at most *most*.

        In order; appointments at any two of them would not overlap. Nothing is taken by asking.
        """


@runtime_checkable
class RunsOn(Protocol):
    """A vendor that may still carry out a write for a while after whoever sent it has died."""

    def runs_on_s(self, settings: Mapping[str, JSON]) -> float:
        """Give how long, in seconds; ``settings`` are the connection's. It holds for the objects of ``repeats``."""
