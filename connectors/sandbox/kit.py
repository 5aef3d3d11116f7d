"""Puts a sandbox together: routes with token and limit checks, faults, statistics, pages."""

from __future__ import annotations

import functools
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from flask import Flask, Response, g, jsonify, make_response, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.sandbox.faults import Fault, Faults
from connectors.sandbox.keys import KeyRules, KeyServer
from connectors.sandbox.limits import LimitRule, Limits, Usage
from connectors.sandbox.oauth import Grant, OAuthRules, OAuthServer, SandboxAccount, TokenState
from connectors.sandbox.page import View, pages
from connectors.sandbox.store import Store
from connectors.sandbox.switches import switches

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

__all__ = ["Answers", "Sandbox", "View"]


class Answers(Protocol):
    """The vendor's own words when something is wrong."""

    def unauthorised(self, state: TokenState) -> Response:
        """Answer a request without a good token."""

    def throttled(self, usages: Mapping[str, Usage]) -> Response:
        """Answer a request that would pass a limit; ``is_over`` marks which."""

    def failed(self, status: int) -> Response:
        """Answer with this status because a fault asks for it; 429 is a limit in the vendor's way."""

    def headers(self, usages: Mapping[str, Usage]) -> Mapping[str, str]:
        """Give the headers that every answer carries about the limits that this call used."""


