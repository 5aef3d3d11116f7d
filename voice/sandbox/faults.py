"""What goes wrong in a simulation: one small vocabulary for all sandboxes, written down before the call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


class Do(StrEnum):
    """What a fault does. A sandbox tells in its README which it knows at which place."""

    #: Say nothing for ``for_s`` seconds, then go on.
    STALL = "stall"
    #: Go on, but with ``for_s`` seconds before each piece.
    DRIP = "drip"
    #: Say nothing more, and keep the connection open.
    STOP = "stop"
    #: Cut the connection.
    DISCONNECT = "disconnect"
    #: Send something that is no message.
    MALFORMED = "malformed"
    #: Answer with an error of the vendor's (``status``).
    ERROR = "error"
    #: Do not take the connection.
    REFUSE = "refuse"
    #: Do it twice, the second time ``for_s`` seconds later.
    DUPLICATE = "duplicate"


_WITH_TIME = {Do.STALL, Do.DRIP}
_WITH_STATUS = {Do.ERROR, Do.REFUSE}


class Fault(BaseModel):
    """At a place, after it was passed ``after`` times without harm, ``times`` times in a row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str = Field(min_length=1)
    do: Do
    after: int = Field(default=0, ge=0)
    for_s: float = Field(default=0.0, ge=0, le=86_400)
    status: int | None = Field(default=None, ge=400, le=599)
    times: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.do in _WITH_TIME and not self.for_s:
            raise ValueError(f"'{self.do}' needs 'for_s', in seconds")
        if self.status is not None and self.do not in _WITH_STATUS:
            raise ValueError(f"'{self.do}' takes no 'status'")
        return self


class BadFaults(ValueError):
    """A script of faults that cannot be followed; says which line and why."""


class Faults:
    """A script of faults. Those of one place are consumed in order; places do not wait for each other."""

    def __init__(
        self,
        script: Iterable[Fault | Mapping[str, Any]] = (),
        *,
        places: Collection[str] | None = None,
    ) -> None:
        """Read the script; ``places``, if given, are all that exist."""
        self._waiting: dict[str, list[Fault]] = {}
        for number, line in enumerate(script, 1):
            fault = _read(number, line)
            if places is not None and fault.at not in places:
                known = ", ".join(sorted(places))
                raise BadFaults(f"Fault {number}: there is no place '{fault.at}'. Known: {known}.")
            self._waiting.setdefault(fault.at, []).append(fault)
        self._passed: dict[str, int] = {}
        self.taken: list[Fault] = []

    def take(self, at: str) -> Fault | None:
        """Pass a place: give the fault that happens there now, if any, and strike it off."""
        waiting = self._waiting.get(at)
        if not waiting:
            return None
        passed = self._passed.get(at, 0)
        fault = waiting[0]
        if passed < fault.after:
            self._passed[at] = passed + 1
            return None
        self.taken.append(fault)
        if fault.times > 1:
            waiting[0] = fault.model_copy(update={"times": fault.times - 1, "after": passed})
        else:
            waiting.pop(0)
            self._passed[at] = 0
        return fault

    @property
    def left(self) -> list[Fault]:
        """Faults that have not happened: a scenario in which some are left did not test what it says."""
        return [fault for faults in self._waiting.values() for fault in faults]


def _read(number: int, line: Fault | Mapping[str, Any]) -> Fault:
    if isinstance(line, Fault):
        return line
    try:
        return Fault.model_validate(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadFaults(
            f"Fault {number}: {where + ': ' if where else ''}{first['msg']}."
        ) from error
