"""Plays the samples: a call for each, placed to the voice service, and what became of it at the hub.

The callers speak on a telephone network in miniature (:mod:`hub.demo.telephone`); the voice service answers, and gives
the hub an event. A sample whose event is there already is not called again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

import hub
from hub.context import Hub
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.demo.house import House
from hub.demo.telephone import SOURCE, Network, call_id

SAMPLES = Path(hub.__file__).resolve().parents[1] / "voice" / "samples" / "voicemails.jsonl"
_POLL_S = 0.1
#: Nothing moves for so long: what still waits, waits for something else than us.
_PATIENCE_S = 60.0
_UNDONE = (State.WAITING.value, State.SENDING.value)


class CouldNotPlay(Exception):
    """The calls could not be placed, or their events did not come; the message says why."""


@dataclass(frozen=True, slots=True)
class Played:
    """A voicemail that the hub has: its event, whether this run called or an earlier one, and when it was taken."""

    envelope: dict[str, Any]
    status: str
    id: str
    heard_at: datetime


def samples(file: Path = SAMPLES) -> list[dict[str, Any]]:
    """Read the voicemails; raises CouldNotPlay when there are none."""
    try:
        found = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as err:
        raise CouldNotPlay(f"{file} cannot be read: {err}") from err
    if not found:
        raise CouldNotPlay(f"{file} holds no voicemails.")
    return found


def play(
    hub_: Hub,
    home: House,
    network: Network,
    found: Sequence[dict[str, Any]],
    on_call: Callable[[], None] = lambda: None,
) -> Iterator[Played]:
    """Place the calls that were not placed before; gives each voicemail when the hub has it, one by one.

    ``on_call`` is told of each call that is over. Raises CouldNotPlay and NoTelephone.
    """
    known = _known(hub_, home, [call_id(one) for one in found])
    new = [one for one in found if call_id(one) not in known]
    for one in found:
        if row := known.get(call_id(one)):
            on_call()
            yield _played(hub_, row, "known")
    for over in network.place(new):
        if over["errors"]:
            raise CouldNotPlay(f"The call of {over['id']} went wrong: {'; '.join(over['errors'])}")
        on_call()
        yield _played(hub_, _event(hub_, home, over["call_id"]), "accepted")


def _known(hub_: Hub, home: House, calls: Sequence[str]) -> dict[str, StoredEvent]:
    with hub_.tenant(home.tenant_id) as session:
        rows = session.scalars(
            select(StoredEvent).where(StoredEvent.source == SOURCE, StoredEvent.event_id.in_(calls))
        ).all()
        session.expunge_all()
    return {row.event_id: row for row in rows}


def _event(hub_: Hub, home: House, call: str) -> StoredEvent:
    """Wait until the hub has the event of a call that is over."""
    until = time.monotonic() + _PATIENCE_S
    while not (found := _known(hub_, home, [call])):
        if time.monotonic() > until:
            raise CouldNotPlay(f"No event came of the call {call} within {_PATIENCE_S:.0f} s.")
        time.sleep(_POLL_S)
    return found[call]


def _played(hub_: Hub, row: StoredEvent, status: str) -> Played:
    text = hub_.vault.open_text(row.tenant_id, row.body, about=f"events.body:{row.id}")
    return Played(json.loads(text), status, row.id, row.received_at)


def wait(
    hub_: Hub, home: House, on_change: Callable[[int, int], None], patience_s: float = _PATIENCE_S
) -> bool:
    """Wait until no delivery of the tenant is under way; ``on_change`` gets how many are done, and of how many.

    Gives False when nothing has moved for ``patience_s``.
    """
    last, since = (-1, -1), time.monotonic()
    while True:
        with hub_.tenant(home.tenant_id) as session:
            states: dict[str, int] = dict(
                session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
                .tuples()
                .all()
            )
        total = sum(states.values())
        undone = sum(states.get(state, 0) for state in _UNDONE)
        if (total - undone, total) != last:
            last, since = (total - undone, total), time.monotonic()
            on_change(*last)
        if undone == 0:
            return True
        if time.monotonic() - since > patience_s:
            return False
        time.sleep(_POLL_S)
