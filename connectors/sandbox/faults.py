"""Switches that make a sandbox fail in the ways in which vendors fail.

``POST /_sandbox/faults`` takes one JSON object::

    {"kind": "cut_after", "path": "/composite/", "method": "PATCH", "next": 1}
    {"kind": "status", "status": 503, "rate": 0.05}

``kind`` is one of

- ``status``      answer with this ``status`` (429, 5xx, ...) in the vendor's own words; nothing is done
- ``slow``        wait ``seconds``, then go on as usual
- ``late``        do what was asked, then wait ``seconds`` before answering
- ``cut_before``  close the connection without an answer; nothing is done
- ``cut_after``   do what was asked, then close the connection without an answer
- ``malformed``   do what was asked, then answer with JSON that ends too early
- ``html``        do what was asked, then answer 200 with a page of HTML
- ``row``         refuse the first record of a batch with the vendor's error ``code``

``path`` is a part of the path (empty: every path), ``next`` how many requests to hit (default 1),
or ``rate`` the share of requests to hit until it is taken away. ``DELETE`` takes all away.
"""

from __future__ import annotations

import random
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from connectors.sandbox.store import Store

Kind = Literal["status", "slow", "late", "cut_before", "cut_after", "malformed", "html", "row"]


class BadFault(ValueError):
    """What was sent does not describe a fault; the message says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One switch; ``left`` is None when it works by ``rate``."""

    kind: str
    path: str = ""
    method: str | None = None
    left: int | None = 1
    rate: float | None = None
    status: int = 503
    seconds: float = 1.0
    code: str = ""

    def fits(self, method: str, path: str) -> bool:
        """Say whether this fault concerns such a request."""
        return self.path in path and self.method in {None, method}


class Faults:
    """The faults that are switched on; they survive a restart."""

    def __init__(self, store: Store) -> None:
        """Switch on again what was on before."""
        self._store = store
        self._lock = threading.Lock()
        self._random = random.Random()  # noqa: S311 - chooses which requests fail, no secret
        kept = store.kept("settings", "faults") or {"faults": []}
        self._faults = [Fault(**document) for document in kept["faults"]]

    def switch_on(self, document: dict[str, Any]) -> Fault:
        """Add a fault from what was posted; raises BadFault with the reason."""
        known = {"kind", "path", "method", "next", "rate", "status", "seconds", "code"}
        unknown = sorted(set(document) - known)
        if unknown:
            raise BadFault(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        if document.get("kind") not in get_args(Kind):
            raise BadFault(f"kind must be one of {', '.join(get_args(Kind))}")
        rate = document.get("rate")
        try:
            fault = Fault(
                kind=str(document["kind"]),
                path=str(document.get("path", "")),
                method=None if document.get("method") is None else str(document["method"]).upper(),
                left=None if rate is not None else int(document.get("next", 1)),
                rate=None if rate is None else float(rate),
                status=int(document.get("status", 503)),
                seconds=float(document.get("seconds", 1.0)),
                code=str(document.get("code", "")),
            )
        except (TypeError, ValueError) as err:
            raise BadFault(str(err)) from err
        with self._lock:
            self._faults.append(fault)
            self._save()
        return fault

    def switch_off(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._faults.clear()
            self._save()

    def on(self) -> list[Fault]:
        """Give the faults that are switched on."""
        return list(self._faults)

    def strike(self, method: str, path: str) -> list[Fault]:
        """Give the faults that hit this request, and count them down."""
        if not self._faults:
            return []
        hit: list[Fault] = []
        with self._lock:
            after: list[Fault] = []
            for fault in self._faults:
                strikes = fault.fits(method, path) and (
                    fault.rate is None or self._random.random() < fault.rate
                )
                if strikes:
                    hit.append(fault)
                if strikes and fault.left is not None:
                    if fault.left > 1:
                        after.append(replace(fault, left=fault.left - 1))
                else:
                    after.append(fault)
            if after != self._faults:
                self._faults = after
                self._save()
        return hit

    def _save(self) -> None:
        self._store.keep("settings", "faults", {"faults": [asdict(f) for f in self._faults]})
