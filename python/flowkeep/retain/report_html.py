"""The forecast as one HTML page that needs nothing else: no scripts, no fonts, nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import __version__, units
from .forecast import Forecast, ForecastReport, Step
from .page_style import STYLE
from .svg import Axis, Bar, Line, Segment, bars, lines, text


def days(n: float) -> str:
    """Days as they read best."""
    return f"{n:,.0f}" if n >= 99.5 else f"{n:.1f}"


def allowance(step: Step) -> str:
    """What a stretch of history keeps of each flow."""
    if step.cutoff is None:
        return "whole"
    return units.cutoff(step.cutoff) + ("" if step.rest == "cut" else f", {step.rest}")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{text(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{text(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shades(one: Forecast) -> dict[str, int]:
    """Each allowance's colour: whole is the strongest."""
    found = {(s.cutoff is not None, -(s.cutoff or 0), allowance(s)) for r in one.ladders for s in r.steps}
    return {name: n for n, (_, _, name) in enumerate(sorted(found))}


def _picture(one: Forecast, shades: dict[str, int]) -> str:
    rows = []
    for ladder in one.ladders:
        pieces = [
            Segment(
                s.begins / units.DAY, s.ends / units.DAY, shades[allowance(s)],
                f"{allowance(s)}: {days(s.begins / units.DAY)} to {days(s.ends / units.DAY)} days, "
                f"{units.size(s.bytes)}, {units.percent(s.residue, 1)} of the bytes",
            )
            for s in ladder.steps
        ]  # fmt: skip
        note = f"{days(ladder.days)} days, {units.size(ladder.bytes)}"
        rows.append(Bar(ladder.name, note + ("" if ladder.complete else ", the disk is full"), pieces))
    key = "".join(
        f'<span><i class="s{min(n, 5)}"></i>{text(name)}</span>'
        for name, n in sorted(shades.items(), key=lambda i: i[1])
    )
    return bars("Days of history", rows, "days back") + f'<p class="key">{key}</p>'


def _ladders(one: Forecast) -> str:
    rows = []
    for ladder in one.ladders:
        for n, step in enumerate(ladder.steps):
            rows.append((
                ladder.name if n == 0 else "", allowance(step),
                f"{days(step.begins / units.DAY)} to {days(step.ends / units.DAY)}",
                units.size(step.bytes), units.percent(step.residue, 1), units.percent(step.flows_whole, 1),
            ))  # fmt: skip
    return _table(("Ladder", "Kept of a flow", "Days back", "Bytes", "Of the bytes", "Flows whole"), rows)


def _curve(one: Forecast) -> str:
    of = one.sample
    there = [left for left in one.curve if left.cutoff is not None]
    # Cutoffs that change nothing say nothing.
    last = next((n for n, left in enumerate(there) if left.flows_whole >= of.flows), len(there) - 1)
    there = there[: max(last + 1, 2)]
    x = Axis(there[0].cutoff or 1, there[-1].cutoff or 1, log=True)
    y = Axis(0, 100)
    bytes_ = [(float(left.cutoff or 0), 100 * left.bytes / max(of.bytes, 1)) for left in there]
    flows = [(float(left.cutoff or 0), 100 * left.flows_whole / max(of.flows, 1)) for left in there]
    ticks = x.ticks(), y.ticks()
    return lines(
        "Cutoff against bytes and flows",
        [Line("bytes left", bytes_, 1), Line("flows kept whole", flows, 3)],
        x, y, [units.cutoff(int(t)) + (" B" if t < 1000 else "") for t in ticks[0]],
        [f"{t:g} %" for t in ticks[1]], "cutoff, bytes of each flow", ticks=ticks,
    )  # fmt: skip


def _by_age(one: Forecast) -> str:
    given = []
    most_days = max([r.days for r in one.ladders], default=1.0)
    for n, ladder in enumerate(one.ladders[:6]):
        points: list[tuple[float, float]] = []
        for step in ladder.steps:
            a_day = one.sample.inflow * step.residue
            points += [(step.begins / units.DAY, a_day), (step.ends / units.DAY, a_day)]
        if points:
            given.append(Line(_short(ladder.name), [*points, (points[-1][0], 0.0)], n, steps=True))
    x, y = Axis(0, most_days or 1.0), Axis(0, one.sample.inflow * 1.08)
    ticks = x.ticks(), y.ticks()
    return lines(
        "Bytes by age", given, x, y, [f"{t:g}" for t in ticks[0]], [units.size(t) for t in ticks[1]],
        "days back; bytes on disk for each day", ticks=ticks,
    )  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


