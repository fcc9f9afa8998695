"""The status of a cache for people. Every text passes through :func:`safe`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import units
from ..text import safe
from .render import _console, _table, _text
from .stream import WIDE

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR = 24
_SPARKS = "▁▂▃▄▅▆▇█"
_LOOKS = 60


def status_text(status: dict[str, Any], *, color: bool, width: int = WIDE) -> str:
    """What a cache says of itself, on one page."""
    console = _console(color, width)
    for part in _page(status, [], min(width, 120)):
        console.print(part)
    return _text(console)


def live(look: Callable[[], dict[str, Any]], seconds: float, *, color: bool) -> None:
    """The same, again and again on a terminal, with the packets a second of the last looks. Ends by
    KeyboardInterrupt, or by the error of ``look``."""
    from rich.console import Console, Group
    from rich.live import Live

    console = Console(no_color=not color, highlight=False)
    rates: deque[float] = deque(maxlen=_LOOKS)
    with Live(console=console, auto_refresh=False, screen=True) as screen:
        while True:
            status = look()
            rates.append(float(status["packets_per_second"]))
            screen.update(Group(*_page(status, list(rates), console.width)), refresh=True)
            time.sleep(seconds)


def _page(status: dict[str, Any], rates: list[float], width: int) -> list[RenderableType]:
    cache = status["cache"]
    facts = _table("", "", right="none")
    facts.show_header, facts.box = False, None
    facts.columns[1].no_wrap = False
    facts.columns[1].overflow = "fold"
    for name, value in _facts(status, rates[-max(width - 40, 10) :]):
        facts.add_row(f"[bold]{name}[/]", value)
    return [facts, _bands(cache, width), _inputs(status["inputs"]), *_errors(status["inputs"])]


def _facts(status: dict[str, Any], rates: list[float]) -> list[tuple[str, str]]:
    cache = status["cache"]
    used, spill = cache["used"], status["spill"]
    held, received = cache["held"], cache["received"]
    by = ", ".join(f"{name} {units.size(size)}" for name, size in used.items() if size and name != "total")
    return [
        ("memory", f"{units.size(used['total'])} of {units.size(cache['bound'])}: {by or 'empty'}"),
        ("packets", f"{held['packets']:,} held of {received['packets']:,} received, "
                    f"{units.size(held['bytes'])} of {units.size(received['bytes'])}"),
        ("flows", f"{cache['flows']:,}"),
        ("now", f"{status['packets_per_second']:,.0f} packets/s" + (f"  {_sparks(rates)}" if rates else "")),
        ("reaches back", _reach(cache)),
        ("curve", _curve(cache["stretch"])),
        ("let go", _let_go(cache["let_go"])),
        *([("on disk", _spilled(spill))] if spill else []),
        ("kernel lost", _lost(status["inputs"])),
        ("clients", _clients(status["clients"])),
    ]  # fmt: skip


def _reach(cache: dict[str, Any]) -> str:
    oldest, newest, span = cache["oldest"], cache["newest"], cache["look_back"]
    if span is None:
        return "nothing was captured yet"
    times = " to ".join(units.time(t, digits=0).replace("T", " ").rstrip("Z") for t in (oldest, newest))
    return f"{_span(span)}, from {times} UTC"


def _span(ns: int) -> str:
    days, rest = divmod(ns, units.DAY)
    return f"{units.count(days, 'day')} {units.duration(rest)}" if days else units.duration(rest)


def _curve(stretch: float | None) -> str:
    if not stretch:
        return "nothing had to be let go yet"
    room = "more" if stretch >= 1 else "less"
    return f"its ages times {stretch:,.3g}: there is {room} room than it asks for"


def _let_go(reasons: dict[str, dict[str, int]]) -> str:
    gone = [
        f"{name} {units.count(what['packets'], 'packet')} ({units.size(what['bytes'])})"
        for name, what in reasons.items()
        if what["packets"]
    ]
    return ", ".join(gone) or "nothing"


def _spilled(spill: dict[str, Any]) -> str:
    said = f"{units.count(spill['files'], 'file')}, {units.size(spill['bytes'])}; "
    said += f"{units.count(spill['packets'], 'packet')} were written"
    if spill["deleted"]:
        said += f", {units.count(spill['deleted'], 'file')} deleted to make room"
    if spill["lost"]:
        said += f", [red]{units.count(spill['lost'], 'packet')} not written[/]"
    return said + (f"; [red]{_escaped(spill['error'])}[/]" if spill["error"] else "")


def _lost(inputs: list[dict[str, Any]]) -> str:
    lost = sum(one["drops"] for one in inputs)
    total = lost + sum(one["packets"] for one in inputs)
    return f"[red]{units.count(lost, 'packet')}[/], {units.percent(lost, total)}" if lost else "nothing"


def _clients(clients: dict[str, int]) -> str:
    said = [f"{clients['reading']} reading", units.count(clients["queries"], "question")]
    said += [f"{clients[name]:,} {name}" for name in ("refused", "stalled", "failed") if clients[name]]
    return ", ".join([*said, f"{units.size(clients['sent_bytes'])} sent"])


def _sparks(rates: list[float]) -> str:
    most = max(rates) or 1.0
    return "".join(
        _SPARKS[min(int(rate / most * len(_SPARKS)), len(_SPARKS) - 1)] for rate in rates[-_LOOKS:]
    )


def _bands(cache: dict[str, Any], width: int) -> RenderableType:
    table = _table("last seen", "keeps", "flows", "packets", "held", " ", right="keeps,flows,packets,held")
    most = max((band["bytes"] for band in cache["bands"]), default=0) or 1
    room = max(min(_BAR, width - 56), 4)
    for band in cache["bands"]:
        if not band["flows"] and (band["allowance"] == 0 or band["from"] > _NEVER):
            continue  # nothing is kept there, or the curve is stretched so far that nothing gets there
        full = band["bytes"] * room * 8 // most
        bar = "█" * (full // 8) + (" ▏▎▍▌▋▊▉"[full % 8].strip())
        table.add_row(
            _age(band), "all" if band["allowance"] is None else units.size(band["allowance"]),
            f"{band['flows']:,}", f"{band['packets']:,}", units.size(band["bytes"]), f"[cyan]{bar}[/]",
        )  # fmt: skip
    return table


_NEVER = 100 * 365 * units.DAY


def _age(band: dict[str, Any]) -> str:
    start, end = band["from"], band["to"]
    if not start:
        return "now" if end is None else f"up to {_ago(end)} ago"
    return f"{_ago(start)} and more" if end is None else f"{_ago(start)} to {_ago(end)}"


def _ago(ns: int) -> str:
    """An age, two digits of it."""
    for unit, size in (
        ("d", units.DAY),
        ("h", 3_600_000_000_000),
        ("min", 60_000_000_000),
        ("s", 1_000_000_000),
    ):
        if ns >= size:
            value = ns / size
            return f"{value:.1f} {unit}" if value < 10 and value % 1 >= 0.05 else f"{value:.0f} {unit}"
    return units.duration(ns)


def _inputs(inputs: list[dict[str, Any]]) -> RenderableType:
    table = _table("input", "kind", "state", "packets", "bytes", "lost", right="packets,bytes,lost")
    for one in inputs:
        table.add_row(
            _escaped(one["name"]), _escaped(one["kind"]), _escaped(one["state"]), f"{one['packets']:,}",
            units.size(one["bytes"]), f"{one['drops']:,}",
        )  # fmt: skip
        parts = one["interfaces"]
        if list(parts) != [one["name"]]:
            for name, count in sorted(parts.items()):
                table.add_row(
                    f"  {_escaped(name)}", "", "", f"{count['packets']:,}", units.size(count["bytes"]), ""
                )
    return table


def _errors(inputs: list[dict[str, Any]]) -> list[RenderableType]:
    """What is wrong with them, a line each."""
    lines = []
    for one in inputs:
        if one["error"]:
            known = one["error"].startswith(one["name"])
            lines.append(_escaped(one["error"] if known else f"{one['name']}: {one['error']}"))
    return [f"[red]{line}[/]" for line in lines]


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(safe(text))
