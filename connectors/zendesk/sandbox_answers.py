"""What the sandbox answers when something is wrong, its limit headers, and what it reads of a request."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, make_response, request

from connectors.sandbox.kit import answer_json
from connectors.sandbox.limits import Usage
from connectors.sandbox.oauth import Grant, TokenState
from connectors.zendesk.sandbox_desk import RefusedError
from connectors.zendesk.sandbox_setup import Document

_TOO_MANY = 429


class ZendeskAnswers:
    """Zendesk's words for what is wrong."""

    def unauthorised(self, state: TokenState) -> Response:
        """Answer 401, whatever is wrong with the token."""
        del state
        words = (
            "The access token provided is expired, revoked, malformed or invalid for other reasons."
        )
        return answer_json({"error": "invalid_token", "error_description": words}, 401)

    def throttled(self, usages: Mapping[str, Usage]) -> Response:
        """Answer 429 in plain text, with the seconds to wait."""
        waits_s = [usage.resets_in_s for usage in usages.values() if usage.is_over]
        return _too_many(max(waits_s, default=60.0))

    def failed(self, status: int) -> Response:
        """Answer with this status."""
        if status == _TOO_MANY:
            return _too_many(37.0)
        words = "Internal server error" if status == 500 else "Sorry, we could not process this."  # noqa: PLR2004 - the status is the case
        return answer_json({"error": "ServiceUnavailable", "description": words}, status)

    def headers(self, usages: Mapping[str, Usage]) -> Mapping[str, str]:
        """Give the headers of this minute, and of lists of tickets."""
        found: dict[str, str] = {}
        if usage := usages.get("requests"):
            for name in ("X-Rate-Limit", "ratelimit-limit"):
                found[name] = str(usage.capacity)
            for name in ("X-Rate-Limit-Remaining", "ratelimit-remaining"):
                found[name] = str(usage.remaining)
            found["ratelimit-reset"] = str(int(usage.resets_in_s) + 1)
        if usage := usages.get("list_tickets"):
            resets = int(usage.resets_in_s) + 1
            found["zendesk-ratelimit-tickets-index"] = (
                f"total={usage.capacity}; remaining={usage.remaining}; resets={resets}"
            )
        return found


def _too_many(wait_s: float) -> Response:
    answer = make_response("Number of allowed API requests per minute exceeded", _TOO_MANY)
    answer.content_type = "text/plain; charset=utf-8"
    answer.headers["Retry-After"] = str(int(wait_s) + 1)
    return answer


def need_scope(grant: Grant, scope: str) -> None:
    """Refuse a call for which the token has no scope: its own, or the one for everything."""
    act = scope.rpartition(":")[2]
    if scope and scope not in grant.scopes and act not in grant.scopes:
        words = f"You are missing the following required scopes: {act}"
        raise RefusedError(403, {"error": "Forbidden", "description": words})


def json_body() -> Document:
    """Give the request's JSON object; raises RefusedError."""
    found = request.get_json(silent=True)
    if not isinstance(found, dict):
        words = "Unable to parse JSON"
        raise RefusedError(400, {"error": "Unprocessable", "description": words})
    return found


def part_of_body(name: str) -> Document:
    """Give the object of this name in the request; raises RefusedError."""
    found = json_body().get(name)
    if not isinstance(found, dict):
        raise RefusedError(400, {"error": "ParameterMissing", "description": name})
    return found
