"""Where vendors reach us: an address for each connection, and one for each app."""

from __future__ import annotations

from urllib.parse import urlsplit

from hub.db.connections import Connection
from hub.settings import Settings

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def of_connection(settings: Settings, connection: Connection) -> str | None:
    """Give the address for one account's reports; None where its vendor cannot reach us.

    Vendors call https only. A sandbox on this machine also calls http, as long as the hub has no public address.
    """
    base = settings.base_url
    if base.startswith("https://") or _is_here(settings, base, connection.base_url):
        return f"{base}/hooks/{connection.id}"
    return None


def of_app(settings: Settings, connector_name: str) -> str:
    """Give the address that an operator registers at a vendor that reports on all accounts of our app."""
    return f"{settings.base_url}/hooks/app/{connector_name}"


def _is_here(settings: Settings, base: str, vendor_url: str | None) -> bool:
    """Tell whether vendor and hub are both on this machine, and may be."""
    hosts = {urlsplit(base).hostname, urlsplit(vendor_url or "").hostname}
    return settings.allow_loopback_vendors and hosts <= _LOOPBACK
