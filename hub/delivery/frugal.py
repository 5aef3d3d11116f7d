"""Calls that can wait: a part of every limit of the account is left to those that cannot.

Deliveries spend what they need; who only wants to know how records stand stops while half of a window, or a
quarter of a day, is still there. So no poll makes a delivery wait for budget, and none spends in a strained day.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from connectors.errors import Throttled
from connectors.record import Account, Spend
from hub.delivery.account import Line
from hub.delivery.outlook import LimitOutlook

_LEFT_OF_DAY = 0.25
_LEFT_OF_OTHERS = 0.5
_LOOK_AGAIN_S = 1_800.0
#: A worker is kept from its next drain no longer than this by a vendor that does not answer.
_READ_TIMEOUT_S = 10.0


@dataclass(slots=True)
class Frugal:
    """Spends on one line with restraint; ``spent`` counts units by limit."""

    line: Line
    spent: Counter[str] = field(default_factory=Counter)

    def account(self, account: Account) -> Account:
        """Give an account on which every call is asked for here first; raises Throttled when it should wait."""
        return replace(
            account,
            spend=self._restrained(account.spend),
            read_timeout_s=min(account.read_timeout_s, _READ_TIMEOUT_S),
        )

    def _restrained(self, spend: Spend) -> Spend:
        def ask(**units: int) -> None:
            outlook = {one.name: one for one in self.line.budget.outlook(self.line.connection)}
            for name, count in units.items():
                limit = outlook.get(name)
                if limit is not None and limit.remaining - count < _left_to_others(limit):
                    raise Throttled(
                        f"What is left of the account's limit {name!r} is kept for deliveries.",
                        retry_after_s=min(limit.period_s, _LOOK_AGAIN_S),
                        code="budget",
                    )
            spend(**units)
            self.spent.update(units)

        return ask

    def pace_s(self, *, share: float) -> float:
        """Give how long to wait so that calls like these take ``share`` of each day's limit at most."""
        waits = [
            self.spent[limit.name] * limit.period_s / (limit.granted * share)
            for limit in self.line.budget.outlook(self.line.connection)
            if limit.kind == "day" and limit.granted > 0
        ]
        return max(waits, default=0.0)


def _left_to_others(limit: LimitOutlook) -> int:
    return int(limit.granted * (_LEFT_OF_DAY if limit.kind == "day" else _LEFT_OF_OTHERS))
