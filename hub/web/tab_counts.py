"""What stands around the inbox: how much is behind each tab, and the languages that callers speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, literal, select, union_all

from hub.db.events import StoredEvent
from hub.db.tenancy import TenantSession
from hub.web.inbox import Of, of_tab, unseen

#: Counts beside the tabs stop here.
MOST_COUNTED: Final = 99
#: So many of the last two weeks are looked at for the count of what is open.
_LOOKED_AT: Final = 500
_RECENT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around the list: how much is behind each tab, and the languages that callers speak."""

    counts: Mapping[str, str]
    languages: tuple[str, ...]


def around(session: TenantSession) -> Around:
    """Count what is behind the tabs, as far as 99, and name the languages of the latest voicemails."""
    recent = (
        select(StoredEvent.id)
        .where(*of_tab("open"))
        .order_by(StoredEvent.received_at.desc())
        .limit(_LOOKED_AT)
        .subquery()
    )
    open_ones = func.count().filter(*unseen(Of.rows(recent)))
    person = select(StoredEvent.id).where(*of_tab("needs")).limit(MOST_COUNTED + 1).subquery()
    latest = (
        select(func.split_part(StoredEvent.language, "-", 1).label("language"))
        .order_by(StoredEvent.received_at.desc())
        .limit(_RECENT)
        .subquery()
    )
    rows = session.execute(
        union_all(
            select(literal("open"), open_ones, literal("")).select_from(recent),
            select(literal("looked at"), func.count(), literal("")).select_from(recent),
            select(literal("needs"), func.count(), literal("")).select_from(person),
            select(literal("language"), func.count(), latest.c.language).group_by(
                latest.c.language
            ),
        )
    ).all()
    spoken = [(number, name) for kind, number, name in rows if kind == "language" and name]
    counts = {kind: number for kind, number, _ in rows if kind != "language"}
    return Around(
        {
            "open": _written(counts["open"], is_all=counts["looked at"] < _LOOKED_AT),
            "needs": _written(counts["needs"]),
        },
        tuple(name for _, name in sorted(spoken, key=lambda one: (-one[0], one[1]))),
    )


def _written(number: int, *, is_all: bool = True) -> str:
    """Write a count that may have stopped early."""
    return f"{min(number, MOST_COUNTED)}{'' if is_all and number <= MOST_COUNTED else '+'}"
