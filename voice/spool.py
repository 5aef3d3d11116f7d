"""Finished calls on disk, sealed, until the hub has all of each.

One folder a call::

    outbox/call-CA…/call.json       tenant, and when it was put here
                    1-event         the event, as it is posted each time
                    2-tools         its tool calls
                    3-recording-RE… where the recording is, or the recording itself
                    4-delete-RE…    a recording that Twilio is to delete
                    state.json      attempts, when it is due, and why it is parked

A folder is written under another name, synced, and renamed, so that a call is there whole or not at all. Files go when
the hub has taken them, the folder with the last. Whoever works on a call holds a lock on its folder, which ends
with the process. Why on disk: ``hub/decisions/0016-voice-keeps-its-outbox-on-disk.md``.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

from voice.seal import Seal

_PREFIX, _DRAFT = "call-", "draft-"
_CALL, _STATE = "call.json", "state.json"
#: A draft as old as this was left by a process that died; nobody was told that it is kept.
_DRAFT_S = 3600.0
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a finished call leaves. ``name`` is its CallSid; ``steps`` are named ``<number>-<kind>``."""

    name: str
    call_id: str
    tenant_id: str
    at: datetime
    steps: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """How far the posting of a call is. ``due`` is a moment in seconds since 1970; parked calls are never due."""

    attempts: int = 0
    due: float = 0.0
    parked: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call in the spool; ``at`` is when it was put there, in seconds since 1970."""

    name: str
    call_id: str
    tenant_id: str
    at: float
    steps: tuple[str, ...]
    state: State


class Spool:
    """The folder of an installation's finished calls. Several processes may use it; all methods block."""

    def __init__(self, folder: Path, seal: Seal | None = None) -> None:
        """Use a folder, which is made when something is put there; without a seal nothing can be put or read."""
        self.folder = folder
        self._seal = seal

    def put(self, parcel: Parcel) -> bool:
        """Keep a call; gives False when it is here already, which changes nothing. Raises OSError when it cannot."""
        place = self._place(parcel.name)
        if place.exists():
            return False
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.folder / f"{_DRAFT}{uuid4().hex}"
        try:
            draft.mkdir(mode=0o700)
            about = {
                "call_id": parcel.call_id,
                "tenant_id": parcel.tenant_id,
                "at": parcel.at.timestamp(),
            }
            _write(draft / _CALL, json.dumps(about).encode())
            for step, content in parcel.steps.items():
                _write(draft / step, self._sealed(parcel.name, step, content))
            _sync(draft)
            is_new = _renamed(draft, place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        _sync(self.folder)
        return is_new

    def waiting(self) -> list[Waiting]:
        """List the calls, oldest first."""
        found = []
        for place in self._places():
            with suppress(FileNotFoundError):  # another process has just finished it
                found.append(self._read(place))
        return sorted(found, key=lambda one: (one.at, one.name))

    def one(self, name: str) -> Waiting | None:
        """Give one call, or None when it is not here (any more)."""
        try:
            return self._read(self._place(name))
        except FileNotFoundError:
            return None

    def sweep(self) -> None:
        """Remove what processes that died left half written."""
        for draft in self.folder.glob(f"{_DRAFT}*"):
            with suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime > _DRAFT_S:
                    shutil.rmtree(draft, ignore_errors=True)

    @contextmanager
    def held(self, name: str) -> Iterator[bool]:
        """Hold a call in the block; gives False when another process does, or when it is gone."""
        try:
            handle = os.open(self._place(name), os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            yield False
            return
        try:
            yield self._locked(handle, name)
        finally:
            os.close(handle)

    def step(self, name: str, step: str) -> bytes:
        """Read a step; raises Unreadable when it was changed or its key is missing."""
        if self._seal is None:
            raise RuntimeError("this spool has no keys")
        sealed = (self._place(name) / step).read_bytes()
        return self._seal.open(sealed, about=f"outbox:{name}/{step}")

    def replace(self, name: str, step: str, content: bytes) -> None:
        """Put something else in place of a step, whole or not at all."""
        place = self._place(name)
        draft = place / f".{uuid4().hex}"
        _write(draft, self._sealed(name, step, content))
        draft.replace(place / step)
        _sync(place)

    def assign(self, name: str, tenant_id: str) -> None:
        """Say whose call it is."""
        place = self._place(name)
        about = {**(_json(place / _CALL) or {}), "tenant_id": tenant_id}
        draft = place / f".{uuid4().hex}"
        _write(draft, json.dumps(about).encode())
        draft.replace(place / _CALL)
        _sync(place)

    def taken(self, name: str, step: str) -> None:
        """Remove a step that is done; with the last one the call goes."""
        place = self._place(name)
        (place / step).unlink(missing_ok=True)
        _sync(place)
        if not _steps(place):
            shutil.rmtree(place, ignore_errors=True)

    def note(self, name: str, state: State) -> None:
        """Remember how far a call is."""
        place = self._place(name)
        draft = place / f".{uuid4().hex}"
        with suppress(FileNotFoundError):
            draft.write_text(json.dumps(asdict(state)), encoding="utf-8")
            draft.replace(place / _STATE)

    def _sealed(self, name: str, step: str, content: bytes) -> bytes:
        if self._seal is None:
            raise RuntimeError("this spool has no keys")
        return self._seal.seal(content, about=f"outbox:{name}/{step}")

    def _place(self, name: str) -> Path:
        if not name or len(name) > _LONGEST_NAME:
            raise ValueError("a call's id has 1 to 200 characters")
        return self.folder / f"{_PREFIX}{quote(name, safe='')}"

    def _places(self) -> list[Path]:
        return list(self.folder.glob(f"{_PREFIX}*"))

    def _read(self, place: Path) -> Waiting:
        name = unquote(place.name.removeprefix(_PREFIX))
        about = _json(place / _CALL)
        if about is None:
            # Only a call that is being removed has no such file.
            raise FileNotFoundError(place)
        state = _json(place / _STATE) or {}
        return Waiting(
            name=name,
            call_id=str(about["call_id"]),
            tenant_id=str(about["tenant_id"]),
            at=float(about["at"]),
            steps=_steps(place),
            state=State(**state),
        )

    def _locked(self, handle: int, name: str) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = self._place(name).stat()
        except (BlockingIOError, FileNotFoundError):
            return False
        mine = os.fstat(handle)
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def _steps(place: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in place.iterdir() if path.name[0].isdigit()))


def _json(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _sync(folder: Path) -> None:
    """Make names in a folder last: without it a rename may be forgotten when the machine stops."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _renamed(draft: Path, place: Path) -> bool:
    try:
        draft.rename(place)
    except OSError:
        if place.exists():
            return False  # another process has put the same call here
        raise
    return True
