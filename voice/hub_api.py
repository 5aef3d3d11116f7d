"""The hub as the voice service sees it: HTTP requests and their answers, nothing kept.

Errors say what must happen next::

    HubError
    ├── HubDown      no answer, or one that may be better later: try again
    └── HubRefused   the hub understood and said no: the same again is refused again

Waiting for the hub is waiting for another process (:func:`voice.clock.outside`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from voice import clock
from voice.dialogue.types import KnownCaller
from voice.profile import Profile
from voice.session import ToolCall
from voice.tls import trusted

_CONNECT_S = 1.0
#: What a caller waits for may take this long; the rest has more time.
_QUICK_S = 2.0
_SLOW_S = 30.0
_LONGEST_REASON = 300
_USED = TypeAdapter(list[ToolCall])


class HubError(Exception):
    """The hub did not do what was asked."""


class HubDown(HubError):
    """The hub gave no answer, or one that may be better later. ``retry_after_s`` is its own wish, if it had one."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        """Say what happened."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class HubRefused(HubError):
    """The hub said no; ``status`` and the problem's type say why."""

    def __init__(self, status: int, detail: str) -> None:
        """Keep the answer's status and detail."""
        super().__init__(f"the hub answered {status}: {detail}")
        self.status = status
        self.detail = detail


class HubApi:
    """A client of the hub's endpoints for voice; one per process."""

    def __init__(self, base_url: str, token: str | Callable[[], str | None] | None) -> None:
        """Talk to the hub at ``base_url``. The token may be a function, for one that another process makes."""
        self._token = token
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(_QUICK_S, connect=_CONNECT_S),
            follow_redirects=False,
            trust_env=False,
            verify=trusted(),
        )

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def profile(self, number: str) -> Profile | None:
        """Give the profile of the tenant whose number (E.164) was dialled, or None when nobody has it."""
        try:
            found = await self._json("GET", f"/v1/voice/lines/{quote(number, safe='')}")
            return Profile.model_validate(found)
        except HubRefused as err:
            if err.status == httpx.codes.NOT_FOUND:
                return None
            raise
        except ValidationError as err:
            raise HubDown(f"the hub's profile has {err.error_count()} faults") from None

    async def caller(self, tenant_id: str, phone: str) -> KnownCaller | None:
        """Give what is known of whoever calls from this number, or None."""
        try:
            found = await self._json(
                "GET", "/v1/voice/callers", tenant_id=tenant_id, params={"phone": phone}
            )
        except HubRefused as err:
            if err.status == httpx.codes.NOT_FOUND:
                return None
            raise
        return KnownCaller(
            name=found.get("name"),
            language=found.get("language"),
            calls=int(found.get("calls") or 0),
            last_bucket=found.get("last_bucket"),
            last_summary=found.get("last_summary"),
        )

    async def times(
        self,
        tenant_id: str,
        *,
        duration_minutes: int = 60,
        start: datetime | None = None,
        days: int = 7,
    ) -> Sequence[str]:
        """Give up to six free start times (ISO 8601); raises HubDown when the calendar cannot be read."""
        params: dict[str, Any] = {"duration_minutes": duration_minutes, "days": days}
        if start:
            params["from"] = start.isoformat()
        found = await self._json("GET", "/v1/voice/times", tenant_id=tenant_id, params=params)
        return tuple(str(one) for one in found.get("times", ()))

    async def log_tools(self, tenant_id: str, call_id: str, calls: Sequence[ToolCall]) -> None:
        """Put tool calls into the hub's audit log; the same number again is the same row."""
        body = {
            "calls": [
                {
                    "number": one.number,
                    "at": one.at.isoformat(),
                    "tool": one.tool,
                    "arguments": one.arguments,
                    "result": one.result,
                    "error": one.error,
                    "ms": one.ms,
                }
                for one in calls
            ]
        }
        path = f"/v1/voice/calls/{quote(call_id, safe='')}/tools"
        await self._json("POST", path, tenant_id=tenant_id, body=body, timeout_s=_SLOW_S)

    async def used_tools(self, tenant_id: str, call_id: str) -> list[ToolCall]:
        """Give the tools that were used in a call, in order; [] where none are kept."""
        path = f"/v1/voice/calls/{quote(call_id, safe='')}/tools"
        try:
            found = await self._json("GET", path, tenant_id=tenant_id)
            return _USED.validate_python(found.get("calls", []))
        except HubRefused as err:
            if err.status == httpx.codes.NOT_FOUND:
                return []
            raise
        except ValidationError as err:
            raise HubDown(f"the hub's tool calls have {err.error_count()} faults") from None

    async def put_recording(
        self, tenant_id: str, call_id: str, audio: bytes, *, content_type: str = "audio/wav"
    ) -> None:
        """Give a recording to the hub, which seals it; again is the same recording."""
        path = f"/v1/voice/calls/{quote(call_id, safe='')}/recording"
        await self._sent(
            "PUT",
            path,
            tenant_id=tenant_id,
            content=audio,
            headers={"Content-Type": content_type},
            timeout=_SLOW_S,
        )

    async def post_event(self, tenant_id: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Post a CloudEvents envelope and give the hub's answer; the same event again is the same answer."""
        return await self._json(
            "POST",
            "/v1/events",
            tenant_id=tenant_id,
            body=event,
            headers={"Content-Type": "application/cloudevents+json"},
            timeout_s=_SLOW_S,
        )

    async def is_up(self) -> bool:
        """Tell whether the hub answers at all."""
        try:
            await self._sent("GET", "/healthz")
        except HubDown:
            return False
        except HubRefused:
            return True
        return True

    async def _json(
        self,
        method: str,
        path: str,
        *,
        tenant_id: str | None = None,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = _QUICK_S,
    ) -> dict[str, Any]:
        answer = await self._sent(
            method,
            path,
            tenant_id=tenant_id,
            headers=headers,
            params=params,
            json=body,
            timeout=timeout_s,
        )
        if not answer.content:
            return {}
        try:
            found = answer.json()
        except ValueError:
            raise HubDown("the hub's answer is not JSON") from None
        if not isinstance(found, dict):
            raise HubDown("the hub's answer is not a JSON object")
        return found

    async def _sent(
        self,
        method: str,
        path: str,
        *,
        tenant_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        sent = dict(headers or {})
        token = self._token() if callable(self._token) else self._token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if tenant_id:
            sent["Afterbeep-Tenant"] = tenant_id
        with clock.outside():
            try:
                answer = await self._client.request(method, path, headers=sent, **request)
            except httpx.HTTPError as err:
                raise HubDown(f"the hub did not answer ({type(err).__name__})") from None
        if answer.is_success:
            return answer
        if (
            answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
            or answer.status_code
            in {
                httpx.codes.UNAUTHORIZED,  # a token that was not set yet is a state, not a verdict on the request
                httpx.codes.FORBIDDEN,
                httpx.codes.REQUEST_TIMEOUT,
                httpx.codes.TOO_EARLY,
                httpx.codes.TOO_MANY_REQUESTS,
            }
        ):
            raise HubDown(
                f"the hub answered {answer.status_code}", retry_after_s=_retry_after(answer)
            )
        raise HubRefused(answer.status_code, _reason(answer))


def _retry_after(answer: httpx.Response) -> float | None:
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else None


def _reason(answer: httpx.Response) -> str:
    try:
        found = answer.json()
    except ValueError:
        return "no reason given"
    said = found.get("type") or found.get("title") if isinstance(found, dict) else None
    return str(said or "no reason given")[:_LONGEST_REASON]
