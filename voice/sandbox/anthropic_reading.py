"""Reads transcripts as Anthropic's model does: fills the form of an analysis in, by the project's own analysis.

A competent model, then, and no more: what it proposes is what the local reading finds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mappings.event import Call, Segment, Speaker, Voicemail
from voice.analyse import analysis, signals
from voice.analyse.fold import folded
from voice.analyse.gist import phrase

_CALL = re.compile(r"<call>(.*)</call>", re.DOTALL)
_SOON = frozenset({"now", "soon", "urgent", "hazard"})


def is_analysis(schema: Mapping[str, Any]) -> bool:
    """Tell whether a request's schema is the form of an analysis."""
    return {"bucket", "signals", "summary"} <= set(schema.get("properties") or {})


def proposal(text: str) -> dict[str, Any]:
    """Fill the form in for what stands between ``<call>`` and ``</call>``."""
    given = _given(text)
    said = [str(turn.get("text", "")) for turn in given["turns"] if turn.get("who") == "caller"]
    found = analysis.analyse(
        _segments(given["turns"]),
        call=Call.model_validate({"id": "analysis"}),
        received_at=_moment(given.get("received_at")),
        vertical=given.get("vertical"),
        timezone=str(given.get("timezone") or "UTC"),
    )
    heard = signals.find(" ".join(said), found.language)
    kinds = {one.kind for one in heard}
    plain = folded(" ".join(said))
    window = found.appointment.window
    return {
        "language": found.language or "en",
        "bucket": found.bucket.value,
        "bucket_confidence": found.bucket_confidence or 0.0,
        "signals": [{"kind": one.kind, "evidence": one.evidence} for one in heard],
        **_caller(found),
        "sentiment": found.sentiment.value if found.sentiment else "neutral",
        "lead": {
            "wants_to_buy": phrase("buying").search(plain) is not None,
            "is_large": phrase("size").search(plain) is not None,
            "is_soon": bool(kinds & _SOON),
        },
        "appointment": {
            "start": window.start.isoformat() if window.start else None,
            "end": window.end.isoformat() if window.end else None,
            "service": found.appointment.service,
            "evidence": said[-1] if window.start and said else None,
        },
        "wants_person_in_charge": "manager" in kinds,
        "wants_person_evidence": next((s.evidence for s in heard if s.kind == "manager"), None),
        "reason": found.reason,
        "summary": found.summary,
    }


def _caller(found: Voicemail) -> dict[str, str | None]:
    return {
        "name": found.caller.name.full,
        "company": found.caller.company,
        "email": found.caller.email,
        "callback_number": found.callback.number,
    }


def _given(text: str) -> dict[str, Any]:
    found = _CALL.search(text)
    try:
        given = json.loads(found.group(1)) if found else {}
    except ValueError:
        given = {}
    turns = given.get("turns") if isinstance(given, dict) else None
    if not isinstance(turns, list):
        return {"turns": [{"who": "caller", "text": text}]}
    return {**given, "turns": turns}


def _segments(turns: Sequence[Mapping[str, Any]]) -> list[Segment]:
    return [
        Segment(
            speaker=Speaker.CALLER if turn.get("who") == "caller" else Speaker.AGENT,
            start_s=None,
            end_s=None,
            text=str(turn.get("text", "")),
        )
        for turn in turns
    ]


def _moment(text: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.now(UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
