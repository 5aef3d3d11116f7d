"""Keys that a person copies out of a vendor's console, checked by HTTP Basic: instead of an authorise page.

Each account has one set of keys. They are made when the sandbox first starts and survive a restart;
withdrawing them makes new ones, as a person does who rotates keys.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.sandbox.oauth import Grant, SandboxAccount, TokenState
from connectors.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class KeyRules:
    """How this vendor's keys look, and what they open.

    ``new_keys`` makes what a person pastes for an account: field to value. ``pairs`` names the fields that are
    user name and password; the name of the pair that was used is the grant's only scope.
    """

    new_keys: Callable[[SandboxAccount], Mapping[str, str]]
    pairs: Mapping[str, tuple[str, str]]


class KeyServer:
    """Makes, checks and withdraws keys."""

    def __init__(
        self, store: Store, rules: KeyRules, *, accounts: tuple[SandboxAccount, ...]
    ) -> None:
        """Take the rules; accounts without keys get them now."""
        self._store, self._rules = store, rules
        self.accounts = {account.id: account for account in accounts}
        for account in accounts:
            if store.kept("keys", account.id) is None:
                self._renew(account)

    def keys(self) -> dict[str, dict[str, str]]:
        """Give the fields that a person pastes, for each account."""
        kept = self._store.all_kept("keys")
        return {name: dict(kept[name]) for name in self.accounts}

    def check(self, authorization: str | None) -> Grant | TokenState:
        """Give what an ``Authorization`` header allows, or what is wrong with it."""
        scheme, _, encoded = (authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return "missing"
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            return "unknown"
        for account_id, fields in self.keys().items():
            for pair, (user, password) in self._rules.pairs.items():
                if hmac.compare_digest(given, f"{fields[user]}:{fields[password]}".encode()):
                    return Grant(account_id, self.accounts[account_id], (pair,))
        return "unknown"

    def expire_all(self) -> None:
        """Leave all as it is: keys do not expire by themselves."""

    def revoke_all(self) -> None:
        """Withdraw the keys of every account; new ones take their place."""
        for account in self.accounts.values():
            self._renew(account)

    def _renew(self, account: SandboxAccount) -> None:
        self._store.keep("keys", account.id, self._rules.new_keys(account))
