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
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

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


def play(poster: Poster, found: Sequence[dict[str, Any]], *, kept_in: Path) -> Iterator[Played]:
    """Analyse and post each voicemail; gives what the hub answered, one by one. Raises CouldNotPlay."""
    kept = _read_kept(kept_in)
    fresh = [sample for sample in found if _digest(sample) not in kept]
    with kept_in.open("a", encoding="utf-8") as file, _analyser(is_needed=bool(fresh)) as analyse:
        for sample in found:
            digest = _digest(sample)
            row = kept.get(digest)
            if row is None:
                heard_at = datetime.now(UTC)
                event = _event(sample, analyse(sample), heard_at)
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
    call = data["call"]
    call.setdefault("ended_at", ended_at.isoformat())
    call.setdefault("started_at", (ended_at - timedelta(seconds=length_s)).isoformat())
    call.setdefault("duration_s", length_s)
    return envelope(data, source=_SOURCE, at=ended_at.isoformat())


@contextmanager
def _analyser(*, is_needed: bool) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Start the analyser and warm it up; gives a function that analyses one sample."""
    if not is_needed:
        yield _never
        return
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "voice.cli", "--timezone", TIMEZONE, "--vertical", VERTICAL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        try:
            if process.stdin is None or process.stdout is None:
                raise CouldNotPlay("The analyser has no pipes.")
            inlet, outlet = process.stdin, process.stdout

            def analyse(sample: dict[str, Any]) -> dict[str, Any]:
                return _ask(process, inlet, outlet, sample)

            analyse({"id": "warm-up", "text": "Please call me back."})
            yield analyse
            inlet.close()
        finally:
            process.kill()


def _ask(
    process: subprocess.Popen[str], inlet: IO[str], outlet: IO[str], sample: dict[str, Any]
) -> dict[str, Any]:
    known = ("id", "text", "caller_id", "language", "vertical")
    line = json.dumps({name: sample[name] for name in known if sample.get(name) is not None})
    try:
        inlet.write(line + "\n")
        inlet.flush()
        answer = outlet.readline()
    except BrokenPipeError:
        answer = ""
    if not answer:
        said = process.stderr.read().strip().splitlines() if process.stderr else []
        raise CouldNotPlay(f"The analyser ended: {said[-1] if said else 'it gave no reason'}")
    found: dict[str, Any] = json.loads(answer)
    return found


def _never(_sample: dict[str, Any]) -> dict[str, Any]:
    raise CouldNotPlay("The analyser was not started.")
