"""What crosses the border between hub, mappings and connectors: frozen records only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from connectors.errors import ConnectorError

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]

FieldType = Literal[
    "string",
    "text",
    "html",
    "integer",
    "number",
    "boolean",
    "date",
    "datetime",
    "email",
    "phone",
    "url",
    "picklist",
    "multipicklist",
    "reference",
    "id",
]


class Observe(Protocol):
    """Told of every answer of the vendor, errors too."""

    def __call__(self, status: int, headers: Mapping[str, str], ms: float) -> None:
        """Take the HTTP status, the headers and how long the call took in milliseconds."""


class Spend(Protocol):
    """Asked before every call to the vendor.

    Keyword arguments name limits of the connector (``Limit.name``) and say how many units of
    each the call costs. Raises Throttled when the account's budget does not allow it now.
    """

    def __call__(self, **units: int) -> None:
        """Charge the account's budget, or raise Throttled."""


def _ignore_answer(status: int, headers: Mapping[str, str], ms: float) -> None:
    """Keep nothing of an answer."""


def _spend_freely(**units: int) -> None:
    """Allow every call."""


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant's account at a vendor, as one connector call sees it.

    ``base_url`` is what the vendor gave us to call (scheme, host and port, no trailing slash).
    ``settings`` holds what the connection keeps about the account and what its admin set, never secrets. ``token``
    is the access token, or for an account that is reached with keys (``KeyAuth``) a JSON object of its
    fields. ``webhook_url`` is where the vendor reaches us about this account; None when it cannot.
    """

    id: str
    base_url: str
    token: str = field(repr=False)
    settings: Mapping[str, JSON] = field(default_factory=dict)
    observe: Observe = _ignore_answer
    spend: Spend = _spend_freely
    webhook_url: str | None = None
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the vendor, with its source.

    kind: ``window`` allows ``capacity`` units in any ``period_s`` seconds; ``day`` is a
    window that belongs to the whole account, of which we use only the share that the tenant
    grants; ``concurrency`` allows ``capacity`` calls at the same time (``period_s`` is then
    how long a call may hold its place at most).
    scope: ``app`` means that all accounts together share it, since the vendor counts it for our app.
    """

    name: str
    kind: Literal["window", "day", "concurrency"]
    capacity: int
    period_s: float
    source: str
    scope: Literal["account", "app"] = "account"


@dataclass(frozen=True, slots=True)
class LimitReading:
    """What the vendor's headers say of one limit: ``used`` of ``capacity``, or what remains."""

    name: str
    capacity: int | None = None
    remaining: int | None = None
    resets_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class OAuth:
    """OAuth facts of a vendor, as data.

    ``{base}`` in the URLs is the connection's login URL, ``{api}`` its API URL: ``api_url``
    where the connection uses the vendor's own ``login_url``, else (a sandbox) the login URL.
    ``{tokens}`` is the same for ``tokens_url``, for a vendor whose tokens come from a third address.
    ``api_url`` is also the account's base URL when the token answer names none. ``keeps`` names
    what is kept of the token answer as connection settings. ``token_auth`` says how the client
    authenticates. ``revoke_by`` says how the revoke address is told which token: posted to it, or as the bearer
    of a DELETE (then it is the access token).
    ``default_lifetime_s`` is used when the token answer has no ``expires_in``.
    """

    login_url: str
    authorize_url: str
    token_url: str
    revoke_url: str | None
    scopes: tuple[str, ...]
    has_pkce: bool = True
    token_auth: Literal["client_secret_post", "client_secret_basic"] = "client_secret_post"  # noqa: S105 - the name of a way to authenticate
    revoke_by: Literal["token", "bearer"] = "token"
    keeps: tuple[str, ...] = ()
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    default_lifetime_s: float = 3600.0
    api_url: str | None = None
    tokens_url: str | None = None
    #: Fields for a person who registers the app: label to sentence.
    asks: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class KeyAuth:
    """An account reached with keys that a person pastes.

    ``fields`` is field name to label; ``secrets`` names those that are never shown again. ``login_url`` is the address
    of the API, which a sandbox's replaces. ``asks`` tells a person where each is found: label to sentence.
    """

    fields: Mapping[str, str]
    secrets: frozenset[str]
    login_url: str
    asks: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a picklist."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that an admin may set for a connection; it is kept in ``Account.settings`` under ``name``.

    kind: ``choice`` is one of ``choices``, and ``choices`` a list of such; with ``is_from_account`` the account says
    which there are. ``time_span`` is ``{"start": "21:00", "end": "08:00"}``, or False for never. ``week`` maps
    the days mon to sun to times such as ``"09:00-17:00"``, or to a list of such. ``json`` is whatever ``help`` says.
    ``default`` is what holds without it, where that is a value. ``is_advanced`` says that few will ever need it.
    """

    name: str
    label: str
    kind: Literal["text", "number", "boolean", "choice", "choices", "time_span", "week", "json"]
    help: str
    default: JSON = None
    choices: tuple[Choice, ...] = ()
    is_from_account: bool = False
    is_advanced: bool = False


@dataclass(frozen=True, slots=True)
class Object:
    """A kind of record in an account, such as Lead."""

    name: str
    label: str
    is_custom: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object, as the account really has it.

    ``max_chars`` is None where the vendor names no limit. ``choices`` is empty unless the type is a
    picklist; ``is_restricted`` says that no other value is accepted. ``references`` names the
    objects that a reference may point to.
    """

    name: str
    label: str
    type: FieldType
    is_required: bool = False
    max_chars: int | None = None
    choices: tuple[Choice, ...] = ()
    is_restricted: bool = False
    is_custom: bool = False
    is_unique: bool = False
    can_create: bool = True
    can_update: bool = True
    can_match: bool = True
    references: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Todo:
    """What an admin of the vendor's account must still do, and how; done todos are not listed."""

    title: str
    how: str
    is_blocking: bool = True


