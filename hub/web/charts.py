"""Charts as numbers: where each bar and line of a drawing goes. ``charts.html`` draws them as SVG.

Across, places are per cent of the chart's width, so that one drawing fits a phone and a desk; down, they are
pixels, so that words keep their size. Nothing is inline, nothing needs a script, and a printer draws it too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

#: Pixels from the top of the drawing to the highest bar, of the field of bars, and below it for words.
TOP, FIELD, FOOT = 8, 150, 24
_MOST_LABELS = 7
#: Seconds that people count in.
SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400)
_GAP = 0.22
_LINE = 12
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of thing that is counted, by its colour's name."""

    name: str
    tone: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a column, as wide as it: ``y`` and ``height`` in pixels."""

    y: float
    height: float
    tone: str


@dataclass(frozen=True, slots=True)
class Column:
    """Bars upon each other: ``x`` and ``width`` in per cent, and what they say together."""

    x: float
    width: float
    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Stroke:
    """A piece of a line between two neighbouring points."""

    x1: float
    y1: float
    x2: float
    y2: float
    tone: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A value on a line."""

    x: float
    y: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across with its number; ``is_goal`` is the goal's."""

    y: float
    text: str
    is_goal: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A word below a column."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, and its numbers as a table: a row for each column, a value for each series (None: nothing there)."""

    series: tuple[Series, ...]
    labels: tuple[Label, ...]
    ticks: tuple[Tick, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    columns: tuple[Column, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    dots: tuple[Dot, ...] = ()
    height: int = TOP + FIELD + FOOT

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.columns and not self.dots


def stacked(
    columns: Sequence[tuple[str, str, Mapping[str, int]]], series: Sequence[Series]
) -> Chart:
    """Draw columns of counts, one kind upon the other.

    A column is its short label, its full name, and its counts by tone.
    """
    highest = max((sum(counts.values()) for _, _, counts in columns), default=0)
    top, ticks = _scale(float(highest), whole=True)
    drawn: list[Column] = []
    for place, (_, name, counts) in enumerate(columns):
        there = [one for one in series if counts.get(one.tone)]
        if there:
            told = ", ".join(f"{counts[one.tone]:,} {one.name}" for one in there)
            bars = _upon_each_other([(one.tone, counts[one.tone] / top) for one in there])
            drawn.append(Column(*_column(place, len(columns)), f"{name}: {told}", bars))
    used = [one for one in series if any(counts.get(one.tone) for _, _, counts in columns)]
    return Chart(
        series=tuple(used),
        labels=_labels([label for label, _, _ in columns]),
        ticks=ticks,
        rows=tuple(
            (name, tuple(f"{counts.get(one.tone, 0):,}" for one in used))
            for _, name, counts in columns
        ),
        columns=tuple(drawn),
    )


def _upon_each_other(parts: Sequence[tuple[str, float]]) -> tuple[Bar, ...]:
    bars: list[Bar] = []
    y = float(TOP + FIELD)
    for tone, part in parts:
        height = round(part * FIELD, 1)
        y = round(y - height, 1)
        bars.append(Bar(y, height, tone))
    return tuple(bars)


def lines(
    columns: Sequence[tuple[str, str, Sequence[float | None]]],
    series: Sequence[Series],
    write: Callable[[float], str],
    *,
    goal: float | None = None,
    top: float | None = None,
    steps: Sequence[float] = (),
    labels: int = _MOST_LABELS,
) -> Chart:
    """Draw a line per series; a column is its short label, its full name, and a value for each series.

    ``write`` puts a value into words, ``goal`` is drawn across, ``top`` is the highest value where that is fixed.
    ``steps`` are the distances of lines across that read well, ``labels`` how many words fit below.
    """
    values = [value for _, _, row in columns for value in row if value is not None]
    highest = top if top is not None else max([*values, goal or 0.0], default=0.0)
    limit, ticks = _scale(highest, write=write, fixed=top is not None, steps=steps)
    marks = list(ticks)
    if goal is not None:
        at = _down(goal, limit)
        # Words of neighbours would cover each other.
        marks = [one for one in marks if abs(one.y - at) >= _LINE]
        marks.append(Tick(at, write(goal), is_goal=True))
    strokes: list[Stroke] = []
    dots: list[Dot] = []
    for number, one in enumerate(series):
        before: tuple[float, float] | None = None
        for place, (_, name, row) in enumerate(columns):
            value = row[number]
            if value is None:
                before = None
                continue
            x, width = _column(place, len(columns))
            here = (round(x + width / 2, 3), _down(value, limit))
            if before:
                strokes.append(Stroke(*before, *here, one.tone))
            dots.append(Dot(*here, one.tone, f"{name}: {one.name} {write(value)}"))
            before = here
    return Chart(
        series=tuple(series),
        labels=_labels([label for label, _, _ in columns], most=labels),
        ticks=tuple(marks),
        rows=tuple(
            (name, tuple("–" if value is None else write(value) for value in row))
            for _, name, row in columns
        ),
        strokes=tuple(strokes),
        dots=tuple(dots),
    )


def _column(place: int, count: int) -> tuple[float, float]:
    """Give where a column begins and how wide it is, in per cent."""
    each = 100 / max(count, 1)
    gap = each * _GAP
    return round(place * each + gap / 2, 3), round(each - gap, 3)


def _down(value: float, top: float) -> float:
    return round(TOP + FIELD * (1 - min(value, top) / top), 2)


def _labels(texts: Sequence[str], *, most: int = _MOST_LABELS) -> tuple[Label, ...]:
    """Name some of the columns: so many as fit a phone, evenly."""
    step = max(1, math.ceil(len(texts) / most))
    found = []
    for place, text in enumerate(texts):
        x, width = _column(place, len(texts))
        if place % step == 0:
            found.append(Label(round(x + width / 2, 3), text))
    return tuple(found)


def _scale(
    highest: float,
    *,
    whole: bool = False,
    write: Callable[[float], str] = lambda value: f"{value:,.0f}",
    fixed: bool = False,
    steps: Sequence[float] = (),
) -> tuple[float, tuple[Tick, ...]]:
    """Give the value at the top of the field, and round numbers on the way there."""
    if highest <= 0:
        return 1.0, (Tick(float(TOP + FIELD), write(0.0)),)
    least = highest / _TICKS
    step = least if fixed else next((one for one in steps if one >= least), _round_up(least))
    if whole:
        step = max(1.0, math.ceil(step))
    top = highest if fixed else step * math.ceil(highest / step - 1e-9)
    count = round(top / step)
    return top, tuple(Tick(_down(step * n, top), write(step * n)) for n in range(count + 1))


def _round_up(value: float) -> float:
    """Give the next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(power * part for part in (1, 2, 2.5, 5, 10) if value <= power * part * (1 + 1e-9))
