"""Small plots as SVG that takes its colours from the page around it. No scripts; all text is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..text import safe

WIDTH, LEFT, RIGHT, TOP = 860, 74, 24, 14


def text(value: str) -> str:
    """Any text made harmless for HTML and for eyes."""
    return html.escape(safe(value), quote=True)


@dataclass(frozen=True)
class Axis:
    """Numbers along a line of the plot."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value stands, 0 to 1."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log10(max(value, 1e-9)), math.log10(low), math.log10(high)
        return 0.0 if high <= low else min(max((value - low) / (high - low), 0.0), 1.0)

    def ticks(self) -> list[float]:
        """Round numbers along it."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**e for e in range(first, last + 1)]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10.0 ** math.floor(math.log10(span / 4))
        step *= next(f for f in (1, 2, 2.5, 5, 10) if span / (step * f) <= 6)
        return [step * n for n in range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)]


def _svg(height: int, title: str, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{text(title)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{text(title)}</title>' + "".join(body) + "</svg>"
    )


def _label(x: float, y: float, value: str, anchor: str = "middle", kind: str = "tick") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(value)}</text>'


def _x_axis(axis: Axis, y: float, top: float, names: Sequence[str], ticks: Sequence[float]) -> list[str]:
    out = []
    for tick, name in zip(ticks, names, strict=True):
        x = LEFT + axis.at(tick) * (WIDTH - LEFT - RIGHT)
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{y:.1f}"/>')
        out.append(_label(x, y + 16, name))
    return out


@dataclass(frozen=True)
class Segment:
    """A piece of a bar."""

    begins: float
    ends: float
    shade: int
    """Number of the colour, 0 is the strongest."""
    hint: str


@dataclass(frozen=True)
class Bar:
    """A row of pieces."""

    name: str
    note: str
    segments: Sequence[Segment]


def bars(title: str, rows: Sequence[Bar], unit: str) -> str:
    """Rows of pieces over one axis, the name of each above it."""
    most = max([s.ends for row in rows for s in row.segments], default=1.0) or 1.0
    axis = Axis(0, most)
    step, height = 46, TOP + 46 * len(rows) + 40
    bottom = height - 36
    inner = WIDTH - 8 - RIGHT
    out = []
    for tick in axis.ticks():
        x = 8 + axis.at(tick) * inner
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
        out.append(_label(x, bottom + 16, f"{tick:g}", "start" if tick == 0 else "middle"))
    out.append(_label(8 + inner, bottom + 32, unit, "end"))
    for n, row in enumerate(rows):
        y = TOP + n * step
        out.append(_label(8, y + 12, row.name, "start", "name"))
        end = 8.0
        for piece in row.segments:
            x, end = 8 + axis.at(piece.begins) * inner, 8 + axis.at(piece.ends) * inner
            out.append(
                f'<rect class="s{min(piece.shade, 5)}" x="{x:.1f}" y="{y + 18}" '
                f'width="{max(end - x, 0.6):.1f}" height="18" rx="2"><title>{text(piece.hint)}</title></rect>'
            )
        # Beside the name, where it collides with nothing.
        out.append(_label(8 + inner, y + 12, row.note, "end", "tick"))
    return _svg(height, title, out)


@dataclass(frozen=True)
class Line:
    """A line of points (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]
    shade: int
    steps: bool = False


def lines(
    title: str, given: Sequence[Line], x: Axis, y: Axis, x_names: Sequence[str], y_names: Sequence[str],
    x_unit: str, *, ticks: tuple[Sequence[float], Sequence[float]],
) -> str:  # fmt: skip
    """Lines over two axes, with a legend."""
    bottom, top = 278, TOP
    inner, tall = WIDTH - LEFT - RIGHT, bottom - top
    out = _x_axis(x, bottom, top, x_names, ticks[0])
    for tick, name in zip(ticks[1], y_names, strict=True):
        at = bottom - y.at(tick) * tall
        out.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + inner}" y1="{at:.1f}" y2="{at:.1f}"/>')
        out.append(_label(LEFT - 8, at + 4, name, "end"))
    out.append(_label(LEFT + inner, bottom + 32, x_unit, "end"))
    place, row = float(LEFT), bottom + 46
    for line in given:
        path = []
        last = 0.0
        for n, (px, py) in enumerate(line.points):
            sx, sy = LEFT + x.at(px) * inner, bottom - y.at(py) * tall
            if n == 0:
                path.append(f"M{sx:.1f} {sy:.1f}")
            elif line.steps:
                path.append(f"L{sx:.1f} {last:.1f}L{sx:.1f} {sy:.1f}")
            else:
                path.append(f"L{sx:.1f} {sy:.1f}")
            last = sy
        shade = min(line.shade, 5)
        out.append(f'<path class="l{shade}" d="{"".join(path)}" fill="none"/>')
        wide = 34 + 7.0 * len(line.name)
        if place + wide > WIDTH and place > LEFT:
            place, row = float(LEFT), row + 18
        out.append(f'<rect class="s{shade}" x="{place:.1f}" y="{row}" width="14" height="10" rx="2"/>')
        out.append(_label(place + 20, row + 9, line.name, "start"))
        place += wide
    return _svg(row + 20, title, out)
