"""Creates the custom field that keeps our key, for persons, organizations and deals (which leads share)."""

from __future__ import annotations

from connectors.errors import NeedsReconnect, Rejected, TokenExpired
from connectors.pipedrive import paths
from connectors.pipedrive.calls import call
from connectors.pipedrive.keys import Customs, KeyFields, customs_in, list_fields
from connectors.pipedrive.objects import KEY_NAME, KINDS, Kind
from connectors.record import Account, Todo

#: Leads share the fields of deals; activities and notes have none.
_OWNERS = ("Person", "Organization", "Deal")


def prepare(account: Account, keys: KeyFields) -> list[Todo]:
    """Create what is missing; list what a person must do instead. Again, it changes nothing."""
    todos = [_prepare(account, keys, KINDS[name]) for name in _OWNERS]
    return [todo for todo in todos if todo is not None]


def _prepare(account: Account, keys: KeyFields, kind: Kind) -> Todo | None:
    word = kind.fields or ""
    try:
        customs = customs_in(list_fields(account, word))
        if customs.key_code is None:
            customs = _create(account, word, customs)
    except TokenExpired:
        raise
    except (NeedsReconnect, Rejected) as err:
        return Todo(
            title=f'Pipedrive: {word} field "{KEY_NAME}" is missing',
            how=f"Create it in Pipedrive under Settings, Data fields, {kind.name}: name "
            f'"{KEY_NAME}", type Text. Or connect again as an admin whose app has the scopes '
            f"contact-fields:full and deal-fields:full. {err.detail}",
            # Persons are what nearly every mapping writes.
            is_blocking=kind.name == "Person",
        )
    keys.keep(account, kind, customs)
    return None


def _create(account: Account, word: str, customs: Customs) -> Customs:
    # Source: https://developers.pipedrive.com/docs/api/v1/PersonFields#addPersonField (2026-11-22)
    made = call(
        account,
        paths.add_field(word),
        body={
            "field_name": KEY_NAME,
            "field_type": "varchar",
            "ui_visibility": {"add_visible_flag": False, "details_visible_flag": True},
        },
    ).one
    code = str(made.get("field_code"))
    return Customs({**customs.types, code: "varchar"}, code)
