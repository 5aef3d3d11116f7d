"""Tools that the agent used in a call: sealed rows, and a row of the audit log for each.

Sending the same again changes nothing; another tool call under a number that is taken is refused, and with it all that
came beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from hub.context import Hub
from hub.db import audit
from hub.db.base import new_id
from hub.db.keys import VOICE
from hub.db.telephone import VoiceToolCall


@dataclass(frozen=True, slots=True)
class Used:
    """A tool that was used: ``result`` is what it answered, or None when it failed with ``error``."""

    number: int
    at: datetime
    tool: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None
    ms: float

    def written(self) -> bytes:
        """Write it as JSON; equal ones are written equally."""
        content = {
            "number": self.number,
            "at": self.at.astimezone(UTC).isoformat(),
            "tool": self.tool,
            "arguments": dict(self.arguments),
            "result": None if self.result is None else dict(self.result),
            "error": self.error,
            "ms": float(self.ms),
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Read what :meth:`written` gave."""
        content = json.loads(text)
        return cls(**content | {"at": datetime.fromisoformat(content["at"])})


class Reader(Protocol):
    """Who reads: an API key, or a person."""

    @property
    def tenant_id(self) -> str:
        """Whose calls they read."""

    @property
    def is_phi(self) -> bool:
        """Whether reading is written down."""

    @property
    def actor(self) -> str:
        """How the audit log names them."""


class Differs(Exception):
    """Other tool calls have these numbers in this call; ``places`` are positions in what was sent."""

    def __init__(self, places: Sequence[int]) -> None:
        """Keep which."""
        super().__init__("Other tool calls were kept under these numbers before.")
        self.places = tuple(places)


def keep(hub: Hub, tenant_id: str, call_id: str, used: Sequence[Used]) -> int:
    """Keep tool calls of a call; gives how many are new. Raises Differs, and then keeps none of them."""
    texts = [one.written() for one in used]
    hashes = [hashlib.sha256(text).hexdigest() for text in texts]
    rows: dict[int, dict[str, Any]] = {}
    for place, (one, text) in enumerate(zip(used, texts, strict=True)):
        row_id = new_id("vtc")
        sealed = hub.vault.seal(tenant_id, text, about=f"voice_tool_calls.body:{row_id}")
        rows.setdefault(
            one.number,
            {
                "id": row_id,
                "tenant_id": tenant_id,
                "call_id": call_id,
                "number": one.number,
                "tool": one.tool,
                "sha256": hashes[place],
                "body": sealed,
            },
        )
    with hub.tenant(tenant_id) as session:
        new = set(
            session.scalars(
                insert(VoiceToolCall)
                # In the order of their numbers, so that two who send the same do not wait for each other.
                .values([rows[number] for number in sorted(rows)])
                .on_conflict_do_nothing(index_elements=["tenant_id", "call_id", "number"])
                .returning(VoiceToolCall.number)
            )
        )
        kept = dict(
            session.execute(
                select(VoiceToolCall.number, VoiceToolCall.sha256).where(
                    VoiceToolCall.call_id == call_id, VoiceToolCall.number.in_(rows)
                )
            )
            .tuples()
            .all()
        )
        differs = [
            place
            for place, (one, digest) in enumerate(zip(used, hashes, strict=True))
            if kept[one.number] != digest
        ]
        if differs:
            raise Differs(differs)
        for number in sorted(new):
            row = rows[number]
            audit.record(
                session,
                actor=VOICE,
                action="voice.tool_used",
                target=call_id,
                facts={"tool": row["tool"], "number": number, "sha256": row["sha256"]},
            )
    return len(new)


def read(hub: Hub, holder: Reader, call_id: str) -> list[Used]:
    """Give the tool calls of a call, in order; for tenants with health data the reading is written down."""
    with hub.tenant(holder.tenant_id) as session:
        rows = session.execute(
            select(VoiceToolCall.id, VoiceToolCall.body)
            .where(VoiceToolCall.call_id == call_id)
            .order_by(VoiceToolCall.number)
        ).all()
        if rows and holder.is_phi:
            audit.record(session, actor=holder.actor, action="voice.tools_read", target=call_id)
    return [
        Used.read(
            hub.vault.open(holder.tenant_id, row.body, about=f"voice_tool_calls.body:{row.id}")
        )
        for row in rows
    ]
