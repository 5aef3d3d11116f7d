"""PagerDuty in miniature: OAuth, incidents, notes, services, limits, webhook subscriptions.

Besides what the kit offers (see :mod:`connectors.sandbox`) there are

- ``POST /_pagerduty/acknowledge``, ``/resolve``, ``/timeout``  ``{"id": "Q…"}`` somebody takes an incident up or
  resolves it; on ``timeout`` its service resolves it, because nobody did
- ``POST /_pagerduty/rotate``    ``{"id": "PSBXWH1"}`` sign this subscription's webhooks with a second secret too
- ``POST /_pagerduty/settings``  ``{"hides_limits": true}`` leave the limit headers out, as PagerDuty sometimes does

Creating incidents has a limit of its own here too; its figure is invented, since PagerDuty publishes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from pathlib import Path
from uuid import uuid4

from flask import Flask, Response, make_response, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.pagerduty.sandbox_documents import (
    SCOPES,
    SET_UPS,
    Document,
    RefusedError,
    SetUp,
    Thing,
    custom_field_documents,
    error,
    missing,
    policy_document,
    priority_document,
    service_document,
    token_answer,
    type_documents,
    user_document,
)
from connectors.pagerduty.sandbox_incidents import KEY, Incidents
from connectors.pagerduty.sandbox_webhooks import Webhooks
from connectors.sandbox.kit import Sandbox, View, answer_json
from connectors.sandbox.limits import LimitRule, Usage
from connectors.sandbox.oauth import Grant, OAuthRules, SandboxAccount, TokenState
from connectors.sandbox.store import Store

_ACCOUNTS = (
    SandboxAccount("PSBXAC1", "Whitfield Plumbing"),
    SandboxAccount("PSBXAC2", "Lakeside Dental"),
)
_ANY, _CREATE = {"requests": 1}, {"requests": 1, "creates": 1}
_TOO_MANY = 429

Things = Callable[[SetUp], tuple[Thing, ...]]
Documented = Callable[[Thing, SetUp], Document]


class _Answers:
    """PagerDuty's words for what is wrong."""

    def __init__(self) -> None:
        self.store: Store | None = None

    def unauthorised(self, state: TokenState) -> Response:
        """Answer 401, the same to every token that is not good."""
        del state
        return answer_json(error(2006, "Authentication failed"), 401)

    def throttled(self, usages: Mapping[str, Usage]) -> Response:
        """Answer 429; the headers are put on as on every answer."""
        del usages
        return answer_json(error(2020, "Rate Limit Exceeded"), _TOO_MANY)

    def failed(self, status: int) -> Response:
        """Answer with this status; a 429 then has neither headers nor PagerDuty's body, which happens."""
        if status == _TOO_MANY:
            return make_response("Too Many Requests", _TOO_MANY)
        words = {
            402: error(2014, "Missing Account Ability", "Your plan does not include this"),
            403: error(2010, "Access Denied"),
            404: error(2100, "Not Found"),
            408: error(2016, "The request took too long to process"),
        }
        internal = error(2000, "An internal error has occurred. PagerDuty team has been notified.")
        return answer_json(words.get(status, internal), status)

    def headers(self, usages: Mapping[str, Usage]) -> Mapping[str, str]:
        """Give the headers of the limit that is closest to being reached."""
        kept = (self.store and self.store.kept("settings", "pagerduty")) or {}
        if not usages or kept.get("hides_limits"):
            return {}
        closest = min(usages.values(), key=lambda usage: usage.remaining / max(1, usage.capacity))
        return {
            "ratelimit-limit": str(closest.capacity),
            "ratelimit-remaining": str(closest.remaining),
            "ratelimit-reset": str(max(1, round(closest.resets_in_s))),
        }


def create_sandbox(folder: Path, *, public_url: str) -> Flask:
    """Give PagerDuty in miniature, with its state in this folder."""
    answers = _Answers()
    sandbox = Sandbox(
        name="pagerduty",
        label="PagerDuty",
        folder=folder,
        public_url=public_url,
        key_field=KEY,
        accounts=_ACCOUNTS,
        oauth=OAuthRules(
            authorize_path="/oauth/authorize",
            token_path="/oauth/token",  # noqa: S106 - an address
            scopes=SCOPES,
            drops_unknown_scopes=True,
            code_lifetime_s=30,
            token_lifetime_s=864_000,
            rotates_refresh=True,
            answer=partial(_token_answer, public_url=public_url.rstrip("/")),
            new_token=_token,
        ),
        limits=(LimitRule("requests", 960, 60.0), LimitRule("creates", 480, 60.0)),
        answers=answers,
        views=(
            View("incident", "Incidents", ("title",), ("status", "urgency", "service", "details")),
            View("note", "Notes", ("content",), ("incident",)),
        ),
    )
    answers.store = sandbox.store
    _Routes(sandbox).add()
    return sandbox.app


