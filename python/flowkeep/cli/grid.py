"""Tables that fit a terminal: texts are shortened, numbers never; whole columns go, and are named."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


Cut = Callable[[str, int], str]
"""Shortens a text to so many characters, or to the fewest that still say something."""

_END = re.compile(r"(\[?)(.*?)(\]?(?::\d+)?\??)", re.S)
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


def middle(text: str, most: int) -> str:
    """A text without its middle."""
    most = max(most, 3)
    if len(text) <= most:
        return text
    left = most // 2
    return f"{text[:left]}…{text[len(text) - (most - 1 - left) :]}"


def end(text: str, most: int) -> str:
    """An address with or without a port: the address loses its middle, the port stays."""
    found = _END.fullmatch(text)
    assert found is not None
    return found[1] + middle(found[2], most - len(found[1]) - len(found[3])) + found[3]


def date(text: str, most: int) -> str:
    """A date and time: the century goes, nothing else."""
    return text[2:] if most < len(text) and _DATE.fullmatch(text) else text


@dataclass(frozen=True)
class Short:
    """How a column may be shortened."""

    cut: Cut
    some: int
    """Characters to which it is shortened before whole columns go."""
    least: int
    """Characters to which it is shortened when no more columns can go."""


ADDRESS = Short(end, len("255.255.255.255:65535"), 14)
DATE = Short(date, 17, 17)
TEXT = Short(middle, 12, 8)


@dataclass(frozen=True)
class Layout:
    """What matters in a table. Columns are named by their heads."""

    right: Collection[str] = ()
    """Numbers: they end where their head ends."""
    going: Sequence[str] = ()
    """Columns that go when there is no room, the least important first."""
    last: Sequence[str] = ()
    """Columns that go only when shortening all texts is not enough."""
    short: Mapping[str, Short] = field(default_factory=dict)
    """Columns that may be shortened; all others are whole or not there."""
    markup: Collection[str] = ()
    """Columns whose cells are Rich's markup. All others are plain text."""


def _measure(heads: Sequence[str], rows: Sequence[Sequence[str]], layout: Layout, i: int, most: int) -> int:
    from rich.cells import cell_len
    from rich.text import Text

    head = heads[i]
    cells = (row[i] for row in rows)
    if head in layout.markup:
        return max([len(head), *(Text.from_markup(cell).cell_len for cell in cells)])
    if head in layout.short:
        cells = (layout.short[head].cut(cell, most) for cell in cells)
    return max([len(head), *map(cell_len, cells)])


def fitting(
    heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, layout: Layout
) -> dict[int, int]:
    """Indexes of the columns that fit, and the width of each."""
    full = [_measure(heads, rows, layout, i, 1 << 30) for i in range(len(heads))]
    least, widths = list(full), list(full)
    for i, head in enumerate(heads):
        if head in layout.short:
            short = layout.short[head]
            widths[i] = _measure(heads, rows, layout, i, short.some)
            least[i] = _measure(heads, rows, layout, i, short.least)
    shown = list(range(len(heads)))

    def room() -> int:
        return width - 2 - sum(widths[i] + 2 for i in shown)

    def shrink() -> None:
        while room() < 0 and any(widths[i] > least[i] for i in shown):
            widths[max((i for i in shown if widths[i] > least[i]), key=lambda i: widths[i])] -= 1

    for names in (layout.going, layout.last):
        for name in names:
            if room() >= 0:
                break
            if name in heads:
                shown.remove(heads.index(name))
        if names is layout.going:
            shrink()
    for i in shown:
        # Ports are kept, so that an address has no fixed least width.
        if layout.short.get(heads[i]) is ADDRESS:
            least[i] = _measure(heads, rows, layout, i, 1)
    shrink()
    # What room is left goes to what is shortened, the one that lacks least first.
    wanting = sorted((i for i in shown if widths[i] < full[i]), key=lambda i: full[i] - widths[i])
    for n, i in enumerate(wanting):
        widths[i] += min(full[i] - widths[i], max(room(), 0) // (len(wanting) - n))
    return {i: widths[i] for i in shown}


def show(
    console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]], layout: Layout,
    *, total: Sequence[str] = (),
) -> str:  # fmt: skip
    """Print a table, ``total`` below a line. Gives a line that names the columns without room, or nothing."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    every = [*rows, total] if total else rows
    widths = fitting(heads, every, console.width, layout)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for i, room in widths.items():
        table.add_column(
            heads[i], justify="right" if heads[i] in layout.right else "left", no_wrap=True, width=room
        )

    def cell(text: str, i: int) -> str:
        if heads[i] in layout.markup:
            return text
        # Addresses in brackets are no markup.
        return escape(layout.short[heads[i]].cut(text, widths[i]) if heads[i] in layout.short else text)

    for row in rows:
        table.add_row(*(cell(row[i], i) for i in widths))
    if total:
        table.add_section()
        table.add_row(*(cell(total[i], i) for i in widths))
    # On a terminal that is narrower than what must be shown, lines wrap: that is better than half numbers.
    console.print(table, width=max(console.width, sum(widths.values()) + 2 * len(widths) + 2), crop=False)
    missing = [head for i, head in enumerate(heads) if i not in widths]
    return f"no room for: {', '.join(missing)}" if missing else ""
