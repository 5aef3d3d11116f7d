"""Pages of lists, newest first: an opaque cursor that says where the next page begins.

A cursor holds the time and the id of the last row of a page. It is not a secret and is not signed: it can
only name a place in a list that its reader may read anyway.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from hub.api.problems import Refused

_ID: Final = re.compile(r"[a-z]{3}_[0-9a-z]{1,40}\Z")
_CURSOR_CHARS: Final = 200

Plain = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=255)]


def _iso(value: object) -> object:
    if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\dT", value):
        raise ValueError("must be a time such as 2026-11-20T16:03:11Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_iso)]

Row = TypeVar("Row")


class Parameters(BaseModel):
    """Query parameters; an unknown one is refused, so that a typing error does not widen a list."""

    model_config = ConfigDict(extra="forbid", title="query parameters")


class Paged(Parameters):
    """Query parameters of every list."""

    limit: int = Field(50, ge=1, le=200, description="Rows on a page")
    cursor: str | None = Field(
        None, max_length=_CURSOR_CHARS, description="`next_cursor` of the page before"
    )


class Address(BaseModel):
    """Parts of a path; one that cannot be an id of ours leads to a 404 problem."""

    model_config = ConfigDict(title="path")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page."""

    at: datetime
    id: str

    def written(self) -> str:
        """Write the cursor for a URL."""
        content = json.dumps([self.at.isoformat(), self.id], separators=(",", ":"))
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def read(text: str | None) -> Cursor | None:
    """Read a cursor; raises a 400 problem when it is not one of ours."""
    if text is None:
        return None
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        at, row_id = json.loads(content)
        moment = datetime.fromisoformat(at).astimezone(UTC)
        is_ours = _ID.match(row_id) is not None
    except (binascii.Error, ValueError, TypeError, OverflowError) as err:
        raise _not_ours() from err
    if not is_ours:
        raise _not_ours()
    return Cursor(moment, row_id)


def _not_ours() -> Refused:
    return Refused(
        "bad-cursor", "Use the `next_cursor` of a page, unchanged, or leave the cursor out."
    )


def split(
    rows: Sequence[Row], limit: int, place: Callable[[Row], Cursor]
) -> tuple[Sequence[Row], str | None]:
    """Cut ``limit`` rows off one more that were read; gives them and the next page's cursor."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], place(rows[limit - 1]).written()