@dataclass(frozen=True, slots=True)
class RecordId:
    """A record of the vendor."""

    object: str
    id: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """One record to write.

    ``key`` is derived from event, mapping and step and never changes: writing the same key
    again must not make a second record. ``record_id`` is set when the record is known to exist;
    it is then updated and nothing is created. ``fields`` are final values: update modes
    have been applied. A value of None clears the field. ``is_first`` says that this key was certainly never
    sent before, so that a vendor without upserts need not be asked for it first.
    """

    key: str
    object: str
    fields: Mapping[str, JSON]
    record_id: str | None = None
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one write: a record, or an error that says what happens next."""

    record: RecordId | None = None
    is_new: bool | None = None
    error: ConnectorError | None = None

    def __post_init__(self) -> None:
        """Refuse an outcome that is both or neither."""
        if (self.record is None) == (self.error is None):
            message = "an outcome has exactly one of record and error"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A question to the vendor: which records have this key, or these field values?

    Exactly one of ``key`` (a Write's key) and ``by`` (field to value, all must be equal) is given. ``read``
    names the fields whose present values are wanted. ``fields`` is what was to be written under ``key``, for a vendor
    that can only be asked for records that look so.
    """

    object: str
    key: str | None = None
    by: Mapping[str, JSON] = field(default_factory=dict)
    read: tuple[str, ...] = ()
    fields: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An existing record that answers a lookup; ``label`` is how a person knows it."""

    record: RecordId
    label: str
    values: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to one lookup; empty when there is no such record."""

    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Closure:
    """A record that the vendor's users have closed (won, solved, done), or first touched.

    ``is_closed`` False says that somebody has only touched it (acknowledged, picked up, answered) at
    ``closed_at``. ``is_success`` False says that it was closed without what it was for: lost, undelivered.
    ``result`` is the vendor's own word.
    """

    record: RecordId
    closed_at: datetime
    result: str
    is_closed: bool = True
    is_success: bool = True


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook of ours at the vendor, for one account.

    ``secret`` is what the vendor signs with, or what it sends to show who it is. ``expires_at`` says until when it
    reports to us; None is for good. ``state`` is what the connector needs to read later requests.
    """

    id: str
    secret: str = field(repr=False)
    expires_at: datetime | None = None
    state: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request that a vendor sent to us: headers with lower-case names, and the raw body.

    ``url`` is the address that the vendor was told to call. ``secret`` is what the vendor signs
    with: the app's client secret, or the key of the subscription. ``state`` is the subscription's.
    """

    headers: Mapping[str, str]
    body: bytes
    url: str
    method: str = "POST"
    secret: str = field(default="", repr=False)
    state: Mapping[str, JSON] = field(default_factory=dict)


ReadLimits = Callable[[int, Mapping[str, str]], Sequence[LimitReading]]
