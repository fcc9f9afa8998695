"""Plans and forecasts for people."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .. import units
from ..retain.forecast import Forecast, ForecastReport
from ..retain.model import Cut, DataSet, Decision, Plan, Policy, Tier
from ..retain.plan import age_text
from ..retain.report_html import allowance, days
from ..text import safe
from . import grid
from .render import _console, _text

_ORDER = ("delete", "flows-only", "cut", "compress", "keep")


def _tier(tier: Tier) -> str:
    if tier.kind != "cut":
        what = "only the flow table stays" if tier.kind == "flows-only" else "deleted"
    else:
        parts = []
        if tier.cutoff is not None:
            behind = {"cut": "", "headers": ", headers of the rest"}.get(
                tier.rest, f", {tier.rest} of the rest"
            )
            parts.append(f"first {units.cutoff(tier.cutoff)} of each flow{behind}")
        if tier.compress:
            parts.append(f"compressed ({tier.compress})")
        what = ", ".join(parts)
    when = "when the budget asks for it" if tier.after is None else f"from {age_text(tier.after)} on"
    return f"{when}: {what}"


def _budget(dataset: DataSet) -> str:
    budget = dataset.budget
    if budget is None:
        return "none"
    if budget.disk is not None:
        return f"{units.size(budget.disk)} on disk"
    if budget.free is not None:
        return f"{units.size(budget.free)} stay free"
    return f"{units.percent(budget.free_share or 0, 1)} of the file system stay free"


def policy_text(policy: Policy) -> str:
    """What a policy means, in words."""
    lines = [f"{safe(policy.path)}: {units.count(len(policy.datasets), 'data set')}, nothing wrong"]
    for dataset in policy.datasets:
        lines += ["", f"{dataset.name}"]
        lines += [f"  files   {safe(glob)}" for glob in dataset.include]
        lines += [f"  but not {safe(glob)}" for glob in dataset.exclude]
        lines.append(f"  budget  {_budget(dataset)}")
        lines += [f"  tier    {_tier(tier)}" for tier in dataset.tiers]
        for depth in dataset.depths:
            allowed = "all" if depth.cutoff is None else units.cutoff(depth.cutoff)
            lines.append(f"  depth   {safe(depth.service or depth.select or '')}: {allowed} of each flow")
        for lock in dataset.locks:
            what = lock.filter or lock.log or ", ".join(lock.community_ids or lock.hosts)
            lines.append(f"  lock    {safe(what)}" + (f" ({safe(lock.reason)})" if lock.reason else ""))
        if dataset.keep:
            lines.append(f"  keep    {', '.join(dataset.keep)}, before a file is first cut")
    return "\n".join(lines) + "\n"


_PLAN = grid.Layout(
    right=("now", "then"), going=("begins (UTC)", "now"),
    short={"file": grid.TEXT, "why": grid.Short(grid.middle, 60, 20)},
)  # fmt: skip


def _action(decision: Decision) -> str:
    action = decision.action
    if isinstance(action, Cut):
        rest = "" if action.rest == "cut" else f" +{action.rest}"
        compress = f" {action.compress}" if action.compress else ""
        return f"cut {units.cutoff(action.cutoff)}{rest}{compress}"
    return action.name


def _date(ns: int | None) -> str:
    return "-" if ns is None else units.time(ns, digits=0).replace("T", " ").rstrip("Z")


def _plan(made: Plan, *, every: bool, limit: int, color: bool, width: int) -> str:
    out = _console(color, width)
    wanted = [d for d in made.decisions if every or d.action.name != "keep"]
    shown = wanted[:limit] if limit else wanted
    base = os.path.commonpath([os.path.dirname(d.file.path) for d in shown]) if shown else ""
    rows = [
        [
            safe(os.path.relpath(d.file.path, base)), _date(d.file.first_ts), units.size(d.bytes_before),
            _action(d), units.size(d.bytes_after_estimate), safe(d.reason),
        ]
        for d in shown
    ]  # fmt: skip
    lines = [f"{made.dataset}: {units.count(len(made.decisions), 'file')} at {_date(made.now)} UTC"]
    if made.allowed is not None:
        over = "" if made.fits else "; this does not fit: not even after all that may be done"
        lines.append(f"budget: {units.size(made.allowed)} to be used now{over}")
    if made.hasten is not None:
        lines.append(f"the ages of the tiers were multiplied by {made.hasten:.3g} to fit")
    out.print("\n".join(lines), markup=False)
    if rows:
        out.print(f"in {safe(base)}", markup=False)
        note = grid.show(out, ("file", "begins (UTC)", "now", "action", "then", "why"), rows, _PLAN)
        if note:
            out.print(note, markup=False)
    if len(wanted) > len(shown):
        out.print(f"and {len(wanted) - len(shown):,} more: --limit 0 lists all of them", markup=False)
    counts = {name: sum(d.action.name == name for d in made.decisions) for name in _ORDER}
    said = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
    total = f"{units.size(made.bytes_before)} now, {units.size(made.bytes_after)} then"
    out.print(f"{said or 'no files'}; {total}", markup=False)
    return _text(out)


def plan_text(plans: Sequence[Plan], *, every: bool, limit: int, color: bool, width: int) -> str:
    """Plans as tables."""
    return "\n".join(_plan(made, every=every, limit=limit, color=color, width=width) for made in plans)


def _forecast(one: Forecast, color: bool, width: int) -> str:
    out = _console(color, width)
    of = one.sample
    out.print(
        f"{safe(one.name)}: {units.count(len(of.files), 'capture')}, {units.size(of.bytes)} over "
        f"{units.duration(of.span_ns)}, {units.size(of.inflow)} a day; room for {units.size(one.disk)}",
        markup=False,
    )
    left = [
        [
            units.cutoff(c.cutoff or 0), units.size(c.bytes), units.percent(c.bytes, of.bytes),
            f"{c.flows_whole:,}", units.percent(c.flows_whole, of.flows),
        ]
        for c in one.cutoffs
    ]  # fmt: skip
    heads = ("cutoff", "bytes", "of the bytes", "flows whole", "of the flows")
    grid.show(out, heads, left, grid.Layout(right=heads))
    rows = []
    for ladder in one.ladders:
        for n, step in enumerate(ladder.steps):
            rows.append([
                safe(ladder.name) if n == 0 else "", allowance(step),
                f"{days(step.begins / units.DAY)} - {days(step.ends / units.DAY)}", units.size(step.bytes),
                units.percent(step.residue, 1), units.percent(step.flows_whole, 1),
            ])  # fmt: skip
        if not ladder.complete:
            rows.append(["", "the disk is full", f"{days(ladder.days)}", "", "", ""])
    names = ("ladder", "kept of a flow", "days back", "bytes", "of the bytes", "flows whole")
    grid.show(out, names, rows, grid.Layout(right=names[2:], short={"ladder": grid.TEXT}))
    return _text(out)


def forecast_text(report: ForecastReport, *, color: bool, width: int) -> str:
    """Forecasts as tables."""
    return "\n".join(_forecast(one, color, width) for one in report.forecasts)