def _now(one: Forecast) -> str:
    x = Axis(0, max([age[0] for age in one.ages], default=0) + 1)
    y = Axis(0, max([max(age[1], age[2]) for age in one.ages], default=1) * 1.08)
    ticks = x.ticks(), y.ticks()

    def stairs(column: int) -> list[tuple[float, float]]:
        points: list[tuple[float, float]] = []
        end = 0.0
        for age in one.ages:
            if age[0] > end:
                points += [(end, 0.0), (float(age[0]), 0.0)]
            points += [(float(age[0]), float(age[column])), (age[0] + 1.0, float(age[column]))]
            end = age[0] + 1.0
        return [*points, (end, 0.0)]

    return lines(
        "The archive now",
        [Line("before trimming", stairs(2), 5, steps=True), Line("on disk", stairs(1), 0, steps=True)],
        x, y, [f"{t:g}" for t in ticks[0]], [units.size(t) for t in ticks[1]], "age in days", ticks=ticks,
    )  # fmt: skip


def _section(one: Forecast) -> str:
    of = one.sample
    whole = one.ladders[0]
    best = max(one.ladders, key=lambda r: r.days)
    lead = f"A disk of {units.size(one.disk)} holds {days(whole.days)} days of whole traffic" + (
        f"; with “{best.name}” it reaches back {days(best.days)} days." if best.days > whole.days else "."
    )
    about = (
        f"Forecast from {units.count(len(of.files), 'capture')} with {units.count(of.flows, 'flow')} and "
        f"{units.size(of.bytes)} over {units.duration(of.span_ns)}; {units.size(of.inflow)} come in a day."
    )
    rows = [
        (
            units.cutoff(left.cutoff or 0), units.size(left.bytes), units.percent(left.bytes, of.bytes),
            f"{left.flows_whole:,}", units.percent(left.flows_whole, of.flows),
        )
        for left in one.cutoffs
    ]  # fmt: skip
    shades = _shades(one)
    parts = [
        f"<h2>{text(one.name)}</h2><p>{text(lead)}</p><p class=soft>{text(about)}</p>",
        f"<h2>Days of history</h2><div class=card>{_picture(one, shades)}</div>",
        f"<div class=card>{_ladders(one)}</div>",
        f"<h2>Bytes by age</h2><div class=card>{_by_age(one)}</div>",
        f"<h2>What a cutoff leaves</h2><div class=card>{_curve(one)}</div>",
        "<div class=card>"
        + _table(("Cutoff", "Bytes left", "Of the bytes", "Flows whole", "Of the flows"), rows)
        + "</div>",
    ]
    if one.ages:
        parts.append(f"<h2>The archive now</h2><div class=card>{_now(one)}</div>")
    return "".join(parts)


def page(report: ForecastReport) -> str:
    """The page."""
    warnings = "".join(f"<li>{text(w)}</li>" for w in report.warnings[:100])
    more = len(report.warnings) - 100
    if more > 0:
        warnings += f"<li>and {more:,} more</li>"
    body = "".join(_section(one) for one in report.forecasts)
    if report.notes:
        notes = "".join(f"<li>{text(note)}</li>" for note in report.notes[:100])
        body += f"<h2>Keep in mind</h2><ul class=soft>{notes}</ul>"
    if warnings:
        body += f"<h2>Left out</h2><ul class=soft>{warnings}</ul>"
    when = units.time(report.now, digits=0)
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name=viewport content="width=device-width, initial-scale=1"><title>Retention forecast</title>'
        f"<style>{STYLE}</style></head><body><main><h1>Retention forecast</h1>"
        f"<p class=soft>{text(when)} · flowkeep {text(__version__)} · nothing was changed</p>"
        f"{body}</main></body></html>\n"
    )
