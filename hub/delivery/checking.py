"""Checks a mapping's text against what an account really has, before it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.record import Field
from hub.context import Hub
from hub.delivery import describe
from mappings.check import check
from mappings.document import load, read
from mappings.problem import InvalidMapping, Problem


def checked(
    hub: Hub, tenant_id: str, connection_id: str, text: str
) -> tuple[dict[str, Any] | None, Sequence[Problem]]:
    """Give the document and everything that is wrong with it; no document when it cannot be read.

    An account that does not answer is a warning.
    """
    try:
        document = load(text)
    except InvalidMapping as err:
        return None, err.problems
    doubts: dict[str, Problem] = {}

    def fields(object_name: str) -> Sequence[Field] | None:
        known = describe.fields(hub, tenant_id, connection_id, object_name)
        if known.problem is not None and not _is_missing(
            hub, tenant_id, connection_id, object_name
        ):
            said = f"{object_name} could not be checked against the account: {known.problem}"
            doubts[object_name] = Problem("", said, "warning")
        return known.items or None

    problems = check(document, fields)
    doubtful = {
        f"/steps/{position}/object"
        for position, step in enumerate(read(document).document.steps)
        if step.object in doubts
    }
    # Whether the account has an object that it does not tell us about, nobody knows.
    return document, [
        *(one for one in problems if one.pointer not in doubtful),
        *doubts.values(),
    ]


def _is_missing(hub: Hub, tenant_id: str, connection_id: str, object_name: str) -> bool:
    """Tell whether the account listed its objects and this is not one of them."""
    known = describe.objects(hub, tenant_id, connection_id)
    return bool(known.items) and object_name not in {one.name for one in known.items}
