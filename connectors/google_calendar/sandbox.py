"""Google Calendar in miniature: OAuth, calendars, events, free/busy, batches, quotas, push channels.

Besides what the kit offers (see :mod:`connectors.sandbox`) there is what a person does in the calendar:

- ``POST /_google/act``       ``{"id": "<event>@<calendar>", "act": "confirm"}``: ``confirm``, ``accept`` (the first
  guest says yes), ``cancel`` (into the bin), or ``edit`` with ``"fields": {"summary": "..."}``
- ``GET /_google/channels``   the push channels that are open

Both quotas refuse with 403 and a reason, without any header; a patch counts three times.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from flask import Flask, Response, make_response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.google_calendar import sandbox_batch
from connectors.google_calendar.sandbox_documents import (
    CALENDARS,
    EVENTS,
    FREE_BUSY,
    SCOPES,
    Calendar,
    Document,
    RefusedError,
    calendars_of,
    error,
    masked,
)
from connectors.google_calendar.sandbox_events import EVENT, Events, first, free_busy_span
from connectors.google_calendar.sandbox_pushes import Pushes
from connectors.sandbox.kit import Sandbox, View, answer_json
from connectors.sandbox.limits import LimitRule, Usage
from connectors.sandbox.oauth import Grant, OAuthRules, SandboxAccount, TokenState

_ACCOUNTS = (
    SandboxAccount("desk@whitfield-plumbing.example", "Whitfield Plumbing"),
    SandboxAccount("front@lakeside-dental.example", "Lakeside Dental"),
)
_USER, _PROJECT = "user", "project"
_PATCH_UNITS = 3
_MAX_BUSY = 50
Answered = tuple[int, Document | None]


class _Answers:
    """Google's words for what is wrong."""

    def unauthorised(self, state: TokenState) -> Response:
        """Answer 401; an expired, revoked and unknown token are all the same to Google."""
        reason = "required" if state == "missing" else "authError"
        return answer_json(error(401, reason), 401)

    def throttled(self, usages: Mapping[str, Usage]) -> Response:
        """Answer as for a user who is too fast."""
        del usages
        return answer_json(*_too_fast("userRateLimitExceeded"))

    def failed(self, status: int) -> Response:
        """Answer with this status."""
        if status == 429:  # noqa: PLR2004 - the status is the case
            return answer_json(error(429, "rateLimitExceeded", domain="usageLimits"), 429)
        return answer_json(error(status, "backendError"), status)

    def headers(self, usages: Mapping[str, Usage]) -> Mapping[str, str]:
        """Give none: Google says nothing of its quotas."""
        del usages
        return {}


def _too_fast(reason: str) -> tuple[Document, int]:
    words = {"userRateLimitExceeded": "User Rate Limit Exceeded"}
    text = words.get(reason, "Rate Limit Exceeded")
    return error(403, reason, text, domain="usageLimits"), 403


def create_sandbox(folder: Path, *, public_url: str) -> Flask:
    """Give Google Calendar in miniature, with its state in this folder."""
    sandbox = Sandbox(
        name="google_calendar",
        label="Google Calendar",
        folder=folder,
        public_url=public_url,
        key_field="afterbeep_key",
        accounts=_ACCOUNTS,
        oauth=OAuthRules(
            authorize_path="/o/oauth2/v2/auth",
            token_path="/token",  # noqa: S106 - an address
            revoke_path="/revoke",
            scopes=SCOPES,
            token_lifetime_s=3599,
            repeats_refresh=False,
            answer=lambda grant: {"scope": " ".join(grant.scopes)},
        ),
        limits=(LimitRule(_USER, 600, 60.0), LimitRule(_PROJECT, 10_000, 60.0)),
        # Whatever day it is tried on, and whenever a caller would like to come.
        connection={
            "business_hours": dict.fromkeys(
                ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "07:00-21:00"
            )
        },
        answers=_Answers(),
        views=(View(EVENT, "Events", ("summary",), ("when", "status", "location")),),
    )
    pushes = Pushes(sandbox.store, public_url=sandbox.public_url)
    events = Events(sandbox.store, public_url=sandbox.public_url, changed=pushes.changed)
    _Routes(sandbox, events, pushes).add()
    return sandbox.app


