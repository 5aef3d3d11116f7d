"""Writes SOQL safely, and in pieces that fit into an address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote_plus

from connectors.record import JSON

#: A request's address and headers together may have 16,384 bytes; the rest is for the headers.
# Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm (2026-11-22)
MAX_QUERY_BYTES = 12_000

# Source (2026-11-22):
# https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm
_ESCAPES = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        '"': '\\"',
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\b": "\\b",
        "\f": "\\f",
        "\0": "",
    }
)
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)


def literal(value: JSON) -> str:
    """Give a value as SOQL writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPES)}'"
    message = f"SOQL has no literal for {type(value).__name__}"
    raise TypeError(message)


def name(text: str) -> str:
    """Give an object's or field's name; raises ValueError when it is not one."""
    if not _NAME.fullmatch(text):
        message = f"not a name of an object or field: {text!r}"
        raise ValueError(message)
    return text


def any_of(field: str, values: Sequence[JSON]) -> str:
    """Give the condition that a field has one of these values."""
    if len(values) == 1:
        return f"{name(field)} = {literal(values[0])}"
    return f"{name(field)} IN ({', '.join(literal(value) for value in values)})"


def select(
    object_name: str, fields: Iterable[str], where: str, *, newest_first: bool = False
) -> str:
    """Give a whole query."""
    columns = ", ".join(name(field) for field in dict.fromkeys(fields))
    order = " ORDER BY LastModifiedDate DESC" if newest_first else ""
    return f"SELECT {columns} FROM {name(object_name)} WHERE {where}{order}"  # noqa: S608 - names are checked, values go through literal()


def in_pieces(conditions: Sequence[str], *, spent: int) -> Iterator[list[str]]:
    """Group conditions or literals so that each group fits into one query.

    *spent* is what the rest of the query takes, in bytes.
    """
    group: list[str] = []
    size = spent
    for condition in conditions:
        weight = len(quote_plus(f"{condition} OR "))
        if group and size + weight > MAX_QUERY_BYTES:
            yield group
            group, size = [], spent
        group.append(condition)
        size += weight
    if group:
        yield group
