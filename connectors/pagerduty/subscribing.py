"""The webhook subscription of one account: PagerDuty tells us what becomes of its incidents.

Source: https://developer.pagerduty.com/docs/webhooks-overview, and the subscriptions' API in
PagerDuty/api-schema @ 91a06fb (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.errors import ContractBroken, Rejected
from connectors.pagerduty.calls import Body, ask, call, listed, one, segment
from connectors.pagerduty.closing import ACKNOWLEDGED, RESOLVED
from connectors.record import Account, Subscription

_PATH = "/webhook_subscriptions"
_NOT_FOUND = 404


def subscribe(account: Account, known: Subscription | None) -> Subscription:
    """Have PagerDuty report to ``account.webhook_url``; raises Rejected without such an address.

    A subscription that PagerDuty has disabled after three lost webhooks is enabled again. The secret is told
    only once, so one of ours whose secret nobody has is replaced.
    """
    if not account.webhook_url:
        raise Rejected("The hub has no public address to which PagerDuty could report.")
    if known is not None:
        answer = ask(account, f"{_PATH}/{segment(known.id)}")
        if answer is not None:
            there = one(answer, "webhook_subscription")
            if _url(there) == account.webhook_url:
                _enable(account, there)
                return known
            unsubscribe(account, known)
    for lost in list(listed(account, _PATH, "webhook_subscriptions")):
        if _url(lost) == account.webhook_url and lost.get("id"):
            _delete(account, str(lost["id"]))
    return _create(account, account.webhook_url)


def unsubscribe(account: Account, known: Subscription) -> None:
    """End a subscription; one that is gone already is fine."""
    _delete(account, known.id)


def _create(account: Account, url: str) -> Subscription:
    body = {
        "webhook_subscription": {
            "type": "webhook_subscription",
            "description": "Afterbeep learns which pages were taken up and resolved.",
            "delivery_method": {"type": "http_delivery_method", "url": url},
            "events": [ACKNOWLEDGED, RESOLVED],
            "filter": {"type": "account_reference"},
        }
    }
    made = one(call(account, "POST", _PATH, body=body), "webhook_subscription")
    method = made.get("delivery_method")
    secret = method.get("secret") if isinstance(method, Mapping) else None
    if not isinstance(secret, str) or not secret:
        raise ContractBroken("PagerDuty made a webhook subscription and told no secret.")
    return Subscription(str(made["id"]), secret)


def _enable(account: Account, there: Body) -> None:
    method = there.get("delivery_method")
    if isinstance(method, Mapping) and method.get("temporarily_disabled") is True:
        call(account, "POST", f"{_PATH}/{segment(there['id'])}/enable")


def _delete(account: Account, subscription_id: str) -> None:
    try:
        call(account, "DELETE", f"{_PATH}/{segment(subscription_id)}")
    except Rejected as err:
        if err.status != _NOT_FOUND:
            raise


def _url(subscription: Body) -> str | None:
    method = subscription.get("delivery_method")
    url = method.get("url") if isinstance(method, Mapping) else None
    return url if isinstance(url, str) else None
