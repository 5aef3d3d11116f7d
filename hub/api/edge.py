"""What all parts of the JSON edge share: a blueprint per tag, and what the document says of answers.

A view stands below ``@tag.get(...)`` and a mark of :mod:`hub.api.auth`. The document is made of refs here; the models
themselves are written into it by :mod:`hub.api.document`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final, ParamSpec, TypeVar

from flask import Response, current_app, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from hub.api import auth, limits, problems
from hub.api.cloudevents import BINARY
from hub.api.paging import Parameters
from hub.api.problems import Fault, Problem, Refused
from hub.db.keys import Scope, VoiceScope

LARGEST_BODY_BYTES: Final = 1024 * 1024
SECURITY: Final = "apiKey"
_NUL: Final = "must not hold the character U+0000, which cannot be stored"

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: An operation's answers by status, as the library takes them.
Said = dict[str | int | HTTPStatus, Any]

#: Every model that an operation names, by its name in the document.
MODELS: Final[dict[str, type[BaseModel]]] = {Problem.__name__: Problem}

_REFUSALS: Final = {
    400: "The body, the cursor or the address cannot be read",
    401: "No valid API key",
    403: "The API key lacks the scope",
    404: "There is no such thing in this tenant",
    409: "It is not in a state for this",
    413: "The body is larger than 1 MiB",
    415: "The media type is not supported",
    422: "Parts of the request are wrong; `errors` lists all of them",
    429: "The key's rate limit is used up; see `Retry-After`",
    503: "The database does not answer; nothing was taken",
}
_RATE_HEADERS: Final = {
    "RateLimit-Policy": {
        "description": "The limit that this counted against: units (q) in seconds (w)",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "Units left (r), and seconds until all are back (t)",
        "schema": {"type": "string"},
    },
}


class NoParameters(Parameters):
    """An address without query parameters; any is refused."""


def tag(name: str, description: str) -> APIBlueprint:
    """Make the blueprint of a tag: keys are checked first, every error is a problem."""
    made = APIBlueprint(
        f"api.{name}".replace(".", "_"),
        __name__,
        abp_tags=[Tag(name=name, description=description)],
        operation_id_callback=_operation_id,
    )
    problems.add_to(made)
    made.before_request(auth.check)
    made.before_request(_limit_body)
    made.before_request(_check_json)
    made.before_request(_check_address)
    made.after_request(limits.tell)
    return made


def _operation_id(*, name: str, **_: Any) -> str:
    return name


def ref(model: type[BaseModel]) -> dict[str, str]:
    """Give the reference to a model in the document."""
    MODELS[model.__name__] = model
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def says(
    answers: dict[int, tuple[type[BaseModel], str]], *also: int, is_public: bool = False
) -> Said:
    """Describe an operation's answers: models by status, and the refusals it may give besides."""
    refusals = set(also) if is_public else {401, 403, 422, 429, 503, *also}
    found: Said = {}
    for status, (model, text) in answers.items():
        media_type = problems.MEDIA_TYPE if model is Problem else "application/json"
        found[str(status)] = {
            "description": text,
            "content": {media_type: {"schema": ref(model)}},
            **({} if is_public else {"headers": _RATE_HEADERS}),
        }
    for status in sorted(refusals - set(answers)):
        found[str(status)] = {
            "description": _REFUSALS[status],
            "content": {problems.MEDIA_TYPE: {"schema": ref(Problem)}},
        }
        if status == 429:  # noqa: PLR2004 - the status of a rate limit
            wait = {"description": "Seconds to wait", "schema": {"type": "integer"}}
            found[str(status)]["headers"] = {"Retry-After": wait, **_RATE_HEADERS}
    return found


def secured(*scopes: Scope | VoiceScope) -> list[dict[str, list[str]]]:
    """Say in the document which scope a key needs: one of these."""
    return [{SECURITY: [scope.value]} for scope in scopes]


def takes(largest_bytes: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Say that a view reads its body itself, which is no JSON, and how large that may be."""

    def mark(view: Callable[_P, _R]) -> Callable[_P, _R]:
        view.__dict__["largest_body"] = largest_bytes
        return view

    return mark


def sent(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a model as JSON."""
    return Response(to_json(model), status, headers, mimetype="application/json")


def sent_plain(
    content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Answer with plain JSON values that a model describes; for answers that must be quick."""
    return Response(json.dumps(content), status, headers, mimetype="application/json")


def _limit_body() -> None:
    request.max_content_length = _marks().get("largest_body", LARGEST_BODY_BYTES)


def _marks() -> dict[str, Any]:
    return current_app.view_functions[request.endpoint or ""].__dict__


def _check_json() -> None:
    """Refuse a body that is not JSON with its position, before a model looks at it.

    Events are read by :mod:`hub.api.cloudevents`.
    """
    if (
        request.method not in {"POST", "PUT", "PATCH"}
        or request.endpoint == "api_events.post_events"
        or "largest_body" in _marks()
    ):
        return
    raw = request.get_data(cache=True)
    if not raw:
        return
    if request.mimetype != BINARY or "Content-Encoding" in request.headers:
        raise Refused("wrong-media-type", f"Send {BINARY}, without Content-Encoding.")
    try:
        document = from_json(raw, allow_inf_nan=False)
    except ValueError as err:
        raise Refused("malformed-json", f"{str(err)[:1].upper()}{str(err)[1:]}.") from None
    # No other spelling of it in JSON: a bare one is malformed.
    if rb"\u0000" in raw:
        found = [
            Fault(pointer=problems.pointer(place), parameter=None, detail=_NUL)
            for place in _places_of_nul(document)
        ]
        if found:
            raise Refused("invalid", problems.counted(found), errors=found)


def _check_address() -> None:
    """Refuse what the database cannot store, before a query is made of it."""
    if "\0" in request.path:
        raise Refused("not-found", "There is nothing with this id.")
    found = [
        Fault(pointer=None, parameter=name.replace("\0", ""), detail=_NUL)
        for name, values in request.args.lists()
        if any("\0" in text for text in (name, *values))
    ]
    if found:
        raise Refused("invalid", problems.counted(found), errors=found)


def _places_of_nul(
    value: object, place: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Give each place of a JSON document where a text holds NUL; a name that does stands for what it names."""
    if isinstance(value, str):
        if "\0" in value:
            yield place
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _places_of_nul(one, (*place, index))
    elif isinstance(value, dict):
        for name, one in value.items():
            if "\0" in name:
                yield place
            else:
                yield from _places_of_nul(one, (*place, name))
