"""How the sandbox's routes read a request and say no: Salesforce's errors are a list of objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from flask import Response, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.salesforce.sandbox_org import Refused
from connectors.sandbox.kit import answer_json
from connectors.sandbox.oauth import Grant


def answering(function: Callable[..., BaseResponse]) -> Callable[..., BaseResponse]:
    """Turn what the org refuses into Salesforce's answer."""

    @wraps(function)
    def answer(grant: Grant, **captured: str) -> BaseResponse:
        captured.pop("version", None)
        try:
            return function(grant, **captured)
        except Refused as err:
            return errors(err.status, err.code, err.message, err.fields)

    return answer


def errors(status: int, code: str, message: str, fields: Sequence[str] = ()) -> Response:
    """Give the answer that says one error."""
    error: dict[str, Any] = {"message": message, "errorCode": code}
    if fields:
        error["fields"] = list(fields)
    return answer_json([error], status)


def object_body() -> dict[str, Any]:
    """Give the request's JSON object; raises Refused when it has none."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Refused(400, "JSON_PARSER_ERROR", "Unexpected end of JSON or no object")
    return body


def version() -> str:
    """Give the version of the API that this request names."""
    return str((request.view_args or {}).get("version"))
