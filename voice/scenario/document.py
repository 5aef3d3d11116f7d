"""A scenario's file: who is called, what the caller does, what goes wrong, and what must come of it.

Files are YAML; everything unknown is refused, and all problems are told together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mappings.event import Bucket, UrgencyLevel
from voice.profile import LineKind, Profile

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
NUMBER = "+14155550100"


class BadScenario(ValueError):
    """A scenario that cannot be played; the message names each wrong place."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as err:
        raise ValueError(f"is no regular expression: {err}") from err
    return value


class Act(_Part):
    """Something that the caller does: exactly one of says, presses, coughs_s, waits_s, hangs_up.

    It happens at the caller's turn, ``after_s`` after the agent has fallen silent, and only when the agent has said
    ``hears``; or ``over_s`` into the agent's speech (after the words ``hears``); or ``at_s`` after the answer.
    In ``says``, numbers
    between texts are pauses in seconds.
    """

    says: str | tuple[str | float, ...] | None = None
    presses: str | None = Field(None, pattern=r"^[0-9*#]+$")
    coughs_s: float | None = Field(None, gt=0, le=10)
    waits_s: float | None = Field(None, gt=0, le=86_400)
    hangs_up: bool = False
    hears: str | None = None
    after_s: float = Field(0.4, ge=0, le=60)
    over_s: float | None = Field(None, ge=0, le=60)
    at_s: float | None = Field(None, ge=0, le=86_400)
    language: str | None = None

    _hears = field_validator("hears")(lambda value: value and _pattern(value))

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        chosen = [self.says, self.presses, self.coughs_s, self.waits_s, self.hangs_up or None]
        if sum(one is not None for one in chosen) != 1:
            raise ValueError("needs exactly one of says, presses, coughs_s, waits_s, hangs_up")
        return self


class Person(_Part):
    """Somebody who is rung: answers after so many seconds (null: never), or is busy."""

    answers_after_s: float | None = None
    talks_s: float = 20.0
    is_busy: bool = False


class Caller(_Part):
    """Who calls. ``from`` null is a withheld number."""

    number: str | None = Field("+14155550132", alias="from")
    forwarded_from: str | None = None
    language: str = "en-US"
    known: Mapping[str, Any] | None = None
    does: tuple[Act, ...] = ()


class Trouble(_Part):
    """Something that goes wrong at one of the sandboxes; see ``voice/sandbox/README.md`` for places."""

    at: str
    do: str
    after: int = 0
    for_s: float = 0.0
    status: int | None = None
    times: int = 1


class HubTrouble(_Part):
    """The hub is away from the beginning of the call for so long."""

    down_for_s: float = Field(gt=0, le=86_400)


class Captured(_Part):
    """What the event must hold. Texts are regular expressions without case; null means that it must be absent."""

    name: str | None = None
    no_name: bool = False
    number: str | None = Field(None, pattern=r"^\+\d{4,15}$")
    no_number: bool = False
    language: str | None = None
    bucket: Bucket | tuple[Bucket, ...] | None = None
    urgency: UrgencyLevel | tuple[UrgencyLevel, ...] | None = None
    summary: str | None = None
    transcript: str | None = None
    not_in_event: tuple[str, ...] = ()
    sms_consent: bool | None = None
    known: bool | None = None
    escalate: bool | None = None
    redacted: bool | None = None
    appointment: bool | None = None
    recording: bool | None = None
    extra: Mapping[str, str | int | float | bool | None] = Field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()

    _patterns = field_validator("name", "summary", "transcript")(
        lambda value: value and _pattern(value)
    )


class Expected(_Part):
    """What must come of the call.

    ``heard`` are regular expressions that must be found in this order in what the caller heard; ``landed`` counts the
    event's deliveries at a real hub by object; ``event`` false means that no event may come, as nobody missed the call.
    Figures are upper bounds in milliseconds over the whole call.
    """

    event: bool = True
    heard: tuple[str, ...] = ()
    never_heard: tuple[str, ...] = ()
    captured: Captured = Captured()
    landed: Mapping[str, int] = Field(default_factory=dict)
    line: LineKind | None = None
    ended_by: Literal["caller", "twilio", "api"] | None = None
    dialled: tuple[str, ...] = ()
    answer_ms: float | None = Field(1_000.0, gt=0)
    barge_in_ms: float | None = Field(None, gt=0)
    errors: tuple[int, ...] = ()
    tools: tuple[str, ...] = ()

    @field_validator("heard", "never_heard")
    @classmethod
    def _are_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            _pattern(one)
        return value


class Scenario(_Part):
    """One call, from the ring to what came of it."""

    title: str = Field(min_length=5, max_length=120)
    about: tuple[str, ...] = Field(min_length=1)
    model: Literal["none", "scripted"] = "none"
    tenant: Mapping[str, Any] = Field(default_factory=dict)
    times: tuple[str, ...] = ()
    caller: Caller
    staff: Mapping[str, Person] = Field(default_factory=dict)
    faults: tuple[Trouble, ...] = ()
    hub: HubTrouble | None = None
    expect: Expected = Expected()

    def profile(self, line: LineKind | None = None) -> Profile:
        """Give the tenant that is called; ``line`` takes the place of the scenario's own."""
        given = {**_TENANT, **self.tenant}
        if line is not None:
            given["line"] = line
        return Profile(**given)

    @field_validator("tenant")
    @classmethod
    def _is_known(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if unknown := set(value) - set(Profile.model_fields):
            raise ValueError(f"a tenant has no {', '.join(sorted(unknown))}")
        Profile(**{**_TENANT, **value})
        return value


_TENANT: Mapping[str, Any] = {
    "tenant_id": "ten_scenario",
    "number": NUMBER,
    "name": "Harbor Home Services",
    "vertical": "home_services",
    "timezone": "America/New_York",
}


class _Loader(yaml.SafeLoader):
    """YAML without its surprises: yes, no and on are words."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def load(file: Path) -> Scenario:
    """Read a scenario; raises BadScenario that names the file and every wrong place."""
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - it is a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        raise BadScenario(f"{file.name}: {err}") from err
    try:
        return Scenario.model_validate(found)
    except ValidationError as err:
        wrong = [
            f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}"
            for one in err.errors(include_url=False, include_input=False)
        ]
        raise BadScenario(f"{file.name}: {'; '.join(wrong)}") from err


def shipped() -> list[Path]:
    """Give the files of all scenarios that ship with the product, by name."""
    return sorted(FOLDER.glob("*.yaml"))
