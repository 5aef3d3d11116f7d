"""API limits that really refuse: rolling windows, day budgets, and calls at the same time, for each account.

A window is counted in twentieths, so that it rolls with an error of at most five per cent. Its
counts survive a restart, as a vendor's do.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from connectors.sandbox import clock
from connectors.sandbox.store import Store

_SLICES = 20


@dataclass(frozen=True, slots=True)
class LimitRule:
    """``capacity`` units in any ``period_s`` seconds, or so many calls at the same time, for each account."""

    name: str
    capacity: int
    period_s: float
    kind: Literal["window", "concurrency"] = "window"


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a limit an account has used; ``is_over`` says that this call was refused."""

    name: str
    capacity: int
    used: int
    period_s: float
    resets_in_s: float
    is_over: bool = False

    @property
    def remaining(self) -> int:
        """Give what is left, never below nought."""
        return max(0, self.capacity - self.used)


class Limits:
    """The limits of one sandbox; capacities can be set while it runs."""

    def __init__(self, store: Store, rules: tuple[LimitRule, ...]) -> None:
        """Take the rules; capacities that were set before a restart are used again."""
        self._store = store
        self._rules = {rule.name: rule for rule in rules}
        self._capacity = {rule.name: rule.capacity for rule in rules}
        self._capacity.update(store.kept("settings", "limits") or {})
        self._lock = threading.Lock()
        self._under_way: Counter[tuple[str, str]] = Counter()

    def set_capacity(self, name: str, capacity: int) -> None:
        """Change a capacity from now on; raises KeyError when there is no such limit."""
        if name not in self._rules:
            raise KeyError(name)
        self._capacity[name] = capacity
        self._store.keep("settings", "limits", self._capacity)

    def capacities(self) -> dict[str, int]:
        """Give the capacity of each limit by its name."""
        return dict(self._capacity)

    def take(self, account: str, units: dict[str, int]) -> dict[str, Usage]:
        """Charge all of these limits, or none when one of them would be passed."""
        with self._store.transaction():
            usages = {name: self.usage(account, name) for name in units}
            over = {n for n, u in usages.items() if u.used + units[n] > u.capacity}
            taken: dict[str, Usage] = {}
            for name, usage in usages.items():
                spent = 0 if over else units[name]
                if spent and self._rules[name].kind == "concurrency":
                    with self._lock:
                        self._under_way[account, name] += spent
                elif spent:
                    self._store.add(self._kind(account, name), self._slice(name), spent)
                taken[name] = Usage(
                    name,
                    usage.capacity,
                    usage.used + spent,
                    usage.period_s,
                    usage.resets_in_s,
                    is_over=name in over,
                )
        return taken

    def release(self, account: str, names: Sequence[str]) -> None:
        """Tell that a call which had taken these limits is over."""
        with self._lock:
            for name in names:
                if self._rules[name].kind == "concurrency":
                    self._under_way[account, name] -= 1

    def usage(self, account: str, name: str) -> Usage:
        """Tell how much an account has used in the window that ends now."""
        rule = self._rules[name]
        if rule.kind == "concurrency":
            used = self._under_way[account, name]
            return Usage(name, self._capacity[name], used, rule.period_s, resets_in_s=1.0)
        kind, now = self._kind(account, name), int(self._slice(name))
        counts = self._store.counters(kind)
        old = [key for key in counts if int(key) <= now - _SLICES]
        if old:
            self._store.drop_counters(kind, old)
        live = {int(key): n for key, n in counts.items() if int(key) > now - _SLICES}
        width = rule.period_s / _SLICES
        first = min(live, default=now)
        resets_in_s = max(width, (first + _SLICES) * width - clock.seconds())
        return Usage(name, self._capacity[name], sum(live.values()), rule.period_s, resets_in_s)

    def names(self) -> tuple[str, ...]:
        """Give the names of all limits."""
        return tuple(self._rules)

    def _slice(self, name: str) -> str:
        return str(int(clock.seconds() / (self._rules[name].period_s / _SLICES)))

    @staticmethod
    def _kind(account: str, name: str) -> str:
        return f"limit:{account}:{name}"
