"""Problems: how the JSON edge says no (RFC 9457), from one table.

Every refusal is ``application/problem+json`` with ``type``, ``title``, ``status``, ``detail`` and
``request_id``. Where parts of a request are wrong, ``errors`` lists all of them: ``pointer`` is a JSON
pointer (RFC 6901) into the body, ``parameter`` names a parameter of the address. What was sent is never
repeated: it may be a caller's data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, g, request
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from hub import log

MEDIA_TYPE: Final = "application/problem+json"
_TRY_AGAIN_S: Final = 5
_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its status, its title, and what a reader should do."""

    status: int
    title: str
    advice: str


KINDS: Final[Mapping[str, Kind]] = {
    "malformed-json": Kind(400, "The body is not JSON", "Correct the JSON at the position named."),
    "bad-request": Kind(400, "The request cannot be read", "Correct the request."),
    "bad-cursor": Kind(
        400, "The cursor is not one of ours", "Start again without a cursor, or use `next_cursor`."
    ),
    "no-key": Kind(
        401, "An API key is needed", "Send `Authorization: Bearer ab_live_…` with a valid key."
    ),
    "no-scope": Kind(
        403, "The API key may not do this", "Use a key that has the scope named in the detail."
    ),
    "not-found": Kind(
        404, "There is no such thing", "Check the id; it may belong to another company."
    ),
    "not-allowed": Kind(405, "The path does not know this method", "Use a method of the document."),
    "id-taken": Kind(
        409,
        "Another event has this source and id",
        "Give the event an id of its own, or send exactly what was sent before.",
    ),
    "conflict": Kind(409, "It is not in a state for this", "Read it again, then decide."),
    "too-large": Kind(413, "The body is too large", "Send at most 1 MiB, in smaller batches."),
    "wrong-media-type": Kind(
        415, "The media type is not supported", "Use one of the media types of the document."
    ),
    "invalid": Kind(
        422, "The request is not valid", "Correct every place that `errors` names, then send again."
    ),
    "too-many": Kind(
        429, "Too many requests", "Wait as many seconds as `Retry-After` says, then go on."
    ),
    "internal": Kind(
        500, "Something broke on our side", "Try again; if it stays, tell us the request id."
    ),
    "unavailable": Kind(
        503, "The hub cannot answer now", "Nothing was taken. Try again as `Retry-After` says."
    ),
}
_BY_STATUS: Final = {
    400: "bad-request",
    401: "no-key",
    403: "no-scope",
    404: "not-found",
    405: "not-allowed",
    409: "conflict",
    413: "too-large",
    415: "wrong-media-type",
    422: "invalid",
    429: "too-many",
    503: "unavailable",
}


class Fault(BaseModel):
    """One thing that is wrong in a request, and where."""

    pointer: str | None = Field(
        None, description="JSON pointer into the body", examples=["/3/data/call/from"]
    )
    parameter: str | None = Field(
        None, description="Name of a query parameter", examples=["urgency_level"]
    )
    detail: str = Field(examples=["must be a number such as +14155550132"])


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(examples=["/v1/problems/invalid"])
    title: str = Field(examples=["The request is not valid"])
    status: int = Field(ge=400, le=599, examples=[422])
    detail: str = Field(examples=["2 places are wrong."])
    request_id: str | None = Field(None, examples=["req_01jd3f6g7h8j9kamnbpcqdrset"])
    errors: list[Fault] | None = None


