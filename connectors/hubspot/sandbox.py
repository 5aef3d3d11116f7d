"""HubSpot in miniature: OAuth, properties, records, associations, pipelines, limits, webhooks.

Besides what the kit offers (see :mod:`connectors.sandbox`) there are

- ``POST /_hubspot/close``    ``{"object": "deals", "id": "..."}`` a person closes this record
- ``POST /_hubspot/settings`` ``{"webhook_url": "http://127.0.0.1:...", "names_rows": false}``

``webhook_url`` is told of changed stages, signed as HubSpot signs; it must be on this machine. With
``names_rows`` off, a batch with a bad row is refused whole, without saying which row it is.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path

from flask import Flask, Response, make_response, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.hubspot import sandbox_schema as schema
from connectors.hubspot.sandbox_associations import Associations
from connectors.hubspot.sandbox_documents import (
    SCOPES,
    Document,
    RefusedError,
    account_document,
    batch_document,
    error,
    need_scope,
    pipeline_document,
    result_document,
    row_error,
    schema_document,
    stamp,
    throttle_document,
)
from connectors.hubspot.sandbox_records import Answered, Records
from connectors.hubspot.sandbox_search import search
from connectors.hubspot.sandbox_webhooks import Webhooks
from connectors.sandbox.kit import Sandbox, View, answer_json
from connectors.sandbox.limits import LimitRule, Usage
from connectors.sandbox.oauth import Grant, OAuthRules, SandboxAccount, TokenState

_VERSION = "2026-03"
_ACCOUNTS = (
    SandboxAccount("48291035", "Whitfield Plumbing"),
    SandboxAccount("48291036", "Lakeside Dental"),
)
_READ, _SEARCH = {"requests": 1}, {"search": 1}


class _Answers:
    """HubSpot's words for what is wrong."""

    def unauthorised(self, state: TokenState) -> Response:
        """Answer 401; HubSpot tells an expired token from an unknown one."""
        if state == "expired":
            text = "The OAuth token used to make this call expired."
            return answer_json(error("EXPIRED_AUTHENTICATION", text), 401)
        text = "Authentication credentials not found. This API supports OAuth 2.0 authentication."
        return answer_json(error("INVALID_AUTHENTICATION", text), 401)

    def throttled(self, usages: Mapping[str, Usage]) -> Response:
        """Answer 429 with the name of the limit."""
        is_search = any(usage.is_over and usage.name == "search" for usage in usages.values())
        return _too_many("SECONDLY" if is_search else "TEN_SECONDLY_ROLLING")

    def failed(self, status: int) -> Response:
        """Answer with this status."""
        if status == 429:  # noqa: PLR2004 - the status is the case
            return _too_many("TEN_SECONDLY_ROLLING")
        texts = {
            423: "This resource is locked because of too many writes at once.",
            477: "This account is being migrated to another data hosting location.",
        }
        answer = answer_json(error("INTERNAL_ERROR", texts.get(status, "internal error")), status)
        if status == 477:  # noqa: PLR2004 - the status is the case
            answer.headers["Retry-After"] = "120"
        return answer

    def headers(self, usages: Mapping[str, Usage]) -> Mapping[str, str]:
        """Give the headers of the rolling window; a search has none."""
        usage = usages.get("requests")
        if usage is None:
            return {}
        return {
            "X-HubSpot-RateLimit-Max": str(usage.capacity),
            "X-HubSpot-RateLimit-Remaining": str(usage.remaining),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(usage.period_s * 1000)),
        }


def _too_many(policy: str) -> Response:
    return answer_json(throttle_document(policy), 429)


