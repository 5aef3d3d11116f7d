"""The only list of vendors in Python: name to label and class, imported on first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from connectors.interface import Connector

CONNECTORS: dict[str, tuple[str, str]] = {
    "salesforce": ("Salesforce", "connectors.salesforce.connector:Salesforce"),
    "hubspot": ("HubSpot", "connectors.hubspot.connector:HubSpot"),
    "google_calendar": (
        "Google Calendar",
        "connectors.google_calendar.connector:GoogleCalendar",
    ),
    "pipedrive": ("Pipedrive", "connectors.pipedrive.connector:Pipedrive"),
    "pagerduty": ("PagerDuty", "connectors.pagerduty.connector:PagerDuty"),
    "twilio_sms": ("Twilio SMS", "connectors.twilio_sms.connector:TwilioSMS"),
    "zendesk": ("Zendesk", "connectors.zendesk.connector:Zendesk"),
}

SANDBOXES: dict[str, str] = {
    "salesforce": "connectors.salesforce.sandbox:create_sandbox",
    "hubspot": "connectors.hubspot.sandbox:create_sandbox",
    "google_calendar": "connectors.google_calendar.sandbox:create_sandbox",
    "pipedrive": "connectors.pipedrive.sandbox:create_sandbox",
    "pagerduty": "connectors.pagerduty.sandbox:create_sandbox",
    "twilio_sms": "connectors.twilio_sms.sandbox:create_sandbox",
    "zendesk": "connectors.zendesk.sandbox:create_sandbox",
}


class UnknownConnector(LookupError):
    """There is no connector of this name."""


@cache
def connector(name: str) -> Connector:
    """Give the connector of this name; raises UnknownConnector when there is none."""
    try:
        _, path = CONNECTORS[name]
    except KeyError:
        known = ", ".join(sorted(CONNECTORS))
        message = f'There is no connector "{name}". There are: {known}.'
        raise UnknownConnector(message) from None
    module, _, attribute = path.partition(":")
    found: Connector = getattr(import_module(module), attribute)()
    return found
