"""CloudEvents 1.0 over HTTP: structured, binary and batched requests become checked events.

JSON is read strictly: a number in quotes is not a number, and NaN is not JSON.
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md (2026-11-22)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote_to_bytes

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from werkzeug.datastructures import Headers

from hub.api.problems import Fault, Refused, counted, faults, pointer
from mappings.event import Event

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
BINARY: Final = "application/json"
MOST_IN_BATCH: Final = 100

Mode = Literal["structured", "binary", "batch"]

_EVENT: Final = TypeAdapter(Event)
_EVENTS: Final = TypeAdapter(Annotated[list[Event], Field(max_length=MOST_IN_BATCH)])
# Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#attribute-naming-convention (2026-11-22)
_EXTENSION: Final = re.compile(r"[a-z0-9]{1,64}\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NO_CONTROLS: Final = "must not hold control characters"
_INT32: Final = 2**31
_YEARS: Final = range(1970, 9_999)


@dataclass(frozen=True, slots=True)
class Reading:
    """One event of a batch: the event, or what is wrong with it."""

    event: Event | None
    faults: tuple[Fault, ...] = ()


def mode_of(headers: Headers) -> Mode:
    """Tell how a request carries its event or events; raises the 415 problem."""
    encoding = headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise Refused("wrong-media-type", "Send the body without Content-Encoding.")
    media_type, _, parameters = headers.get("Content-Type", "").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters)
    if charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise Refused("wrong-media-type", "Send JSON in UTF-8.")
    media_type = media_type.strip().lower()
    if media_type == STRUCTURED:
        return "structured"
    if media_type == BATCH:
        return "batch"
    if media_type == BINARY and "ce-specversion" in headers:
        return "binary"
    raise Refused(
        "wrong-media-type",
        f"Send {STRUCTURED} (one event), {BATCH} (a list of up to {MOST_IN_BATCH}), or {BINARY} with "
        "the event's attributes in ce- headers.",
    )


def structured(raw: bytes) -> Event:
    """Read one event; raises a 400 or 422 problem."""
    _refuse_nan(raw)
    return _one(raw)


def binary(raw: bytes, headers: Headers) -> Event:
    """Read an event whose attributes are headers and whose data is the body; raises a 400 or 422 problem.

    Pointers name places in the event as its structured form has them.
    """
    envelope = _attributes(headers)
    envelope["datacontenttype"] = headers["Content-Type"]
    envelope["data"] = _plain(raw)
    return _one(to_json(envelope))


def batch(raw: bytes) -> list[Reading]:
    """Read up to 100 events, each on its own; raises a problem when the body is not such a list."""
    _refuse_nan(raw)
    try:
        events = _EVENTS.validate_json(raw, strict=True)
    except ValidationError as err:
        return _sorted_out(raw, err)
    return [_reading(event, index) for index, event in enumerate(events)]


def _one(raw: bytes) -> Event:
    try:
        event = _EVENT.validate_json(raw, strict=True)
    except ValidationError as err:
        _refuse_malformed(err)
        found = faults(err.errors(include_url=False, include_input=False))
        raise Refused("invalid", counted(found), errors=found) from None
    if more := _attribute_faults(event, ()):
        raise Refused("invalid", counted(more), errors=more)
    return event


def _sorted_out(raw: bytes, error: ValidationError) -> list[Reading]:
    """Tell good events of a batch from bad ones."""
    _refuse_malformed(error)
    errors = error.errors(include_url=False, include_input=False)
    if any(not each["loc"] for each in errors):
        found = faults(errors)
        raise Refused("invalid", counted(found), errors=found) from None
    bad: dict[int, list[Any]] = {}
    for each in errors:
        bad.setdefault(int(each["loc"][0]), []).append(each)
    readings = []
    for index, item in enumerate(from_json(raw)):
        if index in bad:
            readings.append(Reading(None, tuple(faults(bad[index]))))
        else:
            readings.append(_reading(_EVENT.validate_json(to_json(item), strict=True), index))
    return readings


def _reading(event: Event, index: int) -> Reading:
    found = _attribute_faults(event, (index,))
    return Reading(None, tuple(found)) if found else Reading(event)


def _refuse_nan(raw: bytes) -> None:
    """Refuse NaN and Infinity, which the validator lets through and JSON does not know."""
    if b"NaN" in raw or b"Infinity" in raw:
        _plain(raw)


def _plain(raw: bytes) -> Any:
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError as err:
        raise Refused("malformed-json", f"{_capital(str(err))}.") from None


def _refuse_malformed(error: ValidationError) -> None:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        raise Refused("malformed-json", f"{_capital(first['ctx']['error'])}.") from None


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _attributes(headers: Headers) -> dict[str, Any]:
    found: dict[str, Any] = {}
    wrong: list[Fault] = []
    for name, value in headers:
        attribute = name.lower().removeprefix("ce-")
        if attribute == name.lower():
            continue
        try:
            found[attribute] = _decoded(value)
        except UnicodeError:
            text = "must be UTF-8, percent-encoded"
            wrong.append(Fault(pointer=pointer([attribute]), detail=text, parameter=None))
    if wrong:
        raise Refused("invalid", counted(wrong), errors=wrong)
    for taken in ("data", "datacontenttype"):
        found.pop(taken, None)  # the body and Content-Type say these
    return found


def _decoded(value: str) -> str:
    """Undo what the HTTP binding (3.1.3.2) does to values: quotes, then percent-encoding of UTF-8."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return unquote_to_bytes(value.encode("latin-1")).decode("utf-8")


def _attribute_faults(event: Event, start: tuple[int, ...]) -> list[Fault]:
    """Check what CloudEvents asks of attributes and the model does not say."""
    found: dict[tuple[str, ...], str] = {}
    for name in ("id", "source", "subject", "dataschema"):
        if _has_controls(getattr(event, name)):
            found[name,] = _NO_CONTROLS
    if _has_controls(event.data.language):
        found["data", "language"] = _NO_CONTROLS
    if event.time and event.time.year not in _YEARS:
        found["time",] = f"must be between {_YEARS.start} and {_YEARS.stop - 1}"
    for name, value in (event.model_extra or {}).items():
        sentence = _extension_fault(name, value)
        if sentence:
            found[name,] = sentence
    return [
        Fault(pointer=pointer((*start, *place)), detail=text, parameter=None)
        for place, text in found.items()
    ]


def _extension_fault(name: str, value: object) -> str | None:
    """Say what is wrong with an extension attribute, or None."""
    if not _EXTENSION.match(name):
        return "is not known here; names of extensions are lower-case letters and digits"
    if isinstance(value, str):
        return _NO_CONTROLS if _has_controls(value) else None
    if isinstance(value, bool) or (isinstance(value, int) and -_INT32 <= value < _INT32):
        return None
    return "must be text, a whole number of 32 bits, true or false"


def _has_controls(value: str | None) -> bool:
    return value is not None and _CONTROL.search(value) is not None
