"""The company that is connected to a sandbox, as in the delivery tests."""

from __future__ import annotations

from tests.delivery.conftest import connected, salesforce_sandbox

__all__ = ["connected", "salesforce_sandbox"]