def create_sandbox(folder: Path, *, public_url: str) -> Flask:
    """Give HubSpot in miniature, with its state in this folder."""
    sandbox = Sandbox(
        name="hubspot",
        label="HubSpot",
        folder=folder,
        public_url=public_url,
        key_field="afterbeep_key",
        accounts=_ACCOUNTS,
        oauth=OAuthRules(
            authorize_path="/oauth/authorize",
            token_path=f"/oauth/{_VERSION}/token",
            revoke_path=f"/oauth/{_VERSION}/token/revoke",
            introspect_path=f"/oauth/{_VERSION}/token/introspect",
            scopes=SCOPES,
            required_scopes=("oauth",),
            token_lifetime_s=1800,
            answer=lambda grant: {"hub_id": int(grant.account.id), "scopes": list(grant.scopes)},
            new_token=_token,
        ),
        limits=(LimitRule("requests", 110, 10.0), LimitRule("search", 5, 1.0)),
        answers=_Answers(),
        views=(
            View("contacts", "Contacts", ("firstname", "lastname"), ("phone", "email", "company")),
            View("companies", "Companies", ("name",), ("domain", "phone")),
            View("deals", "Deals", ("dealname",), ("dealstage", "amount")),
            View("tickets", "Tickets", ("subject",), ("hs_ticket_priority", "hs_pipeline_stage")),
            View("tasks", "Tasks", ("hs_task_subject",), ("hs_task_status", "hs_timestamp")),
            View("notes", "Notes", ("hs_note_body",), ("hs_timestamp",)),
        ),
    )
    webhooks = Webhooks(sandbox.store)
    records = Records(sandbox.store, changed=webhooks.tell)
    _Routes(sandbox, records, Associations(sandbox.store), webhooks).add()
    return sandbox.app


def _token(_account: SandboxAccount, kind: str) -> str:
    """Give tokens of HubSpot's length: long ones for access, short ones to refresh."""
    return f"na1-{uuid.uuid4()}" if kind == "refresh" else "CN" + secrets.token_urlsafe(150)


