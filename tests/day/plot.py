"""The calls spent over a day as an SVG, with the grant, the callers by hour, and the outage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

_WIDTH, _HEIGHT = 960, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 48, 56
_DAY_S = 86_400.0


def svg(
    spent: Sequence[tuple[float, int]],
    *,
    start: datetime,
    grant: int,
    by_hour: Sequence[int],
    outage: tuple[datetime, datetime] | None,
) -> str:
    """Draw the API calls spent since the day began; readable in light and dark, and with its numbers as text."""
    begin = start.timestamp()
    last = max([_DAY_S, *(at - begin for at, _ in spent)])
    most = max([grant, *(units for _, units in spent)]) * 1.05

    def x(seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / last

    def y(units: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * units / most

    total = spent[-1][1] if spent else 0
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="{escape(f"{total} of {grant} API calls spent over the day")}">'
        ),
        _STYLE,
        f'<text class="title" x="{_LEFT}" y="26">API calls spent over the day: {total:,} of {grant:,} granted</text>',
    ]
    if outage:
        left, right = (x(moment.timestamp() - begin) for moment in outage)
        parts.append(
            f'<rect class="outage" x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}"/><text x="{left + 4:.1f}" y="{_TOP + 14}">vendor down</text>'
        )
    tallest = max([1, *by_hour])
    for hour, count in enumerate(by_hour):
        height = (_HEIGHT - _TOP - _BOTTOM) * 0.35 * count / tallest
        width = x(3_600) - x(0) - 2
        parts.append(
            f'<rect class="callers" x="{x(hour * 3_600) + 1:.1f}" y="{_HEIGHT - _BOTTOM - height:.1f}" '
            f'width="{width:.1f}" height="{height:.1f}"><title>{hour:02d}:00 {count:,} calls</title></rect>'
        )
    parts += [
        f'<text class="tick" x="{x(hour * 3_600):.1f}" y="{_HEIGHT - _BOTTOM + 18}">{hour % 24:02d}:00</text>'
        for hour in range(0, int(last // 3_600) + 1, 3)
    ]
    parts += [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(units):.1f}" y2="{y(units):.1f}"/>'
        f'<text class="scale" x="{_LEFT - 8}" y="{y(units) + 4:.1f}">{units:,}</text>'
        for units in range(0, int(most) + 1, max(1, round(most / 6 / 100) * 100))
    ]
    parts += [
        f'<line class="grant" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(grant):.1f}" y2="{y(grant):.1f}"/>',
        _curve([(x(at - begin), y(units)) for at, units in spent]),
        (
            f'<text class="note" x="{_LEFT}" y="{_HEIGHT - 12}">Line: API calls spent. Dashes: the grant. '
            "Bars: callers by hour (tallest "
            f"{tallest:,}).</text></svg>"
        ),
    ]
    return "\n".join(parts) + "\n"


_STYLE = """<style>
text{font:12px system-ui,sans-serif;fill:#334155}.title{font-size:15px;font-weight:600}.tick{text-anchor:middle}
.scale{text-anchor:end}.note{fill:#64748b}.grid{stroke:#cbd5e1;stroke-width:.5}
.grant{stroke:#b91c1c;stroke-dasharray:6 4}
.callers{fill:#94a3b8;opacity:.35}.outage{fill:#f59e0b;opacity:.25}.spent{fill:none;stroke:#0f766e;stroke-width:2.5}
@media (prefers-color-scheme:dark){svg{background:#0b1220}text{fill:#e2e8f0}
.note{fill:#94a3b8}.spent{stroke:#2dd4bf}}
</style>"""


def _curve(points: Sequence[tuple[float, float]]) -> str:
    if not points:
        return ""
    kept = [points[0]]
    for point in points[1:]:
        if point[0] - kept[-1][0] >= 1 or point is points[-1]:
            kept.append(point)
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in kept)
    return f'<polyline class="spent" points="{path}"/>'
