"""A tenant's urgency rubric: data that says what each signal is worth, and where levels begin."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from mappings.event import Bucket, UrgencyLevel
from voice.analyse.fold import folded
from voice.analyse.signals import kinds


@dataclass(frozen=True, slots=True)
class Line:
    """One line: ``points`` (may be negative) are added once when ``signal`` is heard.

    ``signal`` is a kind of ``voice.analyse.signals``, or ``bucket:`` and a bucket. A line with
    ``needs`` counts only when one of those signals is heard too.
    """

    label: str
    signal: str
    points: int
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rubric:
    """Lines, and the score (0 to 100) at which each level above low begins."""

    lines: tuple[Line, ...]
    normal: int = 15
    high: int = 40
    critical: int = 70

    def __post_init__(self) -> None:
        """Refuse lines for signals that do not exist, and levels out of order."""
        known = {*kinds(), *(f"bucket:{bucket}" for bucket in Bucket)}
        for number, line in enumerate(self.lines):
            for signal in (line.signal, *line.needs):
                if signal not in known:
                    raise ValueError(f"lines[{number}].signal: there is no signal {signal!r}")
        if not 0 < self.normal < self.high < self.critical <= 100:  # noqa: PLR2004  # per cent
            raise ValueError("levels: normal, high and critical must rise between 1 and 100")

    def level(self, score: int) -> UrgencyLevel:
        """Give the level of a score."""
        if score >= self.critical:
            return UrgencyLevel.CRITICAL
        if score >= self.high:
            return UrgencyLevel.HIGH
        return UrgencyLevel.NORMAL if score >= self.normal else UrgencyLevel.LOW


def from_data(data: Mapping[str, Any]) -> Rubric:
    """Read a rubric from plain data: ``lines`` (label, signal, points, needs) and ``levels``.

    Raises ValueError, with the place, when a line or a level cannot be read.
    """
    lines = []
    for number, line in enumerate(data.get("lines", ())):
        try:
            needs = tuple(map(str, line.get("needs", ())))
            lines.append(Line(str(line["label"]), str(line["signal"]), int(line["points"]), needs))
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            message = f"lines[{number}]: needs label, signal and points (a whole number)"
            raise ValueError(message) from err
    levels = data.get("levels", {})
    try:
        return Rubric(tuple(lines), **{name: int(levels[name]) for name in levels})
    except TypeError as err:
        raise ValueError("levels: only normal, high and critical can be set") from err


def to_data(rubric: Rubric) -> dict[str, Any]:
    """Give a rubric as the plain data that :func:`from_data` reads."""
    return {
        "levels": {"normal": rubric.normal, "high": rubric.high, "critical": rubric.critical},
        "lines": [
            {"label": line.label, "signal": line.signal, "points": line.points}
            | ({"needs": list(line.needs)} if line.needs else {})
            for line in rubric.lines
        ],
    }


@cache
def _table() -> Mapping[str, Any]:
    path = Path(__file__).with_name("lexicon") / "rubrics.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def vertical_of(trade: str | None) -> str | None:
    """Give the vertical that a trade, in the tenant's own words, belongs to, or None."""
    if not trade:
        return None
    said = folded(trade)
    for name, vertical in _table()["vertical"].items():
        if said.replace(" ", "_") == name:
            return str(name)
        if any(folded(word) in said for word in vertical["words"].split(",")):
            return str(name)
    return None


@lru_cache(maxsize=256)
def default_rubric(vertical: str | None = None) -> Rubric:
    """Give the rubric that a tenant of a vertical, or of a trade in free words, starts with."""
    table = _table()
    rubric = from_data({"lines": table["line"], "levels": table["levels"]})
    points = table["vertical"].get(vertical_of(vertical) or "", {}).get("points", {})
    lines = (replace(line, points=points.get(line.signal, line.points)) for line in rubric.lines)
    return replace(rubric, lines=tuple(lines))
