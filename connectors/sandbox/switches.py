"""The kit's own addresses under ``/_sandbox``: records, statistics, faults, settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, make_response, request

from connectors.sandbox.faults import BadFault
from connectors.sandbox.keys import KeyServer
from connectors.sandbox.oauth import OAuthServer

if TYPE_CHECKING:
    from connectors.sandbox.kit import Sandbox


def switches(sandbox: Sandbox) -> Blueprint:
    """Give the blueprint with these addresses."""
    blueprint = Blueprint("switches", __name__, url_prefix="/_sandbox")
    add = blueprint.add_url_rule
    on = _Switches(sandbox)
    add("/records.json", "records", on.records)
    add("/keys.json", "keys", on.keys)
    add("/connection.json", "connection", lambda: jsonify(sandbox.connection))
    add("/stats.json", "stats", lambda: jsonify(statistics(sandbox)))
    add("/faults", "show_faults", on.show_faults, methods=["GET"])
    add("/faults", "add_fault", on.add_fault, methods=["POST"])
    add("/faults", "clear_faults", on.clear_faults, methods=["DELETE"])
    add("/settings", "settings", on.settings, methods=["GET", "POST"])
    for name, act in (
        ("expire", sandbox.access.expire_all),
        ("revoke", sandbox.access.revoke_all),
        ("clear", sandbox.clear),
    ):
        add(f"/{name}", name, _doing(act), methods=["POST"])
    return blueprint


def _doing(act: Callable[[], None]) -> Callable[[], Response]:
    def answer() -> Response:
        act()
        return make_response("", 204)

    return answer


class _Switches:
    """The views of one sandbox's switches."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def records(self) -> Response:
        args = request.args
        found = self._sandbox.store.newest(
            object_name=args.get("object"),
            account=args.get("account"),
            limit=args.get("limit", 100, type=int),
        )
        return jsonify({"records": [asdict(record) for record in found]})

    def show_faults(self) -> Response:
        return jsonify({"faults": [asdict(fault) for fault in self._sandbox.faults.on()]})

    def add_fault(self) -> Response:
        try:
            fault = self._sandbox.faults.switch_on(request.get_json())
        except BadFault as err:
            return make_response(jsonify({"error": str(err)}), 400)
        return make_response(jsonify(asdict(fault)), 201)

    def clear_faults(self) -> Response:
        self._sandbox.faults.switch_off()
        return make_response("", 204)

    def settings(self) -> Response:
        sandbox = self._sandbox
        if request.method == "POST":
            problem = _set(sandbox, request.get_json())
            if problem:
                return make_response(jsonify({"error": problem}), 400)
        shown: dict[str, Any] = {"limits": sandbox.limits.capacities()}
        if isinstance(sandbox.access, OAuthServer):
            shown["token_lifetime_s"] = sandbox.access.token_lifetime_s
            shown["rotates_refresh"] = sandbox.access.rotates_refresh
        return jsonify(shown)

    def keys(self) -> Response:
        access = self._sandbox.access
        return jsonify(access.keys() if isinstance(access, KeyServer) else {})


def statistics(sandbox: Sandbox) -> dict[str, Any]:
    """Count what happened since the sandbox's state was made."""
    store = sandbox.store
    calls = store.counters("calls")
    created, updated = store.key_writes()
    return {
        "sandbox": sandbox.name,
        "calls": calls,
        "calls_total": sum(calls.values()),
        "in_flight": sandbox.in_flight,
        "statuses": store.counters("statuses"),
        "records": sandbox.counts(),
        "writes": {"created": created, "updated": updated},
        "duplicate_keys": store.duplicate_keys(),
        "tokens": store.counters("tokens"),
        "limits": {
            account.id: {
                name: {"used": usage.used, "capacity": usage.capacity}
                for name in sandbox.limits.names()
                for usage in [sandbox.limits.usage(account.id, name)]
            }
            for account in sandbox.accounts
        },
        "faults": [asdict(fault) for fault in sandbox.faults.on()],
    }


def _set(sandbox: Sandbox, document: dict[str, Any]) -> str | None:
    """Apply posted settings; give what is wrong with them, and then nothing is applied."""
    access = sandbox.access
    tokens = {"token_lifetime_s", "rotates_refresh"} if isinstance(access, OAuthServer) else set()
    known = {"limits", *tokens}
    limits = document.get("limits", {})
    if set(document) - known:
        return f"known settings: {', '.join(sorted(known))}"
    if not isinstance(limits, dict) or set(limits) - set(sandbox.limits.names()):
        return f"known limits: {', '.join(sandbox.limits.names())}"
    try:
        capacities = {name: int(capacity) for name, capacity in limits.items()}
        lifetime = document.get("token_lifetime_s")
        if isinstance(access, OAuthServer):
            access.configure(
                token_lifetime_s=None if lifetime is None else float(lifetime),
                rotates_refresh=document.get("rotates_refresh"),
            )
    except (TypeError, ValueError) as err:
        return str(err)
    for name, capacity in capacities.items():
        sandbox.limits.set_capacity(name, capacity)
    return None
