"""Spellings of inner addresses that look like outer ones."""

from __future__ import annotations

import pytest

from hub.alerts import outside
from hub.alerts.outside import NotAllowed


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b:1::a00:1",  # a network's own way to its IPv4 addresses
        "64:ff9b:1:fffe::7f00:1",
        "fec0::1",  # site-local, what private addresses were before
        "::127.0.0.1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        "fe80::1%25eth0",
        "::1%25lo",
    ],
)
def test_ways_round_to_the_inside_are_refused(address: str) -> None:
    """Each leads into some network of its own."""
    with pytest.raises(NotAllowed):
        outside.check(f"https://[{address}]/", allow_loopback=False)


@pytest.mark.parametrize(
    "address", ["64:ff9b::808:808", "2606:4700::1", "2a00:1450:4001:81b::200e"]
)
def test_public_addresses_stay_reachable(address: str) -> None:
    """Also those of IPv4 receivers, as a host without IPv4 sees them."""
    assert outside.check(f"https://[{address}]/", allow_loopback=False).hostname == address
