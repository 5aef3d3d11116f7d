"""Twilio in miniature: messages, numbers, Messaging Services, opt-outs, queues, reports.

Besides what the kit offers (see :mod:`connectors.sandbox`) there are

- ``POST /_twilio/status``    ``{"sid": "SM...", "status": "undelivered", "error_code": 30003}`` a carrier reports
- ``POST /_twilio/inbound``   ``{"from": "+1...", "to": "+1...", "body": "STOP"}`` a person texts a number
- ``POST /_twilio/settings``  ``delivery_s`` (seconds until a text arrives, null: only by ``status``), ``queue_s``
  (how much may wait at a sender, 36000), ``segments_per_s`` (1), ``inbound_url`` (told of what persons text)

Recipients that are not what they seem, as with Twilio's test keys: +15005550001 no number, …0002 not
reachable, …0003 country not allowed, …0004 opted out, …0009 no mobile.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, make_response, request
from werkzeug.wrappers import Response as BaseResponse

from connectors.sandbox.keys import KeyRules
from connectors.sandbox.kit import Sandbox, View, answer_json
from connectors.sandbox.limits import LimitRule, Usage
from connectors.sandbox.oauth import Grant, SandboxAccount, TokenState
from connectors.twilio_sms.sandbox_documents import (
    ACCOUNTS,
    NUMBERS,
    SERVICES,
    RefusedError,
    account_document,
    error,
    message_document,
    number_document,
    page,
    service_document,
    service_page,
)
from connectors.twilio_sms.sandbox_messages import Messages
from connectors.twilio_sms.sandbox_reports import Carrier

_ROOT = "/2010-04-01/Accounts/<sid>"
_NOT_LOGGED_IN = "Authenticate"


class _Answers:
    """Twilio's words for what is wrong."""

    def unauthorised(self, state: TokenState) -> Response:
        """Answer 401."""
        text = _NOT_LOGGED_IN if state == "missing" else "Authentication Error - invalid username"
        return answer_json(error(20003, text, 401), 401)

    def throttled(self, usages: Mapping[str, Usage]) -> Response:
        """Answer 429; nothing was done."""
        del usages
        return self.failed(429)

    def failed(self, status: int) -> Response:
        """Answer with this status."""
        if status == 429:  # noqa: PLR2004 - the status is the case
            return answer_json(error(20429, "Too Many Requests", 429), 429)
        return answer_json(error(20500, "An internal server error has occurred", status), status)

    def headers(self, usages: Mapping[str, Usage]) -> Mapping[str, str]:
        """Tell how many calls are under way; how many may be is not told."""
        usage = usages.get("concurrency")
        told = {"Twilio-Request-Id": f"RQ{secrets.token_hex(16)}"}
        return told if usage is None else {**told, "Twilio-Concurrent-Requests": str(usage.used)}


def _new_keys(account: SandboxAccount) -> Mapping[str, str]:
    return {
        "account_sid": account.id,
        "api_key_sid": f"SK{secrets.token_hex(16)}",
        "api_key_secret": secrets.token_urlsafe(24),
        "auth_token": secrets.token_hex(16),
    }


def create_sandbox(folder: Path, *, public_url: str) -> Flask:
    """Give Twilio in miniature, with its state in this folder."""
    sandbox = Sandbox(
        name="twilio_sms",
        label="Twilio SMS",
        folder=folder,
        public_url=public_url,
        # Twilio keeps no key of ours: a second text of one key is the same words to the same number.
        key_field="same_text",
        accounts=ACCOUNTS,
        keys=KeyRules(
            new_keys=_new_keys,
            pairs={
                "standard": ("api_key_sid", "api_key_secret"),
                "main": ("account_sid", "auth_token"),
            },
        ),
        # Nobody is woken by a text that goes nowhere.
        connection={"quiet_hours": False},
        limits=(LimitRule("concurrency", 100, 1.0, kind="concurrency"),),
        answers=_Answers(),
        views=(
            View("message", "Text messages", ("Body",), ("To", "From", "status", "error_code")),
            View("inbound", "Replies", ("Body",), ("From", "To")),
        ),
    )
    carrier = Carrier(sandbox)
    _Routes(sandbox, Messages(sandbox, carrier), carrier).add()
    carrier.resume()
    return sandbox.app