class _Routes:
    """The API's routes over one store; a batch's parts take the same way as single calls."""

    def __init__(self, sandbox: Sandbox, events: Events, pushes: Pushes) -> None:
        self._sandbox, self._events, self._pushes = sandbox, events, pushes

    def add(self) -> None:
        """Add every route."""
        verbs = ["GET", "POST", "PATCH", "DELETE"]
        # Quota is counted for each part of a batch, so that it is taken further down.
        self._sandbox.route("/calendar/v3/<path:rest>", methods=verbs, cost={})(self.single)
        self._sandbox.route("/batch/calendar/v3", methods=["POST"], cost={})(self.batch)
        add = self._sandbox.app.add_url_rule
        add("/calendar/event", "google_event", self.page)
        add("/_google/act", "google_act", self.act, methods=["POST"])
        add("/_google/channels", "google_channels", self.channels)

    def single(self, grant: Grant, rest: str) -> BaseResponse:
        """Answer one call."""
        asked = request.get_json(silent=True)
        target = f"/calendar/v3/{rest}?{request.query_string.decode()}"
        status, document = self._carry(grant, request.method, target, asked)
        return make_response("", 204) if document is None else answer_json(document, status)

    def batch(self, grant: Grant) -> BaseResponse:
        """Answer many calls at once; each is refused or carried out by itself."""
        code = self._sandbox.refused_row()
        refusals = [code] if code else []

        def carry(part: sandbox_batch.Part) -> Answered:
            if refusals:
                reason = refusals.pop()
                status = 403 if "xceeded" in reason or reason == "forbidden" else 400
                return status, error(status, reason)
            return self._carry(grant, part.method, part.target, part.body)

        try:
            kind, body = sandbox_batch.run(
                request.headers.get("Content-Type", ""), request.get_data(), carry
            )
        except RefusedError as refused:
            return answer_json(refused.document, refused.status)
        answer = make_response(body)
        answer.headers["Content-Type"] = kind
        return answer

    def _carry(self, grant: Grant, method: str, target: str, body: Any) -> Answered:
        """Take the quota and carry out one call."""
        units = _PATCH_UNITS if method == "PATCH" else 1
        limits = self._sandbox.limits
        for name, counted_for, reason in (
            (_PROJECT, "(all)", "rateLimitExceeded"),
            (_USER, grant.account.id, "userRateLimitExceeded"),
        ):
            if limits.take(counted_for, {name: units})[name].is_over:
                document, status = _too_fast(reason)
                return status, document
        parts = urlsplit(target)
        steps = [unquote(step) for step in parts.path.removeprefix("/calendar/v3/").split("/")]
        query = parse_qs(parts.query)
        try:
            found = _Call(self._events, self._pushes, grant).run(method, steps, query, body)
        except RefusedError as refused:
            return refused.status, refused.document
        return (204, None) if found is None else (200, masked(found, first(query, "fields")))

    # What a person sees and does.

    def page(self) -> BaseResponse:
        """Lead to the page of an event, as Google's links do."""
        eid = request.args.get("eid", "")
        try:
            name, _, calendar = (
                urlsafe_b64decode(eid + "=" * (-len(eid) % 4)).decode().partition(" ")
            )
        except ValueError:
            return make_response("no such event", 404)
        record = self._known(f"{name}@{calendar}")
        return redirect(f"/records/{EVENT}/{record}") if record else make_response("", 404)

    def channels(self) -> BaseResponse:
        """List the open channels."""
        return answer_json({"channels": self._pushes.open_channels()})

    def act(self) -> BaseResponse:
        """Do what a person does in the calendar's pages."""
        asked = request.get_json(silent=True) or {}
        place = self._known(str(asked.get("id")))
        record = self._sandbox.store.get(EVENT, place) if place else None
        acts: dict[str, Callable[[Mapping[str, Any]], Document]] = {
            "confirm": lambda _: {"status": "confirmed"},
            "cancel": lambda _: {"status": "cancelled"},
            "accept": lambda fields: {
                "attendees": [
                    {**guest, "responseStatus": "accepted"}
                    for guest in fields.get("attendees", [])[:1]
                ]
            },
            "edit": lambda _: dict(asked.get("fields") or {}),
        }
        if record is None or asked.get("act") not in acts:
            return answer_json({"message": "no such event or act"}, 404)
        account = next(one for one in _ACCOUNTS if one.id == record.account)
        calendar = calendars_of(account)[str(record.fields["calendar"])]
        changed = acts[str(asked["act"])](record.fields)
        return answer_json(self._events.act(record, calendar, changed))

    def _known(self, name: str) -> str | None:
        """Give the id of a stored event; "primary" is the calendar of whichever account has it."""
        event, _, calendar = name.partition("@")
        owners = [one.id for one in _ACCOUNTS] if calendar == "primary" else [calendar]
        places = [f"{event}@{owner}" for owner in owners]
        return next((p for p in places if self._sandbox.store.get(EVENT, p)), None)


