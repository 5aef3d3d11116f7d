"""Has Zendesk tell us of changed tickets: one webhook for each account, with a secret of its own.

Only admins may make webhooks. For an account that an agent has connected this is refused, and closures are asked for.
Source: https://developer.zendesk.com/api-reference/webhooks/webhooks-api/webhooks/ (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.errors import ContractBroken, NeedsReconnect, Rejected, TokenExpired
from connectors.record import Account, Subscription
from connectors.zendesk.calls import Answer, ask, attempt, call
from connectors.zendesk.closing import EVENT

_NAME = "Afterbeep: ticket status"
_NOT_FOUND = 404


def subscribe(account: Account, known: Subscription | None) -> Subscription:
    """Give the account's webhook to ``account.webhook_url``; makes it where there is none."""
    if not account.webhook_url:
        raise Rejected("This hub has no address at which Zendesk could reach it.")
    try:
        hook = _ours(account, known) or _made(account)
        number = str(hook.get("id"))
        if hook.get("endpoint") != account.webhook_url or hook.get("status") != "active":
            changes = {"endpoint": account.webhook_url, "status": "active"}
            call(account, "PATCH", f"/webhooks/{number}", body={"webhook": changes})
        signing = call(account, "GET", f"/webhooks/{number}/signing_secret").one("signing_secret")
    except TokenExpired:
        raise
    except NeedsReconnect as err:
        raise Rejected(
            "Only an admin of Zendesk may have it report to us. Connect it again as an admin, "
            "or leave it: solved tickets are then asked for.",
            status=err.status,
        ) from err
    secret = signing.get("secret")
    if not isinstance(secret, str) or not secret:
        raise ContractBroken("Zendesk gives no secret for its webhook.")
    return Subscription(number, secret)


def unsubscribe(account: Account, known: Subscription) -> None:
    """End the webhook; one that is gone already is fine."""
    made = attempt(account, "DELETE", f"/webhooks/{known.id}")
    if not isinstance(made, Answer) and made.answer.status != _NOT_FOUND:
        raise made.error


def _ours(account: Account, known: Subscription | None) -> Mapping[str, Any] | None:
    """Find the webhook that we know of, else one of our name that leads to us."""
    if known is not None:
        found = ask(account, f"/webhooks/{known.id}")
        if found is not None:
            return found.one("webhook")
    params = {"filter[name_contains]": _NAME}
    listed = call(account, "GET", "/webhooks", params=params).listed("webhooks")
    return next((one for one in listed if one.get("endpoint") == account.webhook_url), None)


def _made(account: Account) -> Mapping[str, Any]:
    hook = {
        "name": _NAME,
        "status": "active",
        "endpoint": account.webhook_url,
        "http_method": "POST",
        "request_format": "json",
        "subscriptions": [EVENT],
    }
    return call(account, "POST", "/webhooks", body={"webhook": hook}).one("webhook")
