"""Salesforce in miniature: OAuth, describe, sObject Collections, SOQL, Tooling fields, limits.

Written from the REST API guide and the CC0 Postman collection, not from the connector.
Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/ (2026-11-22)
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, make_response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.salesforce import sandbox_batch as batch
from connectors.salesforce.sandbox_answers import answering, errors, object_body, version
from connectors.salesforce.sandbox_bulk import BulkRoutes
from connectors.salesforce.sandbox_objects import OBJECTS
from connectors.salesforce.sandbox_org import Org, Refused, RowError, make_id, user_id
from connectors.salesforce.sandbox_soql import MalformedQuery, Query, parse
from connectors.sandbox import clock
from connectors.sandbox.kit import Sandbox, View, answer_json
from connectors.sandbox.limits import LimitRule, Usage
from connectors.sandbox.oauth import Grant, OAuthRules, SandboxAccount, TokenState

#: An org of Enterprise Edition with one licence has 101,000 calls in 24 hours; we start a little below.
# Source (2026-11-22):
# https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm
_DAY_CALLS = 100_000
_PAGE_ROWS = 2_000
_MAX_URI_BYTES = 16_384
_KEY_FIELD = "Afterbeep_Key__c"
_DATA = "/services/data/<version>"
#: In this org the user who connects may not change the set-up.
_LOCKED = "00Dbm00000Locked3"

_ACCOUNTS = (
    SandboxAccount(make_id("00D", 1), "Whitfield Plumbing & Heating"),
    SandboxAccount(make_id("00D", 2), "Harbour Dental Care", user="Noa Lindqvist"),
    SandboxAccount(_LOCKED, "Oakline Property (user without set-up rights)", user="Sam Okafor"),
)


class _Answers:
    """Salesforce's words: errors are a list of objects."""

    def unauthorised(self, state: TokenState) -> Response:
        del state
        return errors(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def throttled(self, usages: Mapping[str, Usage]) -> Response:
        del usages
        # It is 403, not 429, and says nothing of when.
        # Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm (2026-11-22)
        return errors(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")

    def failed(self, status: int) -> Response:
        if status == 429:  # noqa: PLR2004 - the status that means a limit everywhere else
            return self.throttled({})
        code = "SERVER_UNAVAILABLE" if status == 503 else "UNKNOWN_EXCEPTION"  # noqa: PLR2004
        return errors(status, code, "An unexpected error occurred. Please try again later.")

    def headers(self, usages: Mapping[str, Usage]) -> Mapping[str, str]:
        usage = usages.get("requests")
        if usage is None:
            return {}
        return {"Sforce-Limit-Info": f"api-usage={usage.used}/{usage.capacity}"}


def create_sandbox(folder: Path, *, public_url: str) -> Flask:
    """Give the application of a Salesforce in miniature, with its state in *folder*."""
    sandbox = Sandbox(
        name="salesforce",
        label="Salesforce",
        folder=folder,
        public_url=public_url,
        key_field=_KEY_FIELD,
        accounts=_ACCOUNTS,
        oauth=OAuthRules(
            authorize_path="/services/oauth2/authorize",
            token_path="/services/oauth2/token",  # noqa: S106 - a path
            revoke_path="/services/oauth2/revoke",
            introspect_path="/services/oauth2/introspect",
            scopes=("api", "refresh_token", "offline_access", "id", "openid", "web", "full"),
            token_lifetime_s=7_200.0,
            # The token answer has no expires_in, and a refresh repeats no refresh token.
            # Source (2026-11-22):
            # https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_web_server_flow.htm
            tells_lifetime=False,
            repeats_refresh=False,
            answer=lambda grant: _token_answer(grant, public_url),
            new_token=_new_token,
        ),
        limits=(LimitRule("requests", _DAY_CALLS, 86_400.0),),
        answers=_Answers(),
        views=(
            View("Lead", "Leads", ("FirstName", "LastName"), ("Company", "Phone", "Description")),
            View("Contact", "Contacts", ("FirstName", "LastName"), ("Phone", "Email")),
            View("Task", "Tasks", ("Subject",), ("ActivityDate", "Priority", "Description")),
            View("Case", "Cases", ("Subject",), ("CaseNumber", "Priority", "Description")),
            View("Account", "Accounts", ("Name",), ("Phone",)),
            View("Opportunity", "Opportunities", ("Name",), ("StageName", "Amount")),
        ),
        hidden=[one.name for one in OBJECTS.values() if one.is_setup],
    )
    for field in ("Phone", "Email", "Field", "AssigneeId"):
        sandbox.store.index(field)
    _Routes(sandbox).add()
    return sandbox.app


class _Routes:
    """The REST API of this sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add(self) -> None:
        """Add all routes."""
        route = self._sandbox.route
        bulk = BulkRoutes(self._sandbox)
        bulk.add()
        collections = f"{_DATA}/composite/sobjects"
        for rule, method, function in (
            ("/services/oauth2/userinfo", "GET", self._user),
            (f"{_DATA}/limits", "GET", self._limits),
            (f"{_DATA}/sobjects", "GET", self._objects),
            (f"{_DATA}/sobjects/<name>/describe", "GET", self._describe),
            (f"{_DATA}/sobjects/<name>", "POST", self._create),
            (f"{_DATA}/sobjects/<name>/<record_id>", "GET", self._read),
            (f"{_DATA}/sobjects/<name>/<record_id>", "PATCH", self._change),
            (f"{_DATA}/sobjects/<name>/<record_id>", "DELETE", self._remove),
            (f"{_DATA}/composite", "POST", self._composite),
            (collections, "POST", self._create_many),
            (collections, "PATCH", self._update_many),
            (f"{collections}/<name>/<external>", "PATCH", self._upsert_many),
            (f"{_DATA}/query", "GET", self._query),
            (f"{_DATA}/query/<cursor>", "GET", self._query_more),
            (f"{_DATA}/tooling/sobjects/CustomField", "POST", self._create_field),
        ):
            # The SDK writes "query/" and "sobjects" alike; the vendor takes both.
            for spelling in (rule, f"{rule}/"):
                route(spelling, methods=[method])(answering(bulk.current(function)))
        app = self._sandbox.app
        app.add_url_rule("/services/data", "versions", self._versions)
        app.add_url_rule("/lightning/r/<name>/<record_id>/view", "lightning", _lightning)
        app.add_url_rule(
            "/_sandbox/leads/<record_id>/convert", "convert", self._convert, methods=["POST"]
        )

    def _org(self, grant: Grant) -> Org:
        return Org(self._sandbox.store, grant.account)

    # What the org is.

    def _versions(self) -> Response:
        return answer_json(
            [{"label": "Winter '25", "url": "/services/data/v62.0", "version": "62.0"}]
        )

    def _user(self, grant: Grant) -> Response:
        account = grant.account
        return answer_json(
            {
                "sub": f"{self._sandbox.public_url}/id/{account.id}/{user_id(account)}",
                "user_id": user_id(account),
                "organization_id": account.id,
                "preferred_username": account.email,
                "name": account.user,
                "email": account.email,
            }
        )

    def _limits(self, grant: Grant) -> Response:
        usage = self._sandbox.limits.usage(grant.account.id, "requests")
        return answer_json(
            {"DailyApiRequests": {"Max": usage.capacity, "Remaining": usage.remaining}}
        )

    def _objects(self, grant: Grant) -> Response:
        del grant
        found = [one.described() for one in OBJECTS.values()]
        return answer_json({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": found})

    def _describe(self, grant: Grant, name: str) -> Response:
        org = self._org(grant)
        found = org.object(name)
        fields = [field.described() for field in org.fields(name).values()]
        return answer_json({**found.described(), "fields": fields})

    # One record.

    def _create(self, grant: Grant, name: str) -> Response:
        if name == "PermissionSet":
            _refuse_locked(grant)
        with self._sandbox.store.transaction():
            made = self._org(grant).insert(name, object_body())
        if isinstance(made, RowError):
            return errors(400, made.code, made.message, made.fields)
        return answer_json({"id": made, "success": True, "errors": []}, 201)

    def _read(self, grant: Grant, name: str, record_id: str) -> Response:
        org = self._org(grant)
        record = org.get(name, record_id)
        if record is None:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        return answer_json(_shown(name, org.row(record), tuple(org.fields(name))))

    def _change(self, grant: Grant, name: str, record_id: str) -> Response:
        org = self._org(grant)
        with self._sandbox.store.transaction():
            record = org.get(name, record_id)
            if record is None:
                raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
            changed = org.update(record, object_body())
        if isinstance(changed, RowError):
            return errors(400, changed.code, changed.message, changed.fields)
        return make_response("", 204)

    def _remove(self, grant: Grant, name: str, record_id: str) -> Response:
        record = self._org(grant).get(name, record_id)
        if record is None:
            raise Refused(404, "ENTITY_IS_DELETED", "entity is deleted")
        self._sandbox.store.delete(name, record.id)
        return make_response("", 204)

    # Collections: up to 200 records, answered in the order of the request.

    def _create_many(self, grant: Grant) -> Response:
        rows = batch.records(object_body())
        if any(batch.type_of(row) in batch.SETUP_OBJECTS for row in rows):
            _refuse_locked(grant)
        return self._each(rows, batch.creating(self._org(grant)))

    def _update_many(self, grant: Grant) -> Response:
        return self._each(batch.records(object_body()), batch.updating(self._org(grant)))

    def _upsert_many(self, grant: Grant, name: str, external: str) -> Response:
        rows = batch.records(object_body())
        return self._each(rows, batch.upserting(self._org(grant), name, external, rows))

    def _composite(self, grant: Grant) -> Response:
        """Carry out changes of collections one after the other; each is answered for itself.

        Source: https://developer.salesforce.com/docs/atlas.en-us.262.0.api_rest.meta/api_rest/
        resources_composite_composite_post.htm (2026-11-22)
        """
        answers = []
        for part in batch.parts(object_body()):
            try:
                name, external = part.upserts or ("", "")
                rows = batch.records(part.body)
                org = self._org(grant)
                write = (
                    batch.upserting(org, name, external, rows)
                    if part.upserts
                    else batch.updating(org)
                )
                said, status = self._written(rows, write, part.body), 200
            except Refused as err:
                said, status = [{"message": err.message, "errorCode": err.code}], err.status
            answers.append(
                {
                    "body": said,
                    "httpHeaders": {},
                    "httpStatusCode": status,
                    "referenceId": part.reference,
                }
            )
        return answer_json({"compositeResponse": answers})

    def _each(self, rows: Sequence[batch.Row], write: batch.WriteRow) -> Response:
        return answer_json(self._written(rows, write, object_body()))

    def _written(
        self, rows: Sequence[batch.Row], write: batch.WriteRow, body: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        return batch.write_each(
            self._sandbox.store,
            rows,
            write,
            is_all_or_none=bool(body.get("allOrNone")),
            refused=self._sandbox.refused_row(),
        )

    # Queries.

    def _query(self, grant: Grant) -> Response:
        if len(request.full_path) > _MAX_URI_BYTES:
            raise Refused(414, "URI_TOO_LONG", "URI Too Long")
        text = request.args.get("q", "")
        return self._page(grant, text, 0)

    def _query_more(self, grant: Grant, cursor: str) -> Response:
        name, _, start = cursor.rpartition("-")
        kept = self._sandbox.store.kept("cursor", name)
        if kept is None:
            raise Refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(grant, kept["query"], int(start), cursor=name)

    def _page(self, grant: Grant, text: str, start: int, *, cursor: str | None = None) -> Response:
        try:
            query = parse(text)
        except MalformedQuery as err:
            raise Refused(400, "MALFORMED_QUERY", str(err)) from err
        rows = self._rows(grant, query)
        names = query.fields
        shown = [_shown(query.object, row, names) for row in rows[start : start + _PAGE_ROWS]]
        answer: dict[str, Any] = {"totalSize": len(rows), "done": True, "records": shown}
        if start + _PAGE_ROWS < len(rows):
            cursor = cursor or f"01g{secrets.token_hex(8)}"
            self._sandbox.store.keep("cursor", cursor, {"query": text})
            answer["done"] = False
            answer["nextRecordsUrl"] = (
                f"/services/data/{version()}/query/{cursor}-{start + _PAGE_ROWS}"
            )
        return answer_json(answer)

    def _rows(self, grant: Grant, query: Query) -> list[dict[str, Any]]:
        if query.object == "Organization":
            return [{"Id": grant.account.id, "Name": grant.account.name, "IsSandbox": False}]
        if query.object not in OBJECTS:
            message = f"sObject type '{query.object}' is not supported."
            raise Refused(400, "INVALID_TYPE", message)
        org = self._org(grant)
        known = org.fields(query.object)
        for name in (*query.fields, *query.used):
            if name not in known:
                message = f"No such column '{name}' on entity '{query.object}'."
                raise Refused(400, "INVALID_FIELD", message)
        store, account = self._sandbox.store, grant.account.id
        indexed = next((n for n in query.equals if n in {"Id", _KEY_FIELD, "Phone", "Email"}), None)
        if indexed is None:
            found = store.scan(account, query.object)
        else:
            column = "id" if indexed == "Id" else indexed
            found = store.find_any(account, query.object, column, query.equals[indexed])
        rows = [row for row in map(org.row, found) if query.test(row)]
        if query.order_by:
            by = query.order_by
            rows.sort(key=lambda row: str(row.get(by) or ""), reverse=query.is_descending)
        return rows[: query.limit]

    # Set-up.

    def _create_field(self, grant: Grant) -> Response:
        _refuse_locked(grant)
        body = object_body()
        with self._sandbox.store.transaction():
            made = self._org(grant).create_field(
                str(body.get("FullName", "")), body.get("Metadata") or {}
            )
        answer = {"id": made, "success": True, "errors": [], "warnings": [], "infos": []}
        return answer_json(answer, 201)

    def _convert(self, record_id: str) -> Response:
        """Do what a salesperson does with a lead that became a customer."""
        record = self._sandbox.store.get("Lead", record_id)
        if record is None:
            return errors(404, "NOT_FOUND", "There is no such lead.")
        today = time.strftime("%Y-%m-%d", time.gmtime(clock.seconds()))
        self._sandbox.store.update(record, {"IsConverted": True, "ConvertedDate": today})
        return make_response("", 204)


def _refuse_locked(grant: Grant) -> None:
    if grant.account.id == _LOCKED:
        message = "insufficient access rights on cross-reference id"
        raise Refused(403, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", message)


def _shown(name: str, row: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    url = f"/services/data/{version()}/sobjects/{name}/{row['Id']}"
    return {"attributes": {"type": name, "url": url}, **{f: row.get(f) for f in fields}}


def _lightning(name: str, record_id: str) -> BaseResponse:
    return redirect(f"/records/{name}/{record_id}")


def _token_answer(grant: Grant, public_url: str) -> dict[str, Any]:
    return {
        "instance_url": public_url,
        "id": f"{public_url}/id/{grant.account.id}/{user_id(grant.account)}",
        "issued_at": str(int(clock.seconds() * 1_000)),
        "signature": base64.b64encode(secrets.token_bytes(32)).decode(),
        "scope": " ".join(grant.scopes),
    }


def _new_token(account: SandboxAccount, kind: str) -> str:
    if kind == "refresh":
        return f"5Aep861{secrets.token_urlsafe(52)}"
    return f"{account.id[:15]}!AQ{secrets.token_urlsafe(66)}"
