"""The sandbox's routes of Bulk API 2.0 ingest jobs, and the settings that say how fast jobs are.

``POST /_salesforce/settings`` takes ``bulk_delay_s`` (how long a started job waits), ``bulk_rows_per_s``
and ``is_bulk_on`` (an edition without Bulk API).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, g, make_response, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.salesforce.sandbox_answers import answering, errors, object_body, version
from connectors.salesforce.sandbox_jobs import DEFAULTS, Jobs
from connectors.salesforce.sandbox_org import Refused
from connectors.sandbox.kit import Sandbox, answer_json
from connectors.sandbox.oauth import Grant

_JOBS = "/services/data/<version>/jobs/ingest"
_TABLES = ("successfulResults", "failedResults", "unprocessedrecords")


class BulkRoutes:
    """Bulk API 2.0 of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Serve this sandbox's orgs."""
        self._sandbox = sandbox

    def add(self) -> None:
        """Add all routes."""
        for rule, method, function in (
            (_JOBS, "POST", self._create),
            (f"{_JOBS}/<job_id>", "GET", self._show),
            (f"{_JOBS}/<job_id>", "PATCH", self._set_state),
            (f"{_JOBS}/<job_id>", "DELETE", self._delete),
            (f"{_JOBS}/<job_id>/batches", "PUT", self._upload),
            (f"{_JOBS}/<job_id>/<table>", "GET", self._table),
        ):
            for spelling in (rule, f"{rule}/"):
                self._sandbox.route(spelling, methods=[method])(answering(self.current(function)))
        self._sandbox.app.add_url_rule(
            "/_salesforce/settings", "bulk_settings", self._settings, methods=["GET", "POST"]
        )

    def current(self, function: Callable[..., BaseResponse]) -> Callable[..., BaseResponse]:
        """Let an org's jobs catch up with the clock before it is asked for anything."""

        @wraps(function)
        def answer(grant: Grant, **captured: str) -> BaseResponse:
            is_of_jobs = any(fault.kind == "row" and "jobs" in fault.path for fault in g.faults)
            refused = self._sandbox.refused_row() if is_of_jobs else None
            self._jobs(grant).go_on(self._set(), refused)
            return function(grant, **captured)

        return answer

    def _jobs(self, grant: Grant) -> Jobs:
        return Jobs(self._sandbox.store, grant.account)

    def _create(self, grant: Grant) -> Response:
        if not self._set()["is_bulk_on"]:
            text = "FeatureNotEnabled : Bulk API is not enabled for this organization"
            raise Refused(400, "FEATURENOTENABLED", text)
        return answer_json(self._jobs(grant).create(object_body(), version()))

    def _show(self, grant: Grant, job_id: str) -> Response:
        return answer_json(self._jobs(grant).show(job_id))

    def _set_state(self, grant: Grant, job_id: str) -> Response:
        return answer_json(self._jobs(grant).set_state(job_id, object_body().get("state")))

    def _delete(self, grant: Grant, job_id: str) -> Response:
        self._jobs(grant).delete(job_id)
        return make_response("", 204)

    def _upload(self, grant: Grant, job_id: str) -> Response:
        if not (request.content_type or "").startswith("text/csv"):
            raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", "Content type not supported")
        self._jobs(grant).upload(job_id, request.get_data())
        return make_response("", 201)

    def _table(self, grant: Grant, job_id: str, table: str) -> Response:
        if table not in _TABLES:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        answer = make_response(self._jobs(grant).table(job_id, table))
        # Salesforce names no encoding here.
        answer.headers["Content-Type"] = "text/csv"
        return answer

    def _set(self) -> dict[str, Any]:
        return {**DEFAULTS, **(self._sandbox.store.kept("settings", "bulk") or {})}

    def _settings(self) -> Response:
        if request.method == "POST":
            posted = request.get_json()
            if not isinstance(posted, dict) or set(posted) - set(DEFAULTS):
                return errors(400, "INVALID_INPUT", f"known settings: {', '.join(DEFAULTS)}")
            self._sandbox.store.keep("settings", "bulk", {**self._set(), **posted})
        return answer_json(self._set())