def _token_answer(grant: Grant, *, public_url: str) -> Document:
    has_id_token = request.form.get("grant_type") == "authorization_code"
    return token_answer(grant, public_url=public_url, has_id_token=has_id_token)


def _token(_account: SandboxAccount, kind: str) -> str:
    """Give tokens of PagerDuty's shape."""
    return f"pdus+_{1 if kind == 'refresh' else 0}XSANDBOX_{uuid4()}"


class _Routes:
    """The API's routes over one store."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self._store = sandbox, sandbox.store
        self._webhooks = Webhooks(sandbox.store)
        self._incidents = Incidents(
            sandbox.store, new_number=sandbox.new_number, told=self._webhooks.tell
        )

    def add(self) -> None:
        """Add every route."""
        on, one = self._on, "/incidents/<record_id>"
        on("/incidents", "GET", self.list_incidents)
        on("/incidents", "POST", self.create_incident, cost=_CREATE)
        on("/incidents/types", "GET", self.list_types)
        on("/incidents/types/<kind>/custom_fields", "GET", self.list_custom)
        on(one, "GET", self.read_incident)
        on(one, "PUT", self.update_incident)
        on(f"{one}/custom_fields/values", "PUT", self.set_custom)
        on(f"{one}/notes", "GET", self.list_notes)
        on(f"{one}/notes", "POST", self.create_note)
        on("/users/me", "GET", self.me)
        for path, things, documented in (
            ("services", lambda set_up: set_up.services, service_document),
            ("escalation_policies", lambda set_up: set_up.policies, policy_document),
            ("priorities", lambda set_up: set_up.priorities, priority_document),
        ):
            on(f"/{path}", "GET", _listing(path, things, documented))
        hooks = "/webhook_subscriptions"
        on(hooks, "GET", self.list_webhooks)
        on(hooks, "POST", self.create_webhook)
        on(f"{hooks}/<name>", "GET", self.read_webhook)
        on(f"{hooks}/<name>", "DELETE", self.delete_webhook)
        on(f"{hooks}/<name>/enable", "POST", self.enable_webhook)
        add = self._sandbox.app.add_url_rule
        for what in ("acknowledge", "resolve", "timeout"):
            act = partial(self.act, what)
            add(f"/_pagerduty/{what}", f"pagerduty_{what}", act, methods=["POST"])
        add("/_pagerduty/rotate", "pagerduty_rotate", self.rotate, methods=["POST"])
        add("/_pagerduty/settings", "pagerduty_settings", self.settings, methods=["POST"])

    def _on(
        self,
        rule: str,
        method: str,
        function: Callable[..., BaseResponse],
        *,
        cost: Mapping[str, int] = _ANY,
    ) -> None:
        @wraps(function)
        def answer(grant: Grant, **captured: str) -> BaseResponse:
            may = {"write"} if method != "GET" else {"read", "write"}
            if not may & set(grant.scopes):
                return answer_json(error(2010, "Access Denied", "Token lacks the scope"), 403)
            try:
                # A refusal takes back everything that the call had done.
                with self._store.transaction():
                    return function(grant, **captured)
            except RefusedError as refused:
                return answer_json(refused.document, refused.status)

        self._sandbox.route(rule, methods=[method], cost=cost)(answer)

    # Incidents and notes.

    def list_incidents(self, grant: Grant) -> BaseResponse:
        """List incidents."""
        asked = {name: request.args.getlist(name) for name in request.args}
        return answer_json(self._incidents.listed(grant.account.id, asked))

    def create_incident(self, grant: Grant) -> BaseResponse:
        """Open an incident."""
        code = self._sandbox.refused_row()
        if code is not None:
            raise RefusedError(400, 2001, "Incident could not be created", code)
        made = self._incidents.create(grant.account.id, _body())
        return answer_json({"incident": made}, 201)

    def read_incident(self, grant: Grant, record_id: str) -> BaseResponse:
        """Give one incident."""
        return answer_json({"incident": self._incidents.read(grant.account.id, record_id)})

    def update_incident(self, grant: Grant, record_id: str) -> BaseResponse:
        """Change one incident."""
        changed = self._incidents.update(grant.account.id, record_id, _body())
        return answer_json({"incident": changed})

    def set_custom(self, grant: Grant, record_id: str) -> BaseResponse:
        """Set an incident's custom fields."""
        values = self._incidents.set_custom(grant.account.id, record_id, _body())
        return answer_json({"custom_fields": values}, 201)

    def list_notes(self, grant: Grant, record_id: str) -> BaseResponse:
        """List an incident's notes."""
        return answer_json({"notes": self._incidents.notes(grant.account.id, record_id)})

    def create_note(self, grant: Grant, record_id: str) -> BaseResponse:
        """Write a note."""
        made = self._incidents.add_note(grant.account.id, record_id, _body())
        return answer_json({"note": made})

    # What the account consists of.

    def list_types(self, grant: Grant) -> BaseResponse:
        """List incident types."""
        del grant
        return answer_json({"incident_types": type_documents()})

    def list_custom(self, grant: Grant, kind: str) -> BaseResponse:
        """List the custom fields of an incident type."""
        del grant
        if kind not in {one["name"] for one in type_documents()}:
            raise missing()
        return answer_json({"fields": custom_field_documents()})

    def me(self, grant: Grant) -> BaseResponse:
        """Tell whose token this is."""
        return answer_json({"user": user_document(grant)})

    # Webhook subscriptions.

    def list_webhooks(self, grant: Grant) -> BaseResponse:
        """List subscriptions."""
        found = self._webhooks.listed(grant.account.id)
        return answer_json(_page("webhook_subscriptions", found))

    def create_webhook(self, grant: Grant) -> BaseResponse:
        """Make a subscription."""
        made = self._webhooks.create(grant.account.id, _body())
        return answer_json({"webhook_subscription": made})

    def read_webhook(self, grant: Grant, name: str) -> BaseResponse:
        """Give one subscription."""
        return answer_json({"webhook_subscription": self._webhooks.read(grant.account.id, name)})

    def delete_webhook(self, grant: Grant, name: str) -> BaseResponse:
        """End a subscription."""
        self._webhooks.delete(grant.account.id, name)
        return make_response("", 204)

    def enable_webhook(self, grant: Grant, name: str) -> BaseResponse:
        """Enable a subscription again."""
        return answer_json({"webhook_subscription": self._webhooks.enable(grant.account.id, name)})

    # What people do in PagerDuty's pages, and switches of this sandbox.

    def act(self, what: str) -> BaseResponse:
        """Acknowledge or resolve an incident."""
        asked = request.get_json(silent=True) or {}
        done = self._incidents.act(str(asked.get("id")), what)
        if done is None:
            return answer_json({"message": "no such open incident"}, 404)
        return answer_json({"id": done.id, "status": done.fields["status"]})

    def rotate(self) -> BaseResponse:
        """Add a signing secret to a subscription."""
        asked = request.get_json(silent=True) or {}
        fresh = self._webhooks.rotate(str(asked.get("id")))
        return answer_json({"secret": fresh}, 200 if fresh else 404)

    def settings(self) -> BaseResponse:
        """Change the sandbox's own settings."""
        asked = request.get_json(silent=True) or {}
        if set(asked) - {"hides_limits"}:
            return answer_json({"message": "known settings: hides_limits"}, 400)
        self._store.keep("settings", "pagerduty", asked)
        return answer_json(asked)


def _listing(path: str, things: Things, documented: Documented) -> Callable[..., BaseResponse]:
    """Give the answer that lists what an account is set up with."""

    def answer(grant: Grant) -> BaseResponse:
        set_up = SET_UPS[grant.account.id]
        return answer_json(_page(path, [documented(thing, set_up) for thing in things(set_up)]))

    answer.__name__ = f"list_{path}"
    return answer


def _page(name: str, found: list[Document]) -> Document:
    limit = request.args.get("limit", 25, type=int)
    offset = request.args.get("offset", 0, type=int)
    return {
        name: found[offset : offset + limit],
        "limit": limit,
        "offset": offset,
        "total": None,
        "more": offset + limit < len(found),
    }


def _body() -> object:
    found: object = request.get_json(silent=True)
    return found