class _Routes:
    """The API's routes over one store."""

    def __init__(self, sandbox: Sandbox, messages: Messages, carrier: Carrier) -> None:
        self._sandbox, self._store = sandbox, sandbox.store
        self._messages, self._carrier = messages, carrier

    def add(self) -> None:
        """Add every route."""
        self._on(f"{_ROOT}.json", "GET", self.account)
        self._on(f"{_ROOT}/Messages.json", "POST", self.create)
        self._on(f"{_ROOT}/Messages.json", "GET", self.list_messages)
        self._on(f"{_ROOT}/Messages/<message>.json", "GET", self.one_message)
        self._on(f"{_ROOT}/IncomingPhoneNumbers.json", "GET", self.numbers)
        self._on("/v1/Services", "GET", self.services)
        for name, view in (
            ("status", self.set_status),
            ("inbound", self.inbound),
            ("settings", self.settings),
        ):
            self._sandbox.app.add_url_rule(
                f"/_twilio/{name}", f"twilio_{name}", view, methods=["POST"]
            )

    def _on(self, rule: str, method: str, function: Callable[..., BaseResponse]) -> None:
        @wraps(function)
        def answer(grant: Grant, **captured: str) -> BaseResponse:
            if captured.pop("sid", grant.account.id) != grant.account.id:
                # Keys of one account open no other.
                return answer_json(error(20003, _NOT_LOGGED_IN, 401), 401)
            try:
                with self._store.transaction():
                    return function(grant, **captured)
            except RefusedError as refused:
                return answer_json(refused.document, refused.status)

        self._sandbox.route(rule, methods=[method])(answer)

    # The API.

    def account(self, grant: Grant) -> BaseResponse:
        """Give the account, which a standard API key may not read."""
        if "main" not in grant.scopes:
            return answer_json(error(20003, "Authentication Error - invalid username", 401), 401)
        return answer_json(account_document(grant.account))

    def create(self, grant: Grant) -> BaseResponse:
        """Take a text."""
        code = self._sandbox.refused_row()
        if code:
            raise RefusedError(error(int(code), "Refused by a fault", 400))
        record = self._messages.create(grant.account.id, request.form)
        return answer_json(message_document(record), 201)

    def list_messages(self, grant: Grant) -> BaseResponse:
        """List texts and replies, newest first."""
        found = self._messages.find(grant.account.id, request.args)
        return answer_json(page("messages", [message_document(one) for one in found]))

    def one_message(self, grant: Grant, message: str) -> BaseResponse:
        """Give one message."""
        found = self._store.get("message", message, account=grant.account.id)
        if found is None:
            text = f"The requested resource {request.path} was not found"
            raise RefusedError(error(20404, text, 404))
        return answer_json(message_document(found))

    def numbers(self, grant: Grant) -> BaseResponse:
        """List the account's numbers."""
        documents = [number_document(grant.account.id, one) for one in NUMBERS[grant.account.id]]
        return answer_json(page("incoming_phone_numbers", documents))

    def services(self, grant: Grant) -> BaseResponse:
        """List the account's Messaging Services."""
        documents = [
            service_document(grant.account.id, one, base=self._sandbox.public_url)
            for one in SERVICES[grant.account.id]
        ]
        return answer_json(service_page(documents, base=self._sandbox.public_url))

    # Switches.

    def set_status(self) -> BaseResponse:
        """Have the carrier report on a text."""
        asked: dict[str, Any] = request.get_json()
        record = self._store.get("message", str(asked.get("sid")))
        if record is None:
            return make_response(jsonify({"error": "there is no such message"}), 404)
        self._carrier.report(record, str(asked["status"]), asked.get("error_code"))
        return make_response("", 204)

    def inbound(self) -> BaseResponse:
        """Have a person text one of the numbers; STOP, START and HELP do what they do at Twilio."""
        asked: dict[str, Any] = request.get_json()
        problem = self._messages.receive(
            sender=str(asked.get("from")), to=str(asked.get("to")), body=str(asked.get("body"))
        )
        if problem:
            return make_response(jsonify({"error": problem}), 400)
        return make_response("", 204)

    def settings(self) -> BaseResponse:
        """Change how texts arrive."""
        problem = self._carrier.configure(request.get_json())
        if problem:
            return make_response(jsonify({"error": problem}), 400)
        return make_response("", 204)
