"""Writes and reads the tables of Bulk API 2.0: CSV, commas, line feeds, UTF-8.

Source: https://developer.salesforce.com/docs/platform/api-asynch/guide/datafiles-prepare-csv.md (2026-11-22)
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from connectors.errors import ContractBroken
from connectors.record import JSON

#: Clears a field. An empty cell leaves the field as it is.
NULL = "#N/A"
# Source (2026-11-22):
# https://developer.salesforce.com/docs/atlas.en-us.228.0.api_bulk_v2.meta/api_bulk_v2/bulk_api_2_limits.htm
MAX_FIELD_CHARS = 32_000
MAX_RECORD_CHARS = 400_000

_WITH_OFFSET = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?[+-]\d\d:?\d\d")


def fits(fields: Mapping[str, JSON]) -> bool:
    """Say whether a table can hold these values as they are.

    It cannot hold a text that is the sign for clearing, texts longer than Bulk API takes, nor objects.
    """
    if any(isinstance(value, Mapping) for value in fields.values()):
        return False
    texts = [text_of(value) for value in fields.values()]
    return (
        NULL not in texts
        and max(map(len, texts), default=0) <= MAX_FIELD_CHARS
        and sum(map(len, texts)) <= MAX_RECORD_CHARS
    )


def text_of(value: JSON) -> str:
    """Give a value as text; several values of a multi-select picklist in one. None is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _in_utc(value) if _WITH_OFFSET.fullmatch(value) else value
    if isinstance(value, int | float):
        return repr(value)
    return ";".join(text_of(one) for one in value)


def header(columns: Sequence[str]) -> bytes:
    """Give a table's first line."""
    return _line(_quoted(name) for name in columns)


def line(columns: Sequence[str], record: Mapping[str, JSON]) -> bytes:
    """Give a record's line: a field that it does not have stays empty, None and "" clear it."""
    return _line(_cell(record[name]) if name in record else "" for name in columns)


def read(table: bytes, *, needs: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Give each row of a table that Salesforce sent; nothing at all is a table without rows.

    Raises ContractBroken when it lacks one of the columns in *needs*. A last row that was cut off has
    None in place of the cells that are missing, so ask for cells with ``get``.
    """
    text = io.TextIOWrapper(io.BytesIO(table), encoding="utf-8", errors="replace", newline="")
    rows = csv.DictReader(text)
    if not table.strip():
        return
    if set(needs) - set(rows.fieldnames or ()):
        raise ContractBroken("Salesforce answered a table without its columns.", code="not_csv")
    try:
        yield from rows
    except csv.Error as err:
        raise ContractBroken("Salesforce answered a table that is none.", code="not_csv") from err


def _cell(value: JSON) -> str:
    text = text_of(value)
    # An empty text clears a field in REST calls; here only this sign does.
    return _quoted(text) if text else NULL


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _line(cells: Iterator[str]) -> bytes:
    # A lone surrogate is no character; everything else has a form in UTF-8.
    return (",".join(cells) + "\n").encode("utf-8", "replace")


def _in_utc(moment: str) -> str:
    """Give a moment as tables take it: in UTC, with Z."""
    # Source (2026-11-22):
    # https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/datafiles_date_format.htm
    try:
        read_moment = datetime.fromisoformat(moment).astimezone(UTC)
    except (ValueError, OverflowError):
        return moment
    return read_moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{read_moment.microsecond // 1000:03d}Z"