class _Call:
    """One call of one account."""

    def __init__(self, events: Events, pushes: Pushes, grant: Grant) -> None:
        self._events, self._pushes, self._grant = events, pushes, grant
        self._account = grant.account.id
        self._calendars = calendars_of(grant.account)

    def run(
        self, method: str, steps: list[str], query: Mapping[str, list[str]], body: Any
    ) -> Document | None:
        """Carry it out; an answer of None is an empty one."""
        asked: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
        match method, steps:
            case "GET", ["users", "me", "calendarList", *name]:
                return self._list_calendars(name)
            case "POST", ["freeBusy"]:
                return self._free_busy(asked)
            case "POST", ["channels", "stop"]:
                self._need(EVENTS)
                self._pushes.stop(self._account, asked)
                return None
            case _, ["calendars", calendar, "events", *name]:
                self._need(EVENTS)
                return self._event(method, self._calendar(calendar), name, query, asked)
            case _:
                raise RefusedError(404, "notFound")

    def _event(
        self,
        method: str,
        calendar: Calendar,
        name: list[str],
        query: Mapping[str, list[str]],
        asked: Mapping[str, Any],
    ) -> Document | None:
        if method == "GET" and not name:
            return self._events.list(self._account, calendar, query)
        if method == "GET":
            return self._events.get(self._account, calendar, name[0])
        if method == "POST" and name == ["watch"]:
            return self._pushes.watch(self._account, calendar, asked)
        if calendar.role not in {"owner", "writer"}:
            text = "You need to have writer access to this calendar."
            raise RefusedError(403, "requiredAccessLevel", text, domain="calendar")
        if method == "POST" and not name:
            return self._events.insert(self._account, calendar, asked)
        if method == "PATCH" and name:
            return self._events.patch(self._account, calendar, name[0], asked)
        if method == "DELETE" and name:
            self._events.delete(self._account, calendar, name[0])
            return None
        raise RefusedError(404, "notFound")

    def _list_calendars(self, name: list[str]) -> Document:
        self._need(CALENDARS)
        if name:
            return self._calendar(name[0]).document()
        return {
            "kind": "calendar#calendarList",
            "etag": '"p1"',
            "nextSyncToken": "CPDAlvWDx70CEPDAlvWDx70CGAU=",
            "items": [calendar.document() for calendar in self._calendars.values()],
        }

    def _free_busy(self, asked: Mapping[str, Any]) -> Document:
        self._need(FREE_BUSY)
        start, end = free_busy_span(asked)
        items = asked.get("items") or []
        if len(items) > min(_MAX_BUSY, int(asked.get("calendarExpansionMax") or _MAX_BUSY)):
            raise RefusedError(400, "tooManyCalendarsRequested", domain="calendar")
        found: Document = {}
        for item in items:
            name = str(item.get("id"))
            try:
                calendar = self._calendar(name)
            except RefusedError:
                wrong = {"domain": "global", "reason": "notFound"}
                found[name] = {"errors": [wrong], "busy": []}
            else:
                found[name] = self._events.busy(self._account, calendar, start, end)
        return {
            "kind": "calendar#freeBusy",
            "timeMin": str(asked.get("timeMin")),
            "timeMax": str(asked.get("timeMax")),
            "calendars": found,
        }

    def _calendar(self, name: str) -> Calendar:
        found = self._calendars.get(self._account if name == "primary" else name)
        if found is None:
            raise RefusedError(404, "notFound")
        return found

    def _need(self, scope: str) -> None:
        if scope not in self._grant.scopes:
            text = "Request had insufficient authentication scopes."
            raise RefusedError(403, "insufficientPermissions", text)