class _Routes:
    """The API's routes over one store."""

    def __init__(
        self, sandbox: Sandbox, records: Records, associations: Associations, webhooks: Webhooks
    ) -> None:
        self._sandbox, self._store = sandbox, sandbox.store
        self._records, self._associations, self._webhooks = records, associations, webhooks

    def add(self) -> None:
        """Add every route."""
        crm, props = f"/crm/objects/{_VERSION}/<kind>", f"/crm/properties/{_VERSION}/<kind>"
        pairs = f"/crm/associations/{_VERSION}/<kind>/<other>/batch"
        schemas = f"/crm-object-schemas/{_VERSION}/schemas"
        on = self._on
        for verb in ("upsert", "update", "create"):
            on(f"{crm}/batch/{verb}", "POST", self._writing(verb))
        on(f"{crm}/batch/read", "POST", self.read_many)
        on(f"{crm}/batch/archive", "POST", self.archive_many)
        on(f"{crm}/search", "POST", self.search, cost=_SEARCH)
        on(f"{crm}/<record_id>", "GET", self.read_one)
        on(props, "GET", self.list_properties)
        on(props, "POST", self.create_property)
        on(f"{props}/groups", "GET", self.list_groups)
        on(f"{props}/groups", "POST", self.create_group)
        on(f"{props}/<name>", "GET", self.one_property)
        on(f"{props}/<name>", "DELETE", self.drop_property)
        on(f"{pairs}/associate/default", "POST", self.associate)
        on(f"{pairs}/read", "POST", self.read_associations)
        on(f"/crm/pipelines/{_VERSION}/<kind>", "GET", self.pipelines)
        on(schemas, "GET", self.list_schemas)
        on(f"{schemas}/<kind>", "GET", self.one_schema)
        on(f"/account-info/{_VERSION}/details", "GET", self.details)
        self._sandbox.app.add_url_rule(
            "/_hubspot/close", "hubspot_close", self.close, methods=["POST"]
        )
        self._sandbox.app.add_url_rule(
            "/_hubspot/settings", "hubspot_settings", self.settings, methods=["POST"]
        )

    def _on(
        self,
        rule: str,
        method: str,
        function: Callable[..., BaseResponse],
        *,
        cost: Mapping[str, int] = _READ,
    ) -> None:
        @wraps(function)
        def answer(grant: Grant, **captured: str) -> BaseResponse:
            if "kind" in captured:
                captured["kind"] = schema.NAMES.get(captured["kind"], captured["kind"])
            try:
                # A refusal takes back everything that the call had done.
                with self._store.transaction():
                    return function(grant, **captured)
            except RefusedError as refused:
                return answer_json(refused.document, refused.status)

        self._sandbox.route(rule, methods=[method], cost=cost)(answer)

    # Records.

    def _writing(self, verb: str) -> Callable[..., BaseResponse]:
        act: Callable[[str, str, Sequence[Document], str | None], Answered] = getattr(
            self._records, verb
        )

        def write(grant: Grant, kind: str) -> BaseResponse:
            need_scope(grant.scopes, kind, "write")
            inputs = _inputs()
            if not self._webhooks.setting("names_rows", default=True):
                inputs = [
                    {k: v for k, v in one.items() if k != "objectWriteTraceId"} for one in inputs
                ]
            answered = act(grant.account.id, kind, inputs, self._sandbox.refused_row())
            return answer_json(answered.document, answered.status)

        return write

    def read_many(self, grant: Grant, kind: str) -> BaseResponse:
        """Read by ids, or by values of a unique property."""
        need_scope(grant.scopes, kind, "read")
        asked = _body()
        ids = [str(one.get("id")) for one in _inputs()]
        found, missing = self._records.read(grant.account.id, kind, ids, by=asked.get("idProperty"))
        names = asked.get("properties") or []
        text = f"Could not get some {schema.SINGULAR[kind].upper()} objects."
        errors = [row_error("OBJECT_NOT_FOUND", text, {"ids": missing})] if missing else []
        results = [result_document(record, names) for record in found[::-1]]
        document = batch_document(results, errors, started=stamp())
        return answer_json(document, 207 if missing else 200)

    def read_one(self, grant: Grant, kind: str, record_id: str) -> BaseResponse:
        """Read one record."""
        need_scope(grant.scopes, kind, "read")
        record = self._store.get(kind, record_id, account=grant.account.id)
        if record is None:
            raise RefusedError(404, error("OBJECT_NOT_FOUND", "resource not found"))
        names = request.args.getlist("properties") or list(record.fields)
        return answer_json(result_document(record, names))

    def archive_many(self, grant: Grant, kind: str) -> BaseResponse:
        """Delete records."""
        need_scope(grant.scopes, kind, "write")
        self._records.archive(grant.account.id, kind, [str(one.get("id")) for one in _inputs()])
        return make_response("", 204)

    def search(self, grant: Grant, kind: str) -> BaseResponse:
        """Search records."""
        need_scope(grant.scopes, kind, "read")
        asked, account = _body(), grant.account.id
        known = self._records.properties(account, kind)
        found, total, after = search(self._store, account, kind, asked=asked, properties=known)
        names = asked.get("properties") or []
        document: Document = {
            "total": total,
            "results": [result_document(record, names) for record in found],
        }
        if after:
            document["paging"] = {"next": {"after": after}}
        return answer_json(document)

    # Associations.

    def associate(self, grant: Grant, kind: str, other: str) -> BaseResponse:
        """Make default associations."""
        need_scope(grant.scopes, kind, "write")
        need_scope(grant.scopes, other, "write")
        named = self._webhooks.setting("names_rows", default=True)
        act = self._associations.make
        return _served(act(grant.account.id, kind, other, _inputs(), names_rows=named))

    def read_associations(self, grant: Grant, kind: str, other: str) -> BaseResponse:
        """List what records are associated with."""
        need_scope(grant.scopes, kind, "read")
        return _served(self._associations.read(grant.account.id, kind, other, _inputs()))

    # Properties, pipelines, schemas, the account.

    def list_properties(self, grant: Grant, kind: str) -> BaseResponse:
        """List an object's properties."""
        need_scope(grant.scopes, kind, "read", area="schemas")
        found = self._records.properties(grant.account.id, kind)
        return answer_json({"results": [prop.document() for prop in found.values()]})

    def one_property(self, grant: Grant, kind: str, name: str) -> BaseResponse:
        """Give one property."""
        need_scope(grant.scopes, kind, "read", area="schemas")
        found = self._records.properties(grant.account.id, kind).get(name)
        if found is None:
            text = f"Property {name} does not exist"
            raise RefusedError(404, error("OBJECT_NOT_FOUND", text))
        return answer_json(found.document())

    def create_property(self, grant: Grant, kind: str) -> BaseResponse:
        """Create a property."""
        need_scope(grant.scopes, kind, "write", area="schemas")
        asked, account = _body(), grant.account.id
        try:
            made = schema.custom_property(asked)
        except ValueError as err:
            raise RefusedError(400, error("VALIDATION_ERROR", str(err))) from err
        if made.name in self._records.properties(account, kind):
            text = f'A property named "{made.name}" already exists.'
            raise RefusedError(409, error("CONFLICT", text))
        if not self._store.kept(f"group:{account}:{kind}", made.group):
            text = f"Property group {made.group} does not exist"
            raise RefusedError(400, error("VALIDATION_ERROR", text))
        self._store.keep(f"property:{account}:{kind}", made.name, asked)
        if made.is_unique:
            self._store.index(made.name)
        return answer_json(made.document(), 201)

    def drop_property(self, grant: Grant, kind: str, name: str) -> BaseResponse:
        """Archive a property."""
        need_scope(grant.scopes, kind, "write", area="schemas")
        self._store.forget(f"property:{grant.account.id}:{kind}", name)
        return make_response("", 204)

    def list_groups(self, grant: Grant, kind: str) -> BaseResponse:
        """List an object's property groups."""
        need_scope(grant.scopes, kind, "read", area="schemas")
        kept = self._store.all_kept(f"group:{grant.account.id}:{kind}")
        return answer_json({"results": list(kept.values())})

    def create_group(self, grant: Grant, kind: str) -> BaseResponse:
        """Create a property group."""
        need_scope(grant.scopes, kind, "write", area="schemas")
        asked, place = _body(), f"group:{grant.account.id}:{kind}"
        name = str(asked.get("name", ""))
        if self._store.kept(place, name):
            raise RefusedError(409, error("CONFLICT", f'A group named "{name}" already exists.'))
        document = {"archived": False, "displayOrder": -1, **asked}
        self._store.keep(place, name, document)
        return answer_json(document, 201)

    def pipelines(self, grant: Grant, kind: str) -> BaseResponse:
        """List an object's pipelines with their stages."""
        need_scope(grant.scopes, kind, "read")
        found = [pipeline_document(kind)] if kind in schema.PIPELINES else []
        return answer_json({"results": found})

    def list_schemas(self, grant: Grant) -> BaseResponse:
        """List custom objects."""
        need_scope(grant.scopes, schema.CUSTOM_OBJECT, "read", area="schemas")
        return answer_json({"results": [schema_document()]})

    def one_schema(self, grant: Grant, kind: str) -> BaseResponse:
        """Give one custom object."""
        need_scope(grant.scopes, schema.CUSTOM_OBJECT, "read", area="schemas")
        if kind != schema.CUSTOM_OBJECT:
            raise RefusedError(
                404, error("OBJECT_NOT_FOUND", f"Unable to infer object type {kind}")
            )
        return answer_json(schema_document())

    def details(self, grant: Grant) -> BaseResponse:
        """Tell which account a token belongs to."""
        return answer_json(account_document(grant.account.id))

    # What a person does in HubSpot's pages.

    def close(self) -> BaseResponse:
        """Close a record as a person does."""
        asked = request.get_json(silent=True) or {}
        kind = str(asked.get("object"))
        record = self._store.get(kind, str(asked.get("id")))
        stage = {"deals": "closedwon", "tickets": "4", "tasks": "COMPLETED"}.get(kind)
        if record is None or stage is None:
            return answer_json({"message": "no such deal, ticket or task"}, 404)
        name, _ = schema.STAGE_PROPERTIES[kind]
        changed = {"id": record.id, "properties": {name: str(asked.get("stage") or stage)}}
        with self._store.transaction():
            answered = self._records.update(record.account, kind, [changed])
        return answer_json(answered.document, answered.status)

    def settings(self) -> BaseResponse:
        """Change the sandbox's own settings."""
        problem = self._webhooks.configure(request.get_json(silent=True) or {})
        return answer_json({"message": problem} if problem else {}, 400 if problem else 200)


def _served(answered: Answered) -> BaseResponse:
    return answer_json(answered.document, answered.status)


def _body() -> Document:
    found = request.get_json(silent=True)
    if not isinstance(found, dict):
        raise RefusedError(400, error("VALIDATION_ERROR", "Invalid input JSON"))
    return found


def _inputs() -> list[Document]:
    found = _body().get("inputs")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise RefusedError(400, error("VALIDATION_ERROR", "Invalid input JSON: inputs"))
    return found
