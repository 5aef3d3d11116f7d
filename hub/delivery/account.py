"""The account of a connection as a connector sees it: fresh token, and every call charged and observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

from connectors.errors import NeedsReconnect, Throttled, TokenExpired
from connectors.record import Account
from connectors.registry import connector
from hub import log, tally
from hub.context import Hub
from hub.db.connections import Connection
from hub.delivery import hook_address
from hub.delivery.backoff import told_s
from hub.delivery.budget import Budget, Place
from hub.delivery.remote_account import AccountKey, granted_of
from hub.oauth import tokens
from hub.tally import families

T = TypeVar("T")
_LOG = log.get(__name__)


@dataclass(slots=True)
class Line:
    """A way to call one connection's vendor; ``calls`` counts the answers it got."""

    hub: Hub
    connection: Connection
    budget: Budget
    is_urgent: bool = False
    calls: int = 0
    last_status: int | None = None
    #: The version of the tokens that the last call was made with; before the first, that of the connection as read.
    token_version: int = field(init=False)
    _key: AccountKey = field(init=False)
    _places: list[Place] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Work out which remote account's budget this connection uses."""
        self._key = AccountKey.of(self.connection, self.hub.settings.account_share)
        self.token_version = self.connection.token_version

    def call(self, ask: Callable[[Account], T]) -> T:
        """Let a connector use the account; once more with a fresh token when the vendor calls it expired.

        Raises what the connector raises; NeedsReconnect when the fresh token is refused too.
        """
        token = tokens.current(self.hub, self.connection.tenant_id, self.connection.id)
        self.token_version = token.version
        try:
            return self._ask(ask, token.value)
        except TokenExpired:
            token = tokens.current(
                self.hub,
                self.connection.tenant_id,
                self.connection.id,
                refused_version=token.version,
            )
            self.token_version = token.version
        try:
            return self._ask(ask, token.value)
        except TokenExpired as err:
            raise NeedsReconnect(err.detail, code=err.code, status=err.status) from err

    def stay_away(self, retry_after_s: float) -> None:
        """Slow the whole account down: the vendor said so."""
        self.budget.throttled(self._key, told_s(retry_after_s))

    def wait_s(self, units: Mapping[str, int]) -> float:
        """Give how long to wait before these units could be charged."""
        return self.budget.check(self._key, units, is_urgent=self.is_urgent)

    def granted(self) -> dict[str, int]:
        """Give how many units of each limit we may ever spend at once, without what is kept for urgent rows."""
        kept = 0.0 if self.is_urgent else self.hub.settings.urgent_reserve
        return {
            limit.name: max(1, int(granted_of(self._key, limit, limit.capacity) * (1 - kept)))
            for limit in connector(self.connection.connector).limits
        }

    def _ask(self, ask: Callable[[Account], T], token: str) -> T:
        try:
            return ask(self._account(token))
        finally:
            self._leave()

    def _leave(self) -> None:
        places, self._places = self._places, []
        if places:
            self.budget.leave(places)

    def _account(self, token: str) -> Account:
        return Account(
            id=self.connection.account_id or "",
            base_url=self.connection.base_url or "",
            token=token,
            settings=self.connection.settings,
            observe=self._observe,
            spend=self._spend,
            webhook_url=hook_address.of_connection(self.hub.settings, self.connection),
        )

    def _spend(self, **units: int) -> None:
        self._places += self.budget.take(self._key, units, is_urgent=self.is_urgent)

    def _observe(self, status: int, headers: Mapping[str, str], ms: float) -> None:
        self._leave()
        self._count(status, ms)
        self.calls += 1
        self.last_status = status
        vendor = connector(self.connection.connector)
        try:
            self.budget.observe(self._key, vendor.read_limits(status, headers))
        except Exception as err:  # noqa: BLE001 - a write that was carried out must not fail for a header
            _LOG.error(
                "limits could not be read",
                connector=vendor.name,
                error=type(err).__name__,
                where=log.places(err),
            )

    def _count(self, status: int, ms: float) -> None:
        kind = str(status) if status == HTTPStatus.TOO_MANY_REQUESTS else f"{status // 100}xx"
        which = (self.connection.connector, kind)
        tally.observe(self.hub.redis, families.CALL_S, ms / 1_000, *which)


def is_ours(err: Throttled) -> bool:
    """Tell whether it was our own budget that said no, and not the vendor."""
    return err.code == "budget"