class Refused(Exception):
    """The request is answered with a problem of a kind in :data:`KINDS`."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the sentence for people, the faults, extra headers and extra members."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    @property
    def status(self) -> int:
        """The HTTP status of the kind."""
        return KINDS[self.kind].status


def answer(refused: Refused) -> Response:
    """Write a refusal as problem JSON."""
    kind = KINDS[refused.kind]
    body: dict[str, Any] = {
        "type": f"/v1/problems/{refused.kind}",
        "title": kind.title,
        "status": kind.status,
        "detail": refused.detail,
        "request_id": g.get("request_id"),
    }
    if refused.errors:
        body["errors"] = [fault.model_dump(exclude_none=True) for fault in refused.errors]
    response = Response(
        json.dumps(body | refused.more, ensure_ascii=False), kind.status, mimetype=MEDIA_TYPE
    )
    response.headers.update(refused.headers)
    return response


def for_status(status: int, detail: str | None = None) -> Response:
    """Give the problem for an HTTP status that something else decided on."""
    otherwise = "internal" if status >= 500 else "bad-request"  # noqa: PLR2004 - server errors begin there
    kind = _BY_STATUS.get(status, otherwise)
    response = answer(Refused(kind, detail or KINDS[kind].advice))
    response.status_code = status
    return response


def add_to(blueprint: Blueprint) -> None:
    """Answer every error in the views of ``blueprint`` with a problem."""
    blueprint.register_error_handler(Refused, answer)
    blueprint.register_error_handler(HTTPException, _http)
    blueprint.register_error_handler(OperationalError, _unreachable)
    blueprint.register_error_handler(InterfaceError, _unreachable)
    blueprint.register_error_handler(PoolTimeout, _unreachable)
    blueprint.register_error_handler(Exception, _broken)


def _http(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]  # ours: Flask only makes its own responses
    return for_status(error.code or 500)


def _unreachable(error: Exception) -> Response:
    _log.error("request failed", endpoint=request.endpoint, kind=type(error).__name__)
    refused = Refused(
        "unavailable",
        "The database does not answer. What was sent has not been taken.",
        headers={"Retry-After": str(_TRY_AGAIN_S)},
    )
    return answer(refused)


def _broken(error: Exception) -> Response:
    _log.error(
        "request failed",
        endpoint=request.endpoint,
        kind=type(error).__name__,
        where=log.places(error),  # its message may quote a caller
    )
    return answer(Refused("internal", KINDS["internal"].advice))


def of_invalid(error: ValidationError) -> Response:
    """Answer a request whose parameters or body do not fit their model.

    The model's title says what was read: ``path``, ``query parameters`` or a body.
    """
    if error.title == "path":
        return answer(Refused("not-found", "There is nothing with this id."))
    is_query = error.title == "query parameters"
    found = faults(error.errors(include_url=False, include_input=False), is_query=is_query)
    return answer(Refused("invalid", counted(found), errors=found))


def counted(found: Sequence[Fault]) -> str:
    """Say how many places are wrong."""
    return "1 place is wrong." if len(found) == 1 else f"{len(found)} places are wrong."


def pointer(parts: Iterable[str | int]) -> str:
    """Write a place as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


_E164: Final = "must be a number with + and country code, such as +14155550132"
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "string_unicode": "must be text in valid Unicode",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number that JSON can write",
    "datetime_type": "must be a time such as 2026-11-20T16:03:11Z",
    "datetime_parsing": "must be a time such as 2026-11-20T16:03:11Z",
    "datetime_from_date_parsing": "must be a time such as 2026-11-20T16:03:11Z",
    "timezone_aware": "must be a time with its zone, such as 2026-11-20T16:03:11Z",
    "extra_forbidden": "is not known here",
}
_PATTERNS: Final[Mapping[str, str]] = {
    r"^\+[1-9]\d{3,14}$": _E164,
    r"^1\.0$": "must be 1.0",
    r"^[^\x00-\x1f\x7f]*$": "must be text without control characters",
}
_OPEN: Final = re.compile(r"^(Input|String|Value|List|Tuple|Dictionary|Data) (should|must)\b")


def faults(
    errors: Iterable[ErrorDetails], *, is_query: bool = False, start: tuple[str | int, ...] = ()
) -> list[Fault]:
    """Turn pydantic's errors into faults, one per place, under ``start``."""
    found: dict[tuple[str | int, ...], str] = {}
    for error in errors:
        place, sentence = _place(error)
        found.setdefault((*start, *place), sentence)
    if is_query:
        return [
            Fault(parameter=".".join(map(str, place)), detail=text, pointer=None)
            for place, text in found.items()
        ]
    return [
        Fault(pointer=pointer(place), detail=text, parameter=None) for place, text in found.items()
    ]


def _place(error: ErrorDetails) -> tuple[tuple[str | int, ...], str]:
    place = error["loc"]
    if place and place[-1] == "[key]":
        place = place[:-1]  # a member's name is wrong, and names its own place
    for index, part in enumerate(place):
        # The model tries each type of a tenant's own field, and reports each.
        if part == "extra" and len(place) > index + 2:
            return place[: index + 2], "must be text, a number, true, false or null"
    kind, context = error["type"], error.get("ctx", {})
    if kind in {"enum", "literal_error"}:
        return place, f"must be {context['expected']}"
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return place, _PATTERNS[context["pattern"]]
    if kind == "value_error":
        return place, str(context["error"])
    sentence = _SENTENCES.get(kind) or _OPEN.sub("must", error["msg"])
    return place, sentence
