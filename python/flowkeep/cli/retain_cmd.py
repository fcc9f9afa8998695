"""``flowkeep retain``: the commands that change nothing. Those that act are in ``retain_apply_cmd``."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec

import click

from .. import units
from ..ops.export import print_text
from ..text import safe
from .options import SIZE, _Unit
from .progress import ProgressBar
from .stream import colored, complain, width

WHEN = _Unit("time", units.parse_time)
ACTING = ("apply", "watch", "verify")
policy_file = click.argument("policy", type=click.Path(dir_okay=False), metavar="POLICY")
datasets = click.option(
    "--dataset",
    "names",
    multiple=True,
    metavar="NAME",
    help="This data set only; may be given several times.",
)


class _Retain(click.Group):
    """Commands by name; those that act are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        there = find_spec(".retain_apply_cmd", __package__) is not None
        return ["check", "plan", "forecast", *(ACTING if there else ())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ACTING and cmd_name in self.list_commands(ctx):
            command = getattr(import_module(".retain_apply_cmd", __package__), cmd_name)
            assert isinstance(command, click.Command)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Retain)
def retain() -> None:
    """Age an archive of captures through tiers, or fit it to a disk.

    A policy (TOML) says which files, after which time, are cut to what; see the guide.

    \b
    flowkeep retain check sensor.toml              is the policy right?
    flowkeep retain plan sensor.toml               what would be done now, and why
    flowkeep retain forecast captures/             what each cutoff would leave, days of history
    """


@retain.command()
@policy_file
def check(policy: str) -> int:
    """Check a policy file, and say what it means.

    \b
    flowkeep retain check sensor.toml
    """
    from ..ops.retain_plan import load
    from .render_retain import policy_text

    print_text(policy_text(load(policy)))
    return 0


@retain.command()
@policy_file
@datasets
@click.option(
    "--now", type=WHEN, metavar="TIME", help="Plan as if it were this time (UTC), such as 2024-05-01."
)
@click.option(
    "--no-scan", is_flag=True, help="Read no capture that has no ledger; take it to stay as large as it is."
)
@click.option(
    "--no-inventory", is_flag=True, help="Neither use nor keep what was found out about files before."
)
@click.option("--all", "every", is_flag=True, help="List files that stay as they are, too.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=40,
    show_default=True,
    metavar="N",
    help="List so many files of a data set at most; 0: all.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def plan(
    policy: str, names: tuple[str, ...], now: int | None, no_scan: bool, no_inventory: bool, every: bool,
    limit: int, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Say what is to become of each file, and why. Nothing is changed.

    A capture without a ledger is read once; what was found is kept in an inventory in the user's cache.

    \b
    flowkeep retain plan sensor.toml
    flowkeep retain plan sensor.toml --now 2024-06-01 --json
    """
    from ..ops.retain_plan import as_dict, plan_archive

    with ProgressBar("reading", quiet=quiet) as bar:
        plans = plan_archive(
            policy, names, now=now, scan=not no_scan, keep=not no_inventory, progress=bar.update
        )
    if as_json:
        print_text(json.dumps([as_dict(made) for made in plans], indent=2) + "\n")
    else:
        from .render_retain import plan_text

        print_text(
            plan_text(plans, every=every, limit=limit, color=colored(sys.stdout), width=width(sys.stdout))
        )
    warned = False
    for made in plans:
        for warning in made.warnings:
            complain(warning)
            warned = True
    return int(warned)


@retain.command()
@click.argument("paths", nargs=-1, required=True, metavar="POLICY|PATH...")
@datasets
@click.option(
    "--cutoff",
    "cutoffs",
    type=SIZE,
    multiple=True,
    metavar="SIZE",
    help="A cutoff for the curve; may be given several times.  [default: 1kB 10kB 100kB 1MB 10MB]",
)
@click.option(
    "--ladder",
    "ladders",
    multiple=True,
    metavar="TIERS",
    help="A ladder to try, such as '1MB:3d 100kB:6d 10kB:30d'; may be given several times.",
)
@click.option("--disk", type=SIZE, metavar="SIZE", help="Room for the archive.  [default: what is there now]")
@click.option("--inflow", type=SIZE, metavar="SIZE", help="Bytes a day that come in.  [default: as measured]")
@click.option("--html", metavar="FILE", help="Write a report with plots: one page that needs nothing else.")
@click.option("--force", is_flag=True, help="Replace FILE.")
@click.option("--now", type=WHEN, metavar="TIME", help="Forecast as if it were this time (UTC).")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def forecast(
    paths: tuple[str, ...], names: tuple[str, ...], cutoffs: tuple[int, ...], ladders: tuple[str, ...],
    disk: int | None, inflow: int | None, html: str | None, force: bool, now: int | None, as_json: bool,
    quiet: bool,
) -> int:  # fmt: skip
    """Say what ladders of cutoffs would leave: days of history, bytes by age, flows kept whole.

    From the data sets of a policy, or from captures that stand for what is to come. Nothing is changed.

    \b
    flowkeep retain forecast captures/ --disk 2TB
    flowkeep retain forecast sensor.toml --html forecast.html
    """
    from ..ops.retain_forecast import as_dict, forecast_archive

    with ProgressBar("reading", quiet=quiet) as bar:
        made = forecast_archive(
            paths, names, cutoffs=cutoffs, ladders=ladders, disk=disk, inflow=inflow, now=now,
            progress=bar.update,
        )  # fmt: skip
    if html is not None:
        from ..ops.retain_forecast import write_html

        write_html(made, html, force=force)
        complain(f"{safe(html)}: written")
    if as_json:
        print_text(json.dumps(as_dict(made), indent=2) + "\n")
    else:
        from .render_retain import forecast_text

        print_text(forecast_text(made, color=colored(sys.stdout), width=width(sys.stdout)))
    for warning in made.warnings:
        complain(warning)
    return int(bool(made.warnings))
