"""A running hub that takes the events of played calls, and what it says came of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

_LOOK_S = 0.2
_UNDER_WAY = frozenset({"waiting", "sending"})


class NoAnswer(RuntimeError):
    """The hub did not answer, or said no; the message says to what."""


@dataclass(frozen=True, slots=True)
class RealHub:
    """Where the hub is. The tenant and its number are set up there already.

    ``token`` is the voice service's (AFTERBEEP_VOICE_TOKEN), ``api_key`` one of the tenant's with the scope
    events:read; without a key nothing is known of what the hub made of the event. ``settles_s`` is how long, in real
    seconds, deliveries may be under way.
    """

    url: str
    token: str
    api_key: str | None = None
    settles_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Landed:
    """The event as the hub has it, how many deliveries of it were made by object, and how many were not."""

    event: dict[str, Any] | None
    delivered: Mapping[str, int]
    undelivered: Mapping[str, int]


def landed(hub: RealHub, call_id: str) -> Landed | None:
    """Wait until the event's deliveries are made, within limits; None without a key. Raises NoAnswer."""
    if hub.api_key is None:
        return None
    headers = {"Authorization": f"Bearer {hub.api_key}"}
    until = time.monotonic() + hub.settles_s
    with httpx.Client(base_url=hub.url, headers=headers, timeout=10.0, trust_env=False) as client:
        while True:
            found = _event(client, call_id)
            states = Counter(one["state"] for one in found["deliveries"]) if found else Counter()
            is_settled = found is not None and not _UNDER_WAY & set(states)
            if is_settled or time.monotonic() > until:
                return _landed(found)
            time.sleep(_LOOK_S)


def _event(client: httpx.Client, call_id: str) -> dict[str, Any] | None:
    listed = _json(client, "/v1/events", source="/voice", event_id=call_id)["items"]
    return _json(client, f"/v1/events/{listed[0]['id']}") if listed else None


def _json(client: httpx.Client, path: str, **params: str) -> dict[str, Any]:
    try:
        answer = client.get(path, params=params)
        answer.raise_for_status()
        found = answer.json()
    except httpx.HTTPStatusError as err:
        raise NoAnswer(f"The hub answered {err.response.status_code} to GET {path}.") from None
    except (httpx.HTTPError, ValueError):
        raise NoAnswer(f"The hub did not answer GET {path}.") from None
    return dict(found)


def _landed(found: Mapping[str, Any] | None) -> Landed:
    if found is None:
        return Landed(None, {}, {})
    objects = [
        (one["object"] or one["step"], one["state"] == "delivered") for one in found["deliveries"]
    ]
    return Landed(
        found["event"],
        Counter(name for name, is_made in objects if is_made),
        Counter(name for name, is_made in objects if not is_made),
    )
