"""Which remote account a connection calls, and what of its limits is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.record import Limit
from hub.db.connections import Connection


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Which remote account a connection calls; two connections to one account share its budget."""

    connection_id: str
    tenant_id: str
    connector: str
    account: str
    share: float
    grants: Mapping[str, int]

    @classmethod
    def of(cls, connection: Connection, default_share: float) -> AccountKey:
        """Read a connection's account and what the tenant grants us of it.

        ``connection.budget`` may hold ``share`` (0 to 1) and ``grants`` (limit to units per period).
        """
        return cls(
            connection_id=connection.id,
            tenant_id=connection.tenant_id,
            connector=connection.connector,
            account=connection.account_id or connection.id,
            share=float(connection.budget.get("share", default_share)),
            grants=dict(connection.budget.get("grants", {})),
        )

    def redis_key(self, limit: Limit) -> str:
        """Name the hash that counts one limit of this account, or of our app where all accounts share it."""
        # The braces keep all keys of an account on one node of a Redis cluster.
        owner = (
            f"{{{self.connector}:{self.account}}}" if limit.scope == "account" else self.connector
        )
        return f"budget:{owner}:{limit.name}"

    def share_of(self, limit: Limit) -> float:
        """Give the part of a limit that is ours; what the vendor counts for our app is all ours."""
        return self.share if limit.scope == "account" else 1.0


def granted_of(key: AccountKey, limit: Limit, capacity: int) -> int:
    """Give the units that are ours: what the tenant grants, which may be none, or our share."""
    ours = key.grants.get(limit.name)
    if ours is not None:
        return int(min(max(0, ours), capacity))
    return max(1, int(capacity * key.share_of(limit)))
