"""How the sandbox narrows and pages its lists: filters, ids, cursors."""

from __future__ import annotations

import base64

from flask import request

from connectors.pipedrive.sandbox_records import RefusedError
from connectors.sandbox.store import Record

_FILTERS = ("owner_id", "person_id", "org_id", "deal_id", "lead_id", "organization_id", "stage_id")
#: The largest page of a list, and of a search; the most ids that may be asked for.
MOST, MOST_SEARCHED, _MOST_IDS = 500, 100, 100


def passes(record: Record) -> bool:
    """Say whether a record passes the filters of a list."""
    args = request.args
    if args.get("ids"):
        ids = args["ids"].split(",")
        if len(ids) > _MOST_IDS:
            raise RefusedError(400, "ids must hold at most 100 values", field_code="ids")
        return record.id in ids
    for name in _FILTERS:
        if name in args:
            held = record.fields.get(name)
            if name == "person_id" and record.object == "Activity":
                people = record.fields.get("participants") or []
                held = next((one["person_id"] for one in people if one.get("primary")), None)
            if str(held) != args[name]:
                return False
    return True


def cursor_of(start: int) -> str:
    """Give the sign for where a page begins."""
    return base64.urlsafe_b64encode(str(start).encode()).decode()


def start_of(cursor: str | None) -> int:
    """Read such a sign; raises RefusedError when it is none."""
    try:
        return int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    except ValueError as err:
        raise RefusedError(400, "cursor is not valid", field_code="cursor") from err
