"""The sandbox's routes: records in both versions, fields, search, the user, webhooks, and what a person does."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import make_response, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.pipedrive import sandbox_schema as schema
from connectors.pipedrive.sandbox_paging import (
    MOST,
    MOST_SEARCHED,
    cursor_of,
    passes,
    start_of,
)
from connectors.pipedrive.sandbox_records import Records, RefusedError, invalid
from connectors.pipedrive.sandbox_schema import Document
from connectors.pipedrive.sandbox_search import FIELDS, Index, item_document
from connectors.pipedrive.sandbox_webhooks import Webhooks
from connectors.sandbox.kit import Sandbox, answer_json
from connectors.sandbox.oauth import Grant
from connectors.sandbox.store import Record

_ROOTS = {
    "Person": "/api/v2/persons",
    "Organization": "/api/v2/organizations",
    "Deal": "/api/v2/deals",
    "Activity": "/api/v2/activities",
    "Lead": "/api/v1/leads",
    "Note": "/api/v1/notes",
}
_FULL = {
    "Person": ("contacts:full",),
    "Organization": ("contacts:full",),
    "Deal": ("deals:full",),
    "Activity": ("activities:full",),
    "Lead": ("leads:full",),
    "Note": ("deals:full", "contacts:full"),
}
_FIELD_SCOPES = {
    "person": ("contact-fields:full", "admin"),
    "organization": ("contact-fields:full", "admin"),
    "deal": ("deal-fields:full", "admin"),
}
_READERS = ("contacts:read", "contacts:full", "deals:read", "deals:full", "admin")


class Routes:
    """The API's routes over one store."""

    def __init__(
        self, sandbox: Sandbox, records: Records, index: Index, webhooks: Webhooks
    ) -> None:
        """Take what the routes work on."""
        self._sandbox, self._store = sandbox, sandbox.store
        self._records, self._index, self._webhooks = records, index, webhooks

    def add(self) -> None:
        """Add every route, with what it costs."""
        on = self._on
        for name, root in _ROOTS.items():
            twice = 2 if root.startswith("/api/v1") else 1
            read = (*_FULL[name], *(scope.replace("full", "read") for scope in _FULL[name]))
            update = "PUT" if name == "Note" else "PATCH"
            on(root, "GET", self._listing(name), 10 * twice, read)
            on(root, "POST", self._creating(name), 5 * twice, _FULL[name])
            on(f"{root}/<record_id>", "GET", self._reading(name), twice, read)
            on(f"{root}/<record_id>", update, self._updating(name), 5 * twice, _FULL[name])
            on(f"{root}/<record_id>", "DELETE", self._deleting(name), 3 * twice, _FULL[name])
        on(
            "/api/v1/leads/archived",
            "GET",
            self._listing("Lead", archived=True),
            40,
            ("leads:full",),
        )
        for owner, scopes in _FIELD_SCOPES.items():
            on(f"/api/v2/{owner}Fields", "GET", self._fields(owner), 10, _READERS)
            on(f"/api/v2/{owner}Fields", "POST", self._new_field(owner), 5, scopes)
        on("/api/v2/itemSearch", "GET", self.search, 20, ("search:read",), is_search=True)
        on("/api/v2/pipelines", "GET", _constant(schema.PIPELINES), 5, ("deals:full", "deals:read"))
        on("/api/v2/stages", "GET", _constant(schema.STAGES), 5, ("deals:full", "deals:read"))
        on("/api/v1/leadLabels", "GET", _constant(schema.LEAD_LABELS), 10, ("leads:full",))
        on(
            "/api/v1/activityTypes",
            "GET",
            _constant(schema.ACTIVITY_TYPES),
            20,
            ("activities:full",),
        )
        on("/api/v1/users/me", "GET", self.me, 2, ("base",))
        on(
            "/api/v1/webhooks",
            "GET",
            self.webhooks,
            10,
            ("webhooks:full", "webhooks:read", "admin"),
        )
        on("/api/v1/webhooks", "POST", self.add_webhook, 10, ("webhooks:full", "admin"))
        on("/api/v1/webhooks/<name>", "DELETE", self.drop_webhook, 6, ("webhooks:full", "admin"))
        add = self._sandbox.app.add_url_rule
        add("/_pipedrive/convert", "pipedrive_convert", self.convert, methods=["POST"])
        add("/_pipedrive/settings", "pipedrive_settings", self.settings, methods=["POST"])

    def _on(
        self,
        rule: str,
        method: str,
        function: Callable[..., BaseResponse],
        tokens: int,
        scopes: tuple[str, ...],
        *,
        is_search: bool = False,
    ) -> None:
        @wraps(function)
        def answer(grant: Grant, **captured: str) -> BaseResponse:
            if not set(scopes) & set(grant.scopes):
                text = "Scope and URL mismatch"
                return answer_json({"success": False, "error": text, "errorCode": 403}, 403)
            try:
                # A refusal takes back everything that the call had done.
                with self._store.transaction():
                    return function(grant, **captured)
            except RefusedError as refused:
                return answer_json(refused.document, refused.status)

        cost = {"tokens": tokens, "requests": 1, **({"search": 1} if is_search else {})}
        self._sandbox.route(rule, methods=[method], cost=cost)(answer)

    # Records.

    def _listing(self, object_name: str, *, archived: bool = False) -> Callable[..., BaseResponse]:
        def many(grant: Grant) -> BaseResponse:
            found = [one for one in self._store.scan(grant.account.id, object_name) if passes(one)]
            if object_name in {"Lead", "Deal"}:
                found = [one for one in found if bool(one.fields.get("is_archived")) is archived]
            return self._page(object_name, found)

        many.__name__ = f"list_{'archived_' if archived else ''}{object_name}"
        return many

    def _page(self, object_name: str, found: list[Record]) -> BaseResponse:
        args, is_v1 = request.args, object_name in schema.V1_OBJECTS
        limit = min(int(args.get("limit") or 100), MOST)
        by, _, way = (args.get("sort") or "").partition(" ")
        by, way = (
            (by, way) if is_v1 else (args.get("sort_by", "id"), args.get("sort_direction", "asc"))
        )
        order = {"add_time": "created_at", "update_time": "updated_at"}.get(by)
        if order:
            found.sort(key=lambda one: float(getattr(one, order)))
        if way.lower() == "desc":
            found.reverse()
        start = int(args.get("start") or 0) if is_v1 else start_of(args.get("cursor"))
        page, is_more = found[start : start + limit], len(found) > start + limit
        rows = [
            self._with_source(
                one, self._records.document(one, customs_wanted=args.get("custom_fields"))
            )
            for one in page
        ]
        more: Document = {"next_cursor": cursor_of(start + limit) if is_more else None}
        if is_v1:
            paging = {"start": start, "limit": limit, "more_items_in_collection": is_more}
            more = {"pagination": {**paging, **({"next_start": start + limit} if is_more else {})}}
        return answer_json({"success": True, "data": rows, "additional_data": more})

    def _with_source(self, record: Record, document: Document) -> Document:
        if "source_lead_id" not in (request.args.get("include_fields") or ""):
            document.pop("source_lead_id", None)
        elif record.object == "Deal":
            document.setdefault("source_lead_id", None)
        return document

    def _reading(self, object_name: str) -> Callable[..., BaseResponse]:
        def one(grant: Grant, record_id: str) -> BaseResponse:
            record = self._records.get(grant.account.id, object_name, record_id)
            return _fine(self._with_source(record, self._records.document(record)))

        one.__name__ = f"read_{object_name}"
        return one

    def _creating(self, object_name: str) -> Callable[..., BaseResponse]:
        def create(grant: Grant) -> BaseResponse:
            self._check_plan(grant.account.id, object_name)
            record = self._records.create(grant.account.id, object_name, _body())
            document = self._with_source(record, self._records.document(record))
            self._webhooks.tell(record, "create", document, None)
            return _fine(document, 201 if object_name == "Lead" else 200)

        create.__name__ = f"create_{object_name}"
        return create

    def _check_plan(self, account: str, object_name: str) -> None:
        most = self._index.setting("max_deals", default=None)
        if object_name != "Deal" or most is None:
            return
        if len(self._store.scan(account, "Deal")) >= int(most):
            text = "You have reached the open deals limit of your plan."
            raise RefusedError(403, text, code="feature_capping_deals_limit")

    def _updating(self, object_name: str) -> Callable[..., BaseResponse]:
        def update(grant: Grant, record_id: str) -> BaseResponse:
            before = self._records.get(grant.account.id, object_name, record_id)
            was = self._records.document(before)
            after = self._records.update(before, _body())
            document = self._with_source(after, self._records.document(after))
            previous = {name: was.get(name) for name in document if document[name] != was.get(name)}
            self._webhooks.tell(after, "change", document, previous)
            return _fine(document)

        update.__name__ = f"update_{object_name}"
        return update

    def _deleting(self, object_name: str) -> Callable[..., BaseResponse]:
        def delete(grant: Grant, record_id: str) -> BaseResponse:
            record = self._records.get(grant.account.id, object_name, record_id)
            self._records.drop(record)
            self._webhooks.tell(record, "delete", None, self._records.document(record))
            return _fine({"id": record.id if object_name == "Lead" else int(record.id)})

        delete.__name__ = f"delete_{object_name}"
        return delete

    # Fields, search, the user, webhooks.

    def _fields(self, owner: str) -> Callable[..., BaseResponse]:
        def fields(grant: Grant) -> BaseResponse:
            kept = self._store.all_kept(f"field:{grant.account.id}:{owner}")
            rows = schema.standard_fields(grant.account.id, owner)
            rows += [schema.field_document(code, one, is_custom=True) for code, one in kept.items()]
            return answer_json(
                {"success": True, "data": rows, "additional_data": {"next_cursor": None}}
            )

        fields.__name__ = f"fields_{owner}"
        return fields

    def _new_field(self, owner: str) -> Callable[..., BaseResponse]:
        def create(grant: Grant) -> BaseResponse:
            asked = _body()
            name, kind = str(asked.get("field_name") or ""), asked.get("field_type")
            if not name:
                raise invalid("field_name", "Required")
            if kind not in schema.CREATABLE_TYPES:
                raise invalid("field_type", "Invalid option")
            kept = self._store.all_kept(f"field:{grant.account.id}:{owner}")
            code = schema.new_code(grant.account.id, owner, f"{name}{len(kept)}")
            document: Document = {
                "field_name": name,
                "field_type": kind,
                "options": asked.get("options"),
            }
            self._store.keep(f"field:{grant.account.id}:{owner}", code, document)
            return _fine(schema.field_document(code, document, is_custom=True))

        create.__name__ = f"create_field_{owner}"
        return create

    def search(self, grant: Grant) -> BaseResponse:
        """Search items of one or more types."""
        args, account = request.args, grant.account.id
        term, is_exact = args.get("term", ""), args.get("exact_match") == "true"
        if len(term) < (1 if is_exact else 2):
            raise RefusedError(400, "Search term must be at least 2 characters long.")
        limit = int(args.get("limit") or 100)
        if limit > MOST_SEARCHED:
            raise RefusedError(400, "limit must be at most 100", field_code="limit")
        words = [
            word
            for word in (args.get("item_types") or ",".join(FIELDS)).split(",")
            if word in FIELDS
        ]
        names = set((args.get("fields") or "").split(",")) - {""}
        found = [
            record
            for word in words
            for record in self._index.search(
                account, word, term, names or FIELDS[word], is_exact=is_exact
            )
        ]
        start = start_of(args.get("cursor"))
        page = found[start : start + limit]
        more = cursor_of(start + limit) if len(found) > start + limit else None
        items = [{"result_score": 0.5, "item": self._item(one)} for one in page]
        data = {"items": items, "related_items": []}
        return answer_json(
            {"success": True, "data": data, "additional_data": {"next_cursor": more}}
        )

    def _item(self, record: Record) -> Document:
        linked = record.fields.get("person_id")
        person = self._store.get("Person", str(linked), account=record.account) if linked else None
        return item_document(record, self._records.customs(record.account, record.object), person)

    def me(self, grant: Grant) -> BaseResponse:
        """Give the authorised user and the company."""
        account = grant.account
        return _fine(
            {
                "id": 11,
                "name": account.user,
                "email": account.email,
                "default_currency": "USD",
                "timezone_name": "America/New_York",
                "active_flag": True,
                "is_you": True,
                "company_id": int(account.id),
                "company_name": account.name,
                "company_domain": account.name.split()[0].lower(),
            }
        )

    def webhooks(self, grant: Grant) -> BaseResponse:
        """List the webhooks."""
        rows = self._webhooks.listed(grant.account.id)
        return answer_json({"status": "ok", "success": True, "data": rows})

    def add_webhook(self, grant: Grant) -> BaseResponse:
        """Register a webhook."""
        made = self._webhooks.add(grant.account.id, _body())
        return answer_json({"status": "ok", "success": True, "data": made}, 201)

    def drop_webhook(self, grant: Grant, name: str) -> BaseResponse:
        """End a webhook."""
        self._webhooks.drop(grant.account.id, name)
        return answer_json({"status": "ok", "success": True})

    # What a person does.

    def convert(self) -> BaseResponse:
        """Make a deal of a lead, as a person does: the lead is then gone."""
        lead = self._store.get("Lead", str(_body().get("lead")))
        if lead is None:
            return answer_json({"error": "no such lead"}, 404)
        held = {n: v for n, v in lead.fields.items() if n in schema.SHAPES["Deal"] and n != "value"}
        own = {
            c: lead.fields[c]
            for c in self._records.customs(lead.account, "Lead")
            if c in lead.fields
        }
        held.pop("label_ids", None)
        held.pop("visible_to", None)
        with self._store.transaction():
            self._records.drop(lead)
            deal = self._records.create(lead.account, "Deal", {**held, "custom_fields": own})
            deal = self._store.update(deal, {"source_lead_id": lead.id})
        self._webhooks.tell(lead, "delete", None, self._records.document(lead))
        self._webhooks.tell(deal, "create", self._records.document(deal), None)
        return answer_json({"deal": int(deal.id)})

    def settings(self) -> BaseResponse:
        """Change settings of this sandbox."""
        asked = _body()
        unknown = set(asked) - {"index_lag_s", "phone_search", "max_deals"}
        if unknown:
            return answer_json({"error": f"unknown: {', '.join(sorted(unknown))}"}, 400)
        kept = self._store.kept("settings", "pipedrive") or {}
        self._store.keep("settings", "pipedrive", {**kept, **asked})
        return make_response("", 204)


def _constant(rows: tuple[Document, ...]) -> Callable[..., BaseResponse]:
    def listed(_grant: Grant) -> BaseResponse:
        return answer_json({"success": True, "data": list(rows)})

    return listed


def _fine(document: Document, status: int = 200) -> BaseResponse:
    return answer_json({"success": True, "data": document}, status)


def _body() -> dict[str, Any]:
    read = request.get_json(silent=True)
    if not isinstance(read, dict):
        raise RefusedError(400, "The request's body is not a JSON object.")
    return read
