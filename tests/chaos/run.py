"""The load, the person who looks after it, and the count at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from hub.db import mappings
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.delivery import replay, steer
from hub.delivery.ledger import ledger
from hub.demo.connect import CouldNotConnect, connect
from hub.demo.vendors import Vendor
from hub.posting import Poster, Unanswered
from mappings.document import load
from tests.chaos.mappings import SETTINGS, mapping, steps
from tests.chaos.monkeys import Monkeys
from tests.e2e.installation import Installation, installation, voicemail

_LOOK_S = 1.0
#: Rows whose worker died are left alone for so long where the vendor could write them twice.
_LEASE_S = "6"


class Chaos:
    """One run."""

    def __init__(
        self, folder: Path, *, vendors: Sequence[str], seed: int, console: Console
    ) -> None:
        """Take what to break, and in which order."""
        self._folder, self._vendors, self._seed = folder, vendors, seed
        self._console = console
        self._accepted = 0
        self._is_posting = threading.Event()

    def run(self, *, seconds: float, per_second: float, until: float) -> dict[str, Any]:
        """Break things for a while, let them heal until a moment at the latest, and count."""
        began = time.monotonic()
        with installation(
            self._folder, *self._vendors, has_presets=False, AFTERBEEP_LEASE_S=_LEASE_S
        ) as one:
            for name in self._vendors:
                self._set_up(one, name)
            self._console.print(
                f"Seed {self._seed}. Breaking things for {seconds:.0f} s: {', '.join(self._vendors)}."
            )
            monkeys = Monkeys(one, self._seed)
            poster = threading.Thread(target=self._post, args=(one, per_second), daemon=True)
            self._is_posting.set()
            poster.start()
            monkeys.start()
            end = time.monotonic() + seconds
            while time.monotonic() < end and monkeys.problem is None:
                self._look_after(one)
                self._tell(one)
                time.sleep(_LOOK_S)
            monkeys.stop()
            self._is_posting.clear()
            poster.join(60)
            if monkeys.problem is not None:
                raise RuntimeError("the monkeys themselves broke") from monkeys.problem
            self._heal(one, until)
            return self._count(one, monkeys, took_s=time.monotonic() - began)

    def _set_up(self, one: Installation, name: str) -> None:
        """Publish the vendor's mapping; let its tokens be short-lived and rotate."""
        text = mapping(name)
        with one.hub.tenant(one.home.tenant_id) as session:
            connection = session.scalars(
                select(Connection).where(Connection.connector == name)
            ).one()
            connection.settings = {**connection.settings, **SETTINGS.get(name, {})}
            mappings.save(
                session,
                connection_id=connection.id,
                name=name,
                document=load(text),
                source=text,
                author="command",
            )
        with suppress(httpx.HTTPStatusError):  # a vendor with keys has no tokens to rotate
            one.boxes[name].set(token_lifetime_s=12, rotates_refresh=True)

    def _post(self, one: Installation, per_second: float) -> None:
        """Post voicemails one after the other, each until the hub has taken it."""
        number = 0
        while self._is_posting.is_set():
            event = voicemail(number)
            while True:
                try:
                    with Poster(one.url, one.home.api_key) as poster:
                        (answer,) = poster.post_all([event])
                except (Unanswered, httpx.HTTPError):
                    time.sleep(0.3)
                    continue
                if answer.status not in {"accepted", "known"}:
                    raise RuntimeError(f"a voicemail was refused: {answer}")
                break
            number += 1
            self._accepted = number
            time.sleep(1 / per_second)

    def _look_after(self, one: Installation) -> None:
        """Be the person who looks at the pages: reconnect, and send again what was parked."""
        with suppress(SQLAlchemyError, CouldNotConnect, httpx.HTTPError, OSError):
            with one.hub.tenant(one.home.tenant_id) as session:
                broken = session.scalars(
                    select(Connection.connector).where(
                        Connection.health == Health.NEEDS_RECONNECT.value
                    )
                ).all()
            for name in broken:
                box = one.boxes[name]
                connect(one.hub, one.home, Vendor(name, box.url, box.folder))
            parked = replay.Selection(state=State.PARKED)
            if replay.count(one.hub, one.home.tenant_id, parked):
                replay.replay(one.hub, one.home.tenant_id, parked, actor="command")

    def _heal(self, one: Installation, until: float) -> None:
        """Wait until all has come to rest, without the patience that real outages need."""
        self._console.print("Nothing breaks any more; waiting until all is delivered.")
        last_push = 0.0
        while time.monotonic() < until:
            self._look_after(one)
            self._tell(one)
            with suppress(SQLAlchemyError):
                if one.is_settled() and not one.states().get("parked"):
                    return
                if time.monotonic() - last_push > 8.0:
                    last_push = time.monotonic()
                    self._push(one)
            time.sleep(_LOOK_S)

    @staticmethod
    def _push(one: Installation) -> None:
        """Cut back-offs short, as an operator does who knows that the vendors are back."""
        with one.hub.tenant(one.home.tenant_id) as session:
            ids = session.scalars(select(Connection.id)).all()
            session.execute(
                update(Delivery)
                .where(Delivery.state == State.WAITING.value, ~Delivery.is_uncertain)
                .values(due_at=func.now())
            )
        for connection_id in ids:
            steer.resume(one.hub, one.home.tenant_id, connection_id, actor="command")

    def _tell(self, one: Installation) -> None:
        with suppress(SQLAlchemyError):
            states = ", ".join(
                f"{number} {state}" for state, number in sorted(one.states().items())
            )
            self._console.print(f"{self._accepted} accepted · {states}", style="dim")

    def _count(self, one: Installation, monkeys: Monkeys, *, took_s: float) -> dict[str, Any]:
        vendors = {name: self._count_vendor(one, name) for name in self._vendors}
        done = monkeys.done
        found = ledger(one.hub, one.home.tenant_id)
        return {
            "events": self._accepted,
            "delivered": sum(each["delivered"] for each in vendors.values()),
            "lost": sum(each["lost"] for each in vendors.values()),
            "duplicated": sum(each["duplicated"] for each in vendors.values()),
            "kills": done.kills.total(),
            "wipes": done.wipes,
            "cuts": done.cuts,
            "ledger_ok": found.is_ok,
            "seed": self._seed,
            "restarts_of_postgresql": done.restarts,
            "faults": dict(done.faults),
            "killed": dict(done.kills),
            "tokens_expired": done.expirations,
            "tokens_revoked": done.revocations,
            "vendors": vendors,
            "states": one.states(),
            "took_s": round(took_s, 1),
        }

    def _count_vendor(self, one: Installation, name: str) -> dict[str, int]:
        """Count rows and records; a record that is missing at the vendor is lost, whatever our rows say."""
        with one.hub.tenant(one.home.tenant_id) as session:
            delivered = session.scalar(
                select(func.count(Delivery.id))
                .join(Connection, Connection.id == Delivery.connection_id)
                .where(Connection.connector == name, Delivery.state == State.DELIVERED.value)
            )
        stats = one.boxes[name].stats()
        records = sum(stats["records"].values())
        expected = self._accepted * steps(name)
        return {
            "expected": expected,
            "delivered": delivered or 0,
            "records": records,
            "lost": max(expected - (delivered or 0), expected - records, 0),
            "duplicated": max(len(stats["duplicate_keys"]), records - expected, 0),
        }
