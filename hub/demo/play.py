"""Plays voicemails: transcript → analyser → CloudEvent → POST /v1/events, and waits until all has landed.

The analyser runs as a process of its own and is spoken to in JSON Lines, as by any other program. Events are
kept, so that a second run posts the very same ones, which the hub answers as known.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import func, select

import hub
from hub.context import Hub
from hub.db.deliveries import Delivery, State
from hub.demo.house import TIMEZONE, VERTICAL, House
from hub.posting import Poster, envelope

SAMPLES = Path(hub.__file__).resolve().parents[1] / "voice" / "samples" / "voicemails.jsonl"
_SOURCE = "/demo/voicemails"
_WORDS_PER_S = 2.5
_POLL_S = 0.1
#: Nothing moves for so long: what still waits, waits for something else than us.
_PATIENCE_S = 60.0
_UNDONE = (State.WAITING.value, State.SENDING.value)


class CouldNotPlay(Exception):
    """The voicemails could not be analysed or posted; the message says why."""


@dataclass(frozen=True, slots=True)
class Played:
    """A voicemail that the hub has taken: the event as posted, the answer, and when it was first analysed."""

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


def needs_analyser(found: Sequence[dict[str, Any]], kept_in: Path) -> bool:
    """Tell whether any of the voicemails has not been analysed in an earlier run."""
    kept = _read_kept(kept_in)
    return any(_digest(sample) not in kept for sample in found)


def play(
    poster: Poster, analyser: Analyser, found: Sequence[dict[str, Any]], *, kept_in: Path
) -> Iterator[Played]:
    """Analyse and post each voicemail; gives what the hub answered, one by one. Raises CouldNotPlay."""
    kept = _read_kept(kept_in)
    with kept_in.open("a", encoding="utf-8") as file:
        for sample in found:
            digest = _digest(sample)
            row = kept.get(digest)
            if row is None:
                heard_at = datetime.now(UTC)
                event = _event(sample, analyser.analyse(sample), heard_at)
                row = {"digest": digest, "heard_at": heard_at.isoformat(), "event": event}
                # Kept before it is posted, so that a broken run posts the very same one again.
                file.write(json.dumps(row) + "\n")
                file.flush()
            [answer] = poster.post([row["event"]])
            if answer.id is None:
                raise CouldNotPlay(f"The hub refused voicemail {sample['id']}: {answer.problem}")
            heard_at = datetime.fromisoformat(row["heard_at"])
            yield Played(row["event"], answer.status, answer.id, heard_at)


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


def _digest(sample: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(sample, sort_keys=True).encode()).hexdigest()


def _read_kept(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        return {}
    kept = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while it wrote
        kept[row["digest"]] = row
    return kept


def _event(sample: dict[str, Any], data: dict[str, Any], heard_at: datetime) -> dict[str, Any]:
    """Give the event of an analysed sample, as if its call had ended some minutes ago."""
    ended_at = heard_at - timedelta(minutes=sample.get("received_minutes_ago", 0))
    length_s = round(len(sample["text"].split()) / _WORDS_PER_S, 1)
    if sample.get(
        "sms_consent"
    ):  # the line asks for it; what was recorded afterwards does not say it
        data.setdefault("callback", {})["sms_consent"] = True
    call = data["call"]
    call.setdefault("ended_at", ended_at.isoformat())
    call.setdefault("started_at", (ended_at - timedelta(seconds=length_s)).isoformat())
    call.setdefault("duration_s", length_s)
    return envelope(data, source=_SOURCE, at=ended_at.isoformat())


class Analyser:
    """The analyser as a process; it loads while other things are started. Use it as a context manager."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End the process if it was started."""
        if self._process:
            self._process.kill()
            self._process.communicate()

    def begin(self) -> None:
        """Start the process and have it load; does not wait for it."""
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "voice.cli", "--timezone", TIMEZONE, "--vertical", VERTICAL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._say({"id": "warm-up", "text": "Please call me back."})

    def analyse(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Give the data of a sample's event and its id; raises CouldNotPlay when the analyser has ended."""
        self._say(sample)
        return self._hear()

    def wait(self) -> None:
        """Wait until it has loaded, so that the first voicemail does not wait for it; raises CouldNotPlay."""
        self._hear()

    def _say(self, sample: dict[str, Any]) -> None:
        known = ("id", "text", "caller_id", "language", "vertical")
        line = {name: sample[name] for name in known if sample.get(name) is not None}
        if self._process and self._process.stdin:
            with suppress(BrokenPipeError):  # the answer tells that it has ended
                self._process.stdin.write(json.dumps(line) + "\n")
                self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        process = self._process
        answer = process.stdout.readline() if process and process.stdout else ""
        if not answer:
            said = process.stderr.read().strip() if process and process.stderr else ""
            raise CouldNotPlay(f"The analyser ended: {said.splitlines()[-1] if said else '?'}")
        found: dict[str, Any] = json.loads(answer)
        return found
