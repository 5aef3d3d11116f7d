"""The hub in miniature: what a voice service asks of it, and the events that it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quart import Quart, Response, request

from voice.profile import Profile


@dataclass
class Hub:
    """One tenant's hub. While ``is_down`` every request is answered 503."""

    profile: Profile
    token: str = "sandbox-voice-token"  # noqa: S105 - of a sandbox
    callers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    times: Sequence[str] = ()
    is_down: bool = False
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    tools: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    recordings: dict[str, bytes] = field(default_factory=dict)

    def app(self) -> Quart:
        """Make it an app."""
        app = Quart("hub", static_folder=None)
        app.before_request(self._look)
        app.add_url_rule("/readyz", "readyz", self._ready)
        app.add_url_rule("/v1/voice/lines/<number>", "line", self._line)
        app.add_url_rule("/v1/voice/callers", "callers", self._caller)
        app.add_url_rule("/v1/voice/times", "times", self._times)
        app.add_url_rule("/v1/voice/calls/<call>/tools", "tools", self._tools, methods=["POST"])
        app.add_url_rule(
            "/v1/voice/calls/<call>/recording", "recording", self._recording, methods=["PUT"]
        )
        app.add_url_rule("/v1/events", "events", self._event, methods=["POST"])
        return app

    async def _look(self) -> Response | None:
        if self.is_down:
            return Response("away", 503)
        if request.path.startswith("/v1/"):
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                return Response("no key", 401)
            is_line = request.path.startswith("/v1/voice/lines/")
            tenant = request.headers.get("Afterbeep-Tenant")
            if not is_line and tenant != self.profile.tenant_id:
                return Response("no such tenant", 404)
        return None

    async def _ready(self) -> dict[str, str]:
        return {"status": "ready"}

    async def _line(self, number: str) -> Any:
        if number != self.profile.number:
            return {"title": "not found", "status": 404}, 404
        return self.profile.model_dump(mode="json")

    async def _caller(self) -> Any:
        found = self.callers.get(request.args.get("phone", ""))
        return dict(found) if found else ({"title": "not found", "status": 404}, 404)

    async def _times(self) -> Any:
        return {"times": list(self.times), "timezone": self.profile.timezone}

    async def _tools(self, call: str) -> Any:
        body = await request.get_json(force=True)
        known = {one["number"] for one in self.tools.setdefault(call, [])}
        self.tools[call] += [one for one in body["calls"] if one["number"] not in known]
        return {"calls": len(self.tools[call])}

    async def _recording(self, call: str) -> Any:
        self.recordings[call] = await request.body
        return {"size_bytes": len(self.recordings[call])}

    async def _event(self) -> Any:
        body = await request.get_json(force=True)
        kept = self.events.setdefault(body["id"], body)
        if kept is not body and kept != body:
            return {"title": "conflict", "status": 409}, 409
        return {"id": body["id"], "status": "accepted"}, 202
