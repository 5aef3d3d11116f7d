"""The way in for vendors: reports of what became of records, verified by their signatures alone.

``POST /hooks/<connection id>`` is what a vendor was told for one account, ``POST /hooks/app/<connector>`` what
an operator registered for all accounts of our app. Answers have no body: 204 taken · 401 not the vendor's · 404
no such address · 413 over 1 MiB · 429 too many · 503 not now. Some vendors look first whether an address is there.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, cast

import redis
from flask import Blueprint, Flask, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from connectors.errors import ConnectorError, NeedsReconnect, Rejected, Unavailable
from connectors.record import WebhookRequest
from hub import log
from hub.context import Hub
from hub.db.vault import Unreadable
from hub.delivery import reported
from hub.delivery.reported import Unknown

LARGEST_BODY_BYTES: Final = 1024 * 1024
#: Requests to one address from one sender in a minute; a vendor brings what was refused again.
_PER_MINUTE: Final = 3_000
_MINUTE_S: Final = 60
_TRY_AGAIN_S: Final = "30"
#: What is answered to which error; the first that fits.
_STATUSES: Final = (
    (Unknown, 404),
    (RequestEntityTooLarge, 413),
    (Rejected, 401),
    (Unavailable, 503),
    (NeedsReconnect, 404),
    (ConnectorError, 400),
    (SQLAlchemyError, 503),
    (Unreadable, 503),
)
_log = log.get(__name__)

pages = Blueprint("hooks", __name__, url_prefix="/hooks")


def init_app(app: Flask) -> None:
    """Add the addresses to an application that has a hub."""
    app.register_blueprint(pages)


@pages.get("/<connection_id>")
def look(connection_id: str) -> Response:
    """Tell a vendor that looks whether the address is there."""
    return _answered(
        lambda hub: None if reported.is_known(hub, connection_id) else _unknown(connection_id),
        connection_id,
    )


@pages.post("/<connection_id>")
def take(connection_id: str) -> Response:
    """Take a report on one account."""
    return _answered(lambda hub: reported.take(hub, connection_id, _report()), connection_id)


@pages.post("/app/<connector_name>")
def take_for_all(connector_name: str) -> Response:
    """Take a report on any accounts of our app."""
    return _answered(
        lambda hub: reported.take_for_all(hub, connector_name, _report()), f"app/{connector_name}"
    )


def _unknown(which: str) -> None:
    raise Unknown(which)


def _report() -> WebhookRequest:
    request.max_content_length = LARGEST_BODY_BYTES
    return WebhookRequest(
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.get_data(cache=False),
        url=request.url,
        method=request.method,
    )


def _answered(act: Callable[[Hub], None], address: str) -> Response:
    """Do it, and say by the status how it went; nothing of a report is repeated."""
    hub = cast("Hub", current_app.extensions["afterbeep"])
    if _is_too_much(hub, address, request.remote_addr or ""):
        return _plain(429)
    try:
        act(hub)
    except Exception as err:  # noqa: BLE001 - the boundary of the request; its words may quote a caller
        return _refusal(err)
    return _plain(204)


def _plain(status: int) -> Response:
    """Answer without a body; as plain text, so that no page is made of it."""
    headers = {"Retry-After": _TRY_AGAIN_S} if status in {429, 503} else {}
    return Response(status=status, headers=headers, mimetype="text/plain")


def _refusal(err: Exception) -> Response:
    status = next((number for kind, number in _STATUSES if isinstance(err, kind)), 500)
    if status in {401, 400}:
        _log.warning("report was refused", kind=type(err).__name__, status=status)
    elif status >= 500:  # noqa: PLR2004 - our own failures begin there
        _log.error("report failed", kind=type(err).__name__, where=log.places(err))
    return _plain(status)


def _is_too_much(hub: Hub, address: str, sender: str) -> bool:
    """Count a request; nothing is counted while Redis is away.

    Each sender by itself: some of these addresses are no secret, and whoever floods one must not keep the vendor out.
    """
    key = f"rate:hooks:{address[:80]}:{_network(sender)}"
    try:
        with hub.redis.pipeline(transaction=True) as pipe:
            # Together, so that the count never begins without its end.
            pipe.set(key, 0, nx=True, ex=_MINUTE_S)
            pipe.incr(key)
            _, number = pipe.execute()
    except redis.RedisError:
        return False
    return int(number) > _PER_MINUTE


def _network(sender: str) -> str:
    """Give what one sender has: an IPv4 address, or the /64 network from which IPv6 addresses are taken at will."""
    try:
        found = ip_address(sender)
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
    return str(found)