class Sandbox:
    """A vendor in miniature; ``app`` is the WSGI application to serve."""

    def __init__(
        self,
        *,
        name: str,
        label: str,
        folder: Path,
        public_url: str,
        key_field: str,
        accounts: tuple[SandboxAccount, ...],
        limits: tuple[LimitRule, ...],
        answers: Answers,
        oauth: OAuthRules | None = None,
        keys: KeyRules | None = None,
        views: Sequence[View] = (),
        hidden: Sequence[str] = (),
        connection: Mapping[str, Any] | None = None,
    ) -> None:
        """Open the state in *folder* (``<name>.sqlite``) and add the kit's own routes.

        Accounts are reached through *oauth* or, without it, with *keys*. *hidden* objects belong to
        the account's set-up: they are neither shown, counted nor cleared. *connection* is what whoever tries a
        connection to this sandbox at any hour should set for it.
        """
        self.name, self.label, self.public_url = name, label, public_url.rstrip("/")
        self.accounts = accounts
        self.store = Store(folder / f"{name}.sqlite", key_field=key_field)
        self.limits = Limits(self.store, limits)
        self.faults = Faults(self.store)
        self.access: OAuthServer | KeyServer
        if oauth is not None:
            self.access = OAuthServer(self.store, oauth, label=label, accounts=accounts)
        elif keys is not None:
            self.access = KeyServer(self.store, keys, accounts=accounts)
        else:
            message = "a sandbox has OAuth or keys"
            raise ValueError(message)
        self.views = {view.object: view for view in views}
        self.hidden = frozenset(hidden)
        self.connection = dict(connection or {})
        self._answers = answers
        self._counting = threading.Lock()
        #: Requests for the vendor's API that are being answered, given up by their senders or not.
        self.in_flight = 0
        self.app = Flask("connectors.sandbox", static_folder=None)
        self.app.json.sort_keys = False  # type: ignore[attr-defined] # of Flask's default provider
        self.app.json.compact = True  # type: ignore[attr-defined] # of Flask's default provider
        if isinstance(self.access, OAuthServer):
            self.app.register_blueprint(self.access.blueprint)
        self.app.register_blueprint(pages(self))
        self.app.register_blueprint(switches(self))
        self.app.before_request(self._before)
        self.app.after_request(self._after)
        self.app.teardown_request(self._end)

    def route(
        self,
        rule: str,
        *,
        methods: Sequence[str] = ("GET",),
        cost: Mapping[str, int] | None = None,
        needs_token: bool = True,
    ) -> Callable[[Callable[..., BaseResponse]], Callable[..., BaseResponse]]:
        """Add a route of the vendor's API.

        ``cost`` names the limits that a call uses, one unit of each limit when not given. The
        function gets the grant first, then what the rule captures.
        """
        units = dict.fromkeys(self.limits.names(), 1) if cost is None else dict(cost)

        def add(function: Callable[..., BaseResponse]) -> Callable[..., BaseResponse]:
            @functools.wraps(function)
            def answer(**captured: str) -> BaseResponse:
                if not needs_token:
                    return function(**captured)
                grant = self.access.check(request.headers.get("Authorization"))
                if not isinstance(grant, Grant):
                    return self._answers.unauthorised(grant)
                usages = self.limits.take(grant.account.id, units)
                g.usages = usages
                if any(usage.is_over for usage in usages.values()):
                    return self._answers.throttled(usages)
                g.held = grant.account.id, tuple(units)
                return function(grant, **captured)

            name = f"{'-'.join(methods)} {rule}".replace(".", "_")
            self.app.add_url_rule(rule, name, answer, methods=list(methods))
            return function

        return add

    def counts(self) -> dict[str, int]:
        """Give the number of records of each object that is not hidden."""
        return {n: c for n, c in self.store.counts().items() if n not in self.hidden}

    def clear(self) -> None:
        """Forget all records except those of hidden objects."""
        self.store.clear_records(list(self.counts()))

    def new_number(self) -> int:
        """Give a number that was never given before, for making ids."""
        return self.store.add("numbers", "record")

    def refused_row(self) -> str | None:
        """Give the error code with which a ``row`` fault wants this batch's first record refused."""
        return next((fault.code for fault in g.faults if fault.kind == "row"), None)

    def _before(self) -> BaseResponse | None:
        g.faults = []
        if self._is_strange():
            return make_response("This sandbox answers this machine's own programs and pages.", 403)
        if not self._is_vendors():
            return None
        with self._counting:
            self.in_flight += 1
        g.is_counted = True
        g.faults = self.faults.strike(request.method, request.path)
        for fault in g.faults:
            if fault.kind == "slow":
                time.sleep(fault.seconds)
        for fault in g.faults:
            if fault.kind == "status":
                return self._answers.failed(fault.status)
            if fault.kind == "cut_before":
                _cut()
                return make_response("", 500)
        return None

    def _after(self, response: Response) -> Response:
        if not self._is_vendors():
            return response
        response.headers.update(self._answers.headers(g.get("usages", {})))
        rule = request.url_rule.rule if request.url_rule else "(no such route)"
        self.store.add("calls", f"{request.method} {rule}")
        self.store.add("statuses", str(response.status_code))
        for fault in g.faults:
            response = _spoil(response, fault)
        return response

    def _end(self, _error: BaseException | None) -> None:
        if held := g.pop("held", None):
            self.limits.release(*held)
        if g.pop("is_counted", False):
            with self._counting:
                self.in_flight -= 1

    def _is_strange(self) -> bool:
        """Say whether some other web site makes a browser on this machine send this.

        A name of its own that leads here could read the records, and a form of its own could clear them.
        """
        host = urlsplit(f"//{request.host}").hostname
        if host not in {*_LOOPBACK, urlsplit(self.public_url).hostname}:
            return True
        origin = request.headers.get("Origin")
        is_change = request.method not in {"GET", "HEAD", "OPTIONS"}
        return is_change and origin is not None and urlsplit(origin).netloc != request.host

    def _is_vendors(self) -> bool:
        """Say whether this request is for the vendor's API and not for the kit's own pages."""
        return request.blueprint not in {"pages", "switches"}


def _spoil(response: Response, fault: Fault) -> Response:
    if fault.kind == "late":
        time.sleep(fault.seconds)
    elif fault.kind == "cut_after":
        _cut()
    elif fault.kind == "malformed":
        text = response.get_data(as_text=True) or "{}"
        response.set_data(text[: max(1, len(text) // 2)])
    elif fault.kind == "html":
        response = make_response("<html><body><h1>Down for maintenance</h1></body></html>", 200)
        response.content_type = "text/html; charset=UTF-8"
    return response


def _cut() -> None:
    """Close the connection of this request under the server, so that no answer arrives."""
    # The two servers that we use give the handler their socket under these names.
    # Source: https://docs.gunicorn.org/en/stable/settings.html and werkzeug/serving.py (2026-11-22)
    connection = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    if connection is None:
        raise RuntimeError("this server does not let a sandbox cut connections; use gunicorn")
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # The other side was faster.


def answer_json(document: Any, status: int = 200) -> Response:
    """Give a JSON answer with this status."""
    return make_response(jsonify(document), status)
