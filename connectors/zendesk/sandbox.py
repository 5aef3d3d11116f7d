"""Zendesk Support in miniature: OAuth, tickets, users, jobs, searches, limits, webhooks.

Besides what the kit offers (see :mod:`connectors.sandbox`) there are

- ``POST /_zendesk/status``   ``{"id": "12", "status": "solved"}`` an agent changes a ticket's status
- ``POST /_zendesk/delete``   ``{"id": "12"}`` an agent deletes a ticket
- ``POST /_zendesk/forget``   an hour goes by: finished jobs and idempotency keys are forgotten
- ``POST /_zendesk/settings`` ``{"job_s": 0.3, "fail_jobs": 1, "bulk_users": true}``

A job lasts ``job_s`` seconds. The next ``fail_jobs`` jobs fail as a whole. ``bulk_users`` lets the account make
users in bulk.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from flask import Flask, make_response, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.sandbox import clock
from connectors.sandbox.kit import Sandbox, View, answer_json
from connectors.sandbox.limits import LimitRule
from connectors.sandbox.oauth import Grant, OAuthRules, OAuthServer, SandboxAccount
from connectors.sandbox.store import Record
from connectors.zendesk import sandbox_setup as setup
from connectors.zendesk.sandbox_answers import ZendeskAnswers, json_body, need_scope, part_of_body
from connectors.zendesk.sandbox_desk import (
    TICKET,
    USER,
    Desk,
    RefusedError,
    ticket_document,
    user_document,
)
from connectors.zendesk.sandbox_jobs import Jobs
from connectors.zendesk.sandbox_setup import Document
from connectors.zendesk.sandbox_webhooks import Webhooks

_API = "/api/v2"
_KEY_S = 7_200.0
_PAGE = 100
_DEFAULTS: Document = {"job_s": 0.3, "fail_jobs": 0, "bulk_users": False}


def create_sandbox(folder: Path, *, public_url: str) -> Flask:
    """Give Zendesk in miniature, with its state in this folder."""
    sandbox = Sandbox(
        name="zendesk",
        label="Zendesk",
        folder=folder,
        public_url=public_url,
        key_field="external_id",
        accounts=setup.ACCOUNTS,
        oauth=OAuthRules(
            authorize_path="/oauth/authorizations/new",
            token_path="/oauth/tokens",  # noqa: S106 - a path
            scopes=setup.SCOPES,
            token_lifetime_s=172_800,
            rotates_refresh=True,
            refresh_ends_access=True,
            answer=lambda grant: {
                "scope": " ".join(grant.scopes),
                "refresh_token_expires_in": 7_776_000,
            },
            new_token=_token,
        ),
        limits=(
            LimitRule("requests", 200, 60.0),
            LimitRule("update_tickets", 100, 60.0),
            LimitRule("list_tickets", 100, 60.0),
        ),
        answers=ZendeskAnswers(),
        views=(
            View(TICKET, "Tickets", ("subject",), ("priority", "status", "requester_id", "tags")),
            View(USER, "Users", ("name",), ("phone", "email")),
        ),
    )
    webhooks = Webhooks(sandbox.store)
    desk = Desk(sandbox.store, new_number=sandbox.new_number, changed=webhooks.tell)
    jobs = Jobs(
        sandbox.store,
        {
            "create tickets": desk.create_ticket,
            "change tickets": lambda account, row: desk.update_ticket(account, str(row["id"]), row),
            "create users": desk.create_user,
            "change users": lambda account, row: desk.update_user(account, str(row["id"]), row),
        },
        public_url=sandbox.public_url,
    )
    sandbox.app.before_request(jobs.run_due)
    _Routes(sandbox, desk, jobs, webhooks).add()
    return sandbox.app


def _token(_account: SandboxAccount, _kind: str) -> str:
    return secrets.token_hex(32)


class _Routes:
    """The API's routes over one store."""

    def __init__(self, sandbox: Sandbox, desk: Desk, jobs: Jobs, webhooks: Webhooks) -> None:
        self._sandbox, self._store = sandbox, sandbox.store
        self._desk, self._jobs, self._webhooks = desk, jobs, webhooks

    def add(self) -> None:
        """Add every route."""
        on = self._on
        on("/tickets", "GET", self.list_tickets, "tickets:read", limit="list_tickets")
        on("/tickets", "POST", self.create_ticket, "tickets:write")
        on("/tickets/<number>", "PUT", self.update_ticket, "tickets:write", limit="update_tickets")
        on("/users", "POST", self.create_user, "users:write")
        on("/users/<number>", "PUT", self.update_user, "users:write")
        on("/users/search", "GET", self.search_users, "users:read")
        for kind in ("tickets", "users"):
            on(f"/{kind}/show_many", "GET", self._showing(kind), f"{kind}:read")
            on(f"/{kind}/create_many", "POST", self._queuing("create", kind), f"{kind}:write")
            on(f"/{kind}/update_many", "PUT", self._queuing("change", kind), f"{kind}:write")
        on("/search", "GET", self.search, "read")
        on("/job_statuses", "GET", self.list_jobs, "read")
        on("/job_statuses/<job>", "GET", self.show_job, "read")
        on("/ticket_fields", "GET", lambda _: {"ticket_fields": setup.ticket_fields()}, "read")
        on("/user_fields", "GET", lambda _: {"user_fields": setup.user_fields()}, "read")
        on("/groups", "GET", lambda g: {"groups": setup.groups_of(g.account.id)}, "read")
        on("/brands", "GET", lambda g: {"brands": setup.brands_of(g.account.id)}, "read")
        on("/webhooks", "GET", self.list_webhooks, "webhooks:read")
        on("/webhooks", "POST", self.make_webhook, "webhooks:write")
        on("/webhooks/<number>", "GET", self.show_webhook, "webhooks:read")
        on("/webhooks/<number>", "PATCH", self.change_webhook, "webhooks:write")
        on("/webhooks/<number>", "DELETE", self.drop_webhook, "webhooks:write")
        on("/webhooks/<number>/signing_secret", "GET", self.show_secret, "webhooks:read")
        on("/oauth/tokens/current", "DELETE", self.revoke, "")
        for name in ("status", "delete", "forget", "settings"):
            self._sandbox.app.add_url_rule(
                f"/_zendesk/{name}",
                f"zendesk_{name}",
                getattr(self, f"do_{name}"),
                methods=["POST"],
            )

    def _on(
        self,
        rule: str,
        method: str,
        function: Callable[..., Document | BaseResponse],
        scope: str,
        *,
        limit: str | None = None,
    ) -> None:
        @wraps(function)
        def answer(grant: Grant, **captured: str) -> BaseResponse:
            try:
                need_scope(grant, scope)
                # A refusal takes back everything that the call had done.
                with self._store.transaction():
                    made = function(grant, **captured)
            except RefusedError as refused:
                return answer_json(refused.document, refused.status)
            return answer_json(made) if isinstance(made, dict) else made

        cost = {"requests": 1, **({limit: 1} if limit else {})}
        self._sandbox.route(f"{_API}{rule}", methods=[method], cost=cost)(answer)

    # Tickets and users.

    def list_tickets(self, grant: Grant) -> Document:
        """List tickets, here always by external id."""
        key = request.args.get("external_id", "")
        found = self._desk.with_key(grant.account.id, TICKET, [key])
        return {"tickets": [ticket_document(one) for one in found], "count": len(found)}

    def create_ticket(self, grant: Grant) -> BaseResponse:
        """Make a ticket; the same idempotency key again gives the first answer again."""
        asked, key = part_of_body("ticket"), request.headers.get("Idempotency-Key")
        if key is None:
            record = self._desk.create_ticket(grant.account.id, asked)
            return answer_json(_with_audit(record), 201)
        place, digest = f"{grant.account.id}:{key}", hashlib.sha256(request.get_data()).hexdigest()
        known = self._store.kept("idempotency", place)
        if known is not None and known["at"] + _KEY_S > clock.seconds():
            if known["digest"] != digest:
                words = "Request parameters don't match the given idempotency key"
                raise RefusedError(400, {"error": "IdempotentRequestError", "description": words})
            answer = answer_json(known["answer"], 201)
            answer.headers["x-idempotency-lookup"] = "hit"
            return answer
        made = _with_audit(self._desk.create_ticket(grant.account.id, asked))
        document = {"digest": digest, "answer": made, "at": clock.seconds()}
        self._store.keep("idempotency", place, document)
        answer = answer_json(made, 201)
        answer.headers["x-idempotency-lookup"] = "miss"
        return answer

    def update_ticket(self, grant: Grant, number: str) -> Document:
        """Change a ticket."""
        asked = {k: v for k, v in part_of_body("ticket").items() if k != "additional_tags"}
        return _with_audit(self._desk.update_ticket(grant.account.id, number, asked))

    def create_user(self, grant: Grant) -> BaseResponse:
        """Make a user."""
        record = self._desk.create_user(grant.account.id, part_of_body("user"))
        return answer_json({"user": user_document(record)}, 201)

    def update_user(self, grant: Grant, number: str) -> Document:
        """Change a user."""
        record = self._desk.update_user(grant.account.id, number, part_of_body("user"))
        return {"user": user_document(record)}

    def search_users(self, grant: Grant) -> Document:
        """Search users."""
        query = f"type:user {request.args.get('query', '')}"
        found = self._desk.search(grant.account.id, query)[:_PAGE]
        return {"users": [user_document(one) for one in found], "count": len(found)}

    def _showing(self, kind: str) -> Callable[..., Document]:
        name = TICKET if kind == "tickets" else USER

        def show(grant: Grant) -> Document:
            """Show many by their ids, users also by external ids."""
            account, by_key = grant.account.id, request.args.get("external_ids")
            values = (by_key or request.args.get("ids", "")).split(",")
            if len(values) > _PAGE:
                words = "You have requested too many ids"
                raise RefusedError(400, {"error": "TooManyValues", "description": words})
            find = self._desk.with_key if by_key and name == USER else self._desk.records
            with_metrics = "metric_sets" in request.args.get("include", "")
            found = find(account, name, values)
            documents = [
                ticket_document(one, with_metrics=with_metrics)
                if name == TICKET
                else user_document(one)
                for one in found
            ]
            return {kind: documents, "count": len(documents)}

        return show

    def _queuing(self, verb: str, kind: str) -> Callable[..., Document]:
        def queue(grant: Grant) -> Document:
            """Queue a job."""
            chosen = self._settings()
            if (verb, kind) == ("create", "users") and not chosen["bulk_users"]:
                words = "You do not have access to this page. Please contact the account owner."
                raise RefusedError(403, {"error": {"title": "Forbidden", "message": words}})
            rows = json_body().get(kind)
            if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
                raise RefusedError(400, {"error": "InvalidEndpoint", "description": kind})
            # What is not of the documented type is refused at once, and then nothing is queued.
            if any(not isinstance(one.get("subject") or "", str) for one in rows):
                words = "Invalid attribute: subject must be a string"
                raise RefusedError(400, {"error": "InvalidValue", "description": words})
            fails = chosen["fail_jobs"] > 0
            status = self._jobs.queue(
                grant.account.id,
                f"{verb} {kind}",
                rows,
                lasts_s=float(chosen["job_s"]),
                fails=fails,
                refused_row=self._sandbox.refused_row(),
            )
            if fails:
                self._choose({"fail_jobs": chosen["fail_jobs"] - 1})
            return {"job_status": status}

        return queue

    def search(self, grant: Grant) -> Document:
        """Search tickets or users, a hundred a page."""
        found = self._desk.search(grant.account.id, request.args.get("query", ""))
        page = max(1, request.args.get("page", 1, type=int))
        part = found[(page - 1) * _PAGE : page * _PAGE]
        has_more = len(found) > page * _PAGE
        return {
            "results": [
                {**ticket_document(one), "result_type": "ticket"}
                if one.object == TICKET
                else {**user_document(one), "result_type": "user"}
                for one in part
            ],
            "count": len(found),
            "next_page": f"{request.base_url}?page={page + 1}" if has_more else None,
        }

    def list_jobs(self, grant: Grant) -> Document:
        """List the jobs of the last hour."""
        return {"job_statuses": self._jobs.listed(grant.account.id)}

    def show_job(self, grant: Grant, job: str) -> Document:
        """Show a job's status."""
        return {"job_status": self._jobs.status(grant.account.id, job)}

    # Webhooks, and access.

    def list_webhooks(self, grant: Grant) -> Document:
        """List webhooks by name."""
        words = request.args.get("filter[name_contains]", "")
        found = self._webhooks.listed(grant.account.id, words)
        return {"webhooks": found, "meta": {"has_more": False}}

    def make_webhook(self, grant: Grant) -> BaseResponse:
        """Make a webhook."""
        made = self._webhooks.make(grant.account.id, part_of_body("webhook"))
        return answer_json({"webhook": made}, 201)

    def show_webhook(self, grant: Grant, number: str) -> Document:
        """Show a webhook."""
        return {"webhook": self._webhooks.shown(grant.account.id, number)}

    def change_webhook(self, grant: Grant, number: str) -> BaseResponse:
        """Change a webhook."""
        self._webhooks.change(grant.account.id, number, part_of_body("webhook"))
        return make_response("", 204)

    def drop_webhook(self, grant: Grant, number: str) -> BaseResponse:
        """Delete a webhook."""
        self._webhooks.drop(grant.account.id, number)
        return make_response("", 204)

    def show_secret(self, grant: Grant, number: str) -> Document:
        """Show what a webhook signs with."""
        secret = self._webhooks.secret(grant.account.id, number)
        return {"signing_secret": {"algorithm": "SHA256", "secret": secret}}

    def revoke(self, grant: Grant) -> BaseResponse:
        """End the token that asks for it."""
        if isinstance(self._sandbox.access, OAuthServer):
            self._sandbox.access.end(grant)
        return make_response("", 204)

    # What a person does in Zendesk's pages, and what goes wrong.

    def do_status(self) -> BaseResponse:
        """Change a ticket's status as an agent does."""
        asked = request.get_json(silent=True) or {}
        record = self._store.get(TICKET, str(asked.get("id")))
        if record is None:
            return answer_json({"message": "no such ticket"}, 404)
        changes = {"status": str(asked.get("status"))}
        try:
            with self._store.transaction():
                self._desk.update_ticket(record.account, record.id, changes)
        except RefusedError as refused:
            return answer_json(refused.document, refused.status)
        return make_response("", 204)

    def do_delete(self) -> BaseResponse:
        """Delete a ticket as an agent does."""
        asked = request.get_json(silent=True) or {}
        self._store.delete(TICKET, str(asked.get("id")))
        return make_response("", 204)

    def do_forget(self) -> BaseResponse:
        """Forget finished jobs and idempotency keys."""
        for account in setup.ACCOUNTS:
            self._jobs.forget_all(account.id)
        for place in self._store.all_kept("idempotency"):
            self._store.forget("idempotency", place)
        return make_response("", 204)

    def do_settings(self) -> BaseResponse:
        """Change the sandbox's own settings."""
        asked = request.get_json(silent=True) or {}
        if set(asked) - set(_DEFAULTS):
            return answer_json({"message": f"known: {', '.join(_DEFAULTS)}"}, 400)
        self._choose(asked)
        return answer_json(self._settings())

    def _settings(self) -> Document:
        return {**_DEFAULTS, **(self._store.kept("settings", "zendesk") or {})}

    def _choose(self, changes: Mapping[str, Any]) -> None:
        self._store.keep("settings", "zendesk", {**self._settings(), **changes})


def _with_audit(record: Record) -> Document:
    document = ticket_document(record)
    return {"ticket": document, "audit": {"id": int(record.id), "ticket_id": int(record.id)}}
