"""Every address of HubSpot that we call; the API's version stands here and nowhere else."""

from __future__ import annotations

from urllib.parse import quote

#: HubSpot names its versions by date and supports each for 18 months; OAuth v1 ends 2027-02-16.
#: Source: https://developers.hubspot.com/docs/api-reference/2026-03/overview (2026-11-22)
API_VERSION = "2026-03"

ACCOUNT = f"/account-info/{API_VERSION}/details"
SCHEMAS = f"/crm-object-schemas/{API_VERSION}/schemas"
TOKEN = f"/oauth/{API_VERSION}/token"
REVOKE = f"/oauth/{API_VERSION}/token/revoke"


def batch(object_name: str, verb: str) -> str:
    """Give the address of a batch call; the verb is upsert, update or read."""
    # Source: https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/custom-objects/batch/upsert-custom-objects
    # seen 2026-11-22
    return f"/crm/objects/{API_VERSION}/{_part(object_name)}/batch/{verb}"


def search(object_name: str) -> str:
    """Give the address of an object's search."""
    # Source: https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm (2026-11-22)
    return f"/crm/objects/{API_VERSION}/{_part(object_name)}/search"


def associate(object_name: str, target: str) -> str:
    """Give the address that makes default associations from one object to another."""
    # Source: https://developers.hubspot.com/docs/api-reference/latest/crm/associations/associate-records/batch/create-associations
    # seen 2026-11-22
    return (
        f"/crm/associations/{API_VERSION}/{_part(object_name)}/{_part(target)}"
        "/batch/associate/default"
    )


def properties(object_name: str, name: str = "") -> str:
    """Give the address of an object's properties, or of one of them."""
    # Source: https://developers.hubspot.com/docs/api-reference/latest/crm/properties/guide.md (2026-11-22)
    tail = f"/{_part(name)}" if name else ""
    return f"/crm/properties/{API_VERSION}/{_part(object_name)}{tail}"


def property_groups(object_name: str) -> str:
    """Give the address of an object's property groups."""
    return f"/crm/properties/{API_VERSION}/{_part(object_name)}/groups"


def pipelines(object_name: str) -> str:
    """Give the address of an object's pipelines with their stages."""
    # Source: https://developers.hubspot.com/docs/api-reference/latest/crm/pipelines/get-pipelines (2026-11-22)
    return f"/crm/pipelines/{API_VERSION}/{_part(object_name)}"


def _part(name: str) -> str:
    return quote(name, safe="")
