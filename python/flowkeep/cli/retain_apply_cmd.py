"""``flowkeep retain apply``, ``watch`` and ``verify``: the commands that act, and the one that checks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ..ops.export import print_text
from .progress import ProgressBar
from .retain_cmd import WHEN, datasets, policy_file
from .stream import colored, complain, width


@click.command()
@policy_file
@datasets
@click.option(
    "--now", type=WHEN, metavar="TIME", help="Act as if it were this time (UTC), such as 2024-05-01."
)
@click.option("--json", "as_json", is_flag=True, help="Write what was done as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def apply(policy: str, names: tuple[str, ...], now: int | None, as_json: bool, quiet: bool) -> int:
    """Carry a policy out: cut, compress and remove what has come of age, oldest first.

    Each action is written into the journal before and after. Whatever stops it, each file is in its old
    state or in its new one; run again, it goes on.

    \b
    flowkeep retain apply sensor.toml
    flowkeep retain apply sensor.toml --dataset dmz --json
    """
    from ..ops.retain_apply import apply_policy
    from .render_apply import applied_dict, applied_text

    with ProgressBar("reading", quiet=quiet) as reading, ProgressBar("working", quiet=quiet) as working:
        report = apply_policy(policy, names, now=now, reading=reading.update, progress=working.update)
    if as_json:
        print_text(json.dumps(applied_dict(report), indent=2) + "\n")
    else:
        print_text(applied_text(report, color=colored(sys.stdout), width=width(sys.stdout)))
    for text in (*report.recovered, *report.warnings):
        complain(text)
    for done in report.applied:
        for text in (*done.plan.warnings, *done.warnings):
            complain(text)
        for outcome in done.outcomes:
            if outcome.state in ("left", "failed"):
                complain(outcome.why)
    return 0 if report.clean else 1


@click.command()
@policy_file
@click.option("--metrics", metavar="FILE.prom", help="Write numbers for Prometheus' node exporter.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Answer with the same on a port of this machine.",
)
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="End after N rounds.")
def watch(policy: str, metrics: str | None, port: int | None, rounds: int | None) -> int:
    """Carry a policy out again and again, as files come in and grow old.

    SIGHUP reads the policy anew, SIGTERM ends. Only one process works on an archive at a time.

    \b
    flowkeep retain watch sensor.toml
    flowkeep retain watch sensor.toml --metrics /var/lib/node_exporter/flowkeep.prom
    """
    from ..ops.retain_watch import watch as run

    run(policy, metrics=None if metrics is None else Path(metrics), port=port, rounds=rounds, say=complain)
    return 0


@click.command()
@policy_file
@click.option("--sizes", is_flag=True, help="Tell captures by their size; digest ledgers only.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def verify(policy: str, sizes: bool, as_json: bool, quiet: bool) -> int:
    """Check the archive of a policy against its journal: records, captures and ledgers.

    Exit status 1 when something is not as the journal says.

    \b
    flowkeep retain verify sensor.toml
    """
    from ..ops.retain_apply import verify as check
    from .render_apply import verified_dict, verified_text

    with ProgressBar("checking", quiet=quiet) as bar:
        report = check(policy, digests=not sizes, progress=bar.update)
    if as_json:
        print_text(json.dumps(verified_dict(report), indent=2) + "\n")
    else:
        print_text(verified_text(report))
    if report.broken is not None:
        complain(report.broken)
    return 0 if report.clean else 1
