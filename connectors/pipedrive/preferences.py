"""What a connection's admin has set: the codes of the fields that keep our key, where they are to be known unasked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from connectors.errors import Rejected
from connectors.record import JSON, Setting

_OBJECTS: Final = ("person", "organization", "deal")
_CODE = re.compile(r"[0-9a-z_]{1,64}")
SETTINGS: Final = (
    Setting(
        "key_fields",
        "Codes of the fields that keep our key",
        "json",
        'Such as {"person": "0d3f…", "deal": "91b0…"}. Not needed: they are found for ten tokens now and then.',
        is_advanced=True,
    ),
)


def key_fields(settings: Mapping[str, JSON]) -> Mapping[str, str]:
    """Read the codes by object; raises Rejected when the setting is no table of codes."""
    told = settings.get("key_fields")
    if not told:
        return {}
    if not isinstance(told, Mapping) or not all(
        name in _OBJECTS and isinstance(code, str) and _CODE.fullmatch(code)
        for name, code in told.items()
    ):
        raise Rejected(
            'The setting "key_fields" of this Pipedrive connection must be a table from '
            f"{', '.join(_OBJECTS)} to codes of fields.",
            code="settings",
        )
    return {name: str(code) for name, code in told.items()}
