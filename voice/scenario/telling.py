"""A played call as people and machines read it: as it was heard, what was captured, and what does not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voice.scenario.play import Played

if TYPE_CHECKING:
    from rich.console import Console


def data(name: str, played: Played, wrong: Sequence[str]) -> dict[str, Any]:
    """Give everything of a played call as data for JSON."""
    report, session = played.report, played.session
    return {
        "scenario": name,
        "title": played.scenario.title,
        "holds": not wrong,
        "problems": list(wrong),
        "line": session.line.value if session else None,
        "call_id": report.sid,
        "ended_by": report.ended_by,
        "duration_s": round(report.ended_s, 2),
        "heard": [_side("agent", one) for one in report.heard],
        "said": [_side("caller", one) for one in report.said],
        "figures_ms": _figures(played),
        "tools": [
            {"tool": one.tool, "arguments": one.arguments, "result": one.result, "error": one.error}
            for one in (session.tools if session else ())
        ],
        "dialled": [one.number for one in report.dialled],
        "event": played.event,
        "landed": dict(played.landed.delivered) if played.landed else None,
    }


def show(console: Console, name: str, played: Played, wrong: Sequence[str]) -> None:
    """Print a played call for people."""
    from rich.table import Table  # noqa: PLC0415 - loaded where it is shown
    from rich.text import Text  # noqa: PLC0415

    verdict = Text("holds", style="green") if not wrong else Text("does not hold", style="red")
    console.print(Text.assemble((played.scenario.title, "bold"), f"  ({name})  ", verdict))
    talk = Table(box=None, show_header=False, pad_edge=False)
    talk.add_column(justify="right", style="dim")
    talk.add_column(style="bold")
    talk.add_column(overflow="fold")
    for line in played.report.transcript.splitlines():
        at, _, rest = line.strip().partition(" ")
        who, _, words = rest.partition(" ")
        talk.add_row(at, who, Text(words.strip()))
    console.print(talk)
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for key, value in captured(played).items():
        facts.add_row(key, Text(value))
    console.print(facts)
    for one in wrong:
        console.print(Text(f"✗ {one}", style="red"))
    console.print()


def captured(played: Played) -> Mapping[str, str]:
    """Give what the call's event holds, in a few words each."""
    event = played.event
    if event is None:
        return {"event": "none"}
    found = event["data"]
    window = (found.get("appointment") or {}).get("window") or {}
    facts = {
        "name": ((found.get("caller") or {}).get("name") or {}).get("full"),
        "number": (found.get("callback") or {}).get("number"),
        "bucket": found.get("bucket"),
        "urgency": (found.get("urgency") or {}).get("level"),
        "summary": found.get("summary"),
        "appointment": window.get("start"),
        "language": found.get("language"),
        "line": (found.get("extra") or {}).get("line"),
        "fallbacks": ", ".join((found.get("provenance") or {}).get("fallbacks") or ()),
        "landed": ", ".join(
            f"{count} {name}"
            for name, count in (played.landed.delivered if played.landed else {}).items()
        ),
        "figures": ", ".join(
            f"{name} {max(values):.0f} ms" for name, values in _figures(played).items() if values
        ),
    }
    return {key: str(value) for key, value in facts.items() if value}


def _figures(played: Played) -> dict[str, list[float]]:
    report = played.report
    return {
        "answer": [round(one * 1_000) for one in report.answer_s],
        "barge_in": [round(one * 1_000) for one in report.barge_in_s],
    }


def _side(who: str, one: Any) -> dict[str, Any]:
    return {"who": who, "text": one.text, "start_s": one.start_s, "end_s": one.end_s}
