"""Creates the unique property that keeps our key, in each object that we write."""

from __future__ import annotations

from connectors.errors import Ambiguous, NeedsReconnect, Rejected, TokenExpired
from connectors.hubspot import paths
from connectors.hubspot.calls import Answer, ask, attempt
from connectors.hubspot.objects import GROUP, KEY, KINDS, SCHEMA_SCOPES, Kind
from connectors.record import Account, Todo

_EXISTS = 409


def prepare(account: Account) -> list[Todo]:
    """Create what is missing; list what a person must do instead. Again, it changes nothing."""
    todos = [_prepare(account, kind) for kind in KINDS.values()]
    return [todo for todo in todos if todo is not None]


def _prepare(account: Account, kind: Kind) -> Todo | None:
    try:
        found = ask(account, paths.properties(kind.name, KEY))
        if found is None:
            _create(account, kind)
            return None
    except TokenExpired:
        raise
    except NeedsReconnect as err:
        return _todo(
            kind,
            f"Grant the scope {SCHEMA_SCOPES[kind.name]}: connect HubSpot again as a Super Admin "
            f"and allow everything that is asked. HubSpot said: {err.detail}",
        )
    except (Rejected, Ambiguous) as err:
        return _todo(
            kind,
            f'Create it in HubSpot under Settings, Properties, {kind.label}: internal name "{KEY}", '
            f'single-line text, with "Require unique values" on. {err.detail}',
        )
    if not found.body.get("hasUniqueValue"):
        return _todo(
            kind,
            f'Delete the property "{KEY}" in HubSpot under Settings, Properties, {kind.label}: '
            "its values are not unique, and HubSpot cannot change that. Then check again.",
        )
    return None


def _create(account: Account, kind: Kind) -> None:
    group = attempt(
        account,
        "POST",
        paths.property_groups(kind.name),
        body={"name": GROUP, "label": "Afterbeep", "displayOrder": -1},
        is_write=True,
    )
    if not isinstance(group, Answer) and group.answer.status != _EXISTS:
        raise group.error
    # A property keeps unique values only when it is created so; at most ten of an object may.
    # Source: https://developers.hubspot.com/docs/api-reference/latest/crm/properties/guide.md (2026-11-22)
    made = attempt(
        account,
        "POST",
        paths.properties(kind.name),
        body={
            "name": KEY,
            "label": "Afterbeep key",
            "description": "Names the voicemail that made this record. Leave it as it is.",
            "groupName": GROUP,
            "type": "string",
            "fieldType": "text",
            "hasUniqueValue": True,
            "formField": False,
        },
        is_write=True,
    )
    if not isinstance(made, Answer) and made.answer.status != _EXISTS:
        raise made.error


def _todo(kind: Kind, how: str) -> Todo:
    return Todo(
        title=f'HubSpot: {kind.label.lower()} property "{KEY}" is missing',
        how=how,
        # Contacts are what every mapping writes; the others only matter where a mapping uses them.
        is_blocking=kind.name == "contacts",
    )
