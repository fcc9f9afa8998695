"""``flowkeep learn``."""

from __future__ import annotations

from typing import Any

import click

from ..errors import UsageError
from ..ops.learn import LearnReport
from ..ops.learn import learn as learn_model
from ..ops.learn import merge as merge_models
from ..paths import find
from ..places import place
from ..text import safe
from . import notes
from .options import query, read_options, reading, selecting
from .progress import ProgressBar
from .stream import complain


@click.command()
@click.argument("given_paths", nargs=-1, required=True, metavar="NAME PATH...")
@click.option("-o", "--output", metavar="FILE", help="Where to; - is standard output.  [default: NAME.model]")
@click.option(
    "--merge",
    is_flag=True,
    help="Make one model of several: flowkeep learn --merge A.model B.model -o C.model",
)
@click.option("--force", is_flag=True, help="Replace a file of that name.")
@selecting
@reading
def learn(given_paths: tuple[str, ...], output: str | None, merge: bool, force: bool, **given: Any) -> int:
    """Teach a protocol by example: makes a model of flows, for --models.

    NAME is what the flows speak, PATH a capture, folder or glob. Without a condition all flows are examples;
    one is enough to begin, ten different ones make a model good. The model holds the first bytes of the
    examples: treat it as you treat the capture.

    \b
    flowkeep learn acme day/ --where "server_port = 4711"
    flowkeep learn acme day/ --flow 17 -o acme.model
    flowkeep flows other/ --models acme.model --where "service = 'acme'"
    flowkeep learn --merge acme.model more/acme.model -o both.model
    """
    if merge:
        if output is None:
            raise UsageError("--merge makes a file: name it with -o")
        if query(given, ()):
            raise UsageError("--merge adds model files: conditions choose flows of captures, leave them away")
        report = merge_models(given_paths, output=place(output), force=force)
        _say(report, output)
        return 0
    name, paths = given_paths[0], given_paths[1:]
    if not paths:
        raise UsageError("name the protocol first, then captures: flowkeep learn NAME PATH")
    target = f"{name}.model" if output is None else output
    if output is None and ("/" in name or name.startswith((".", "-"))):
        raise UsageError(f"{safe(name)} is no name of a protocol: it comes first, then captures")
    wanted, options = query(given, paths), read_options(given)
    found = find(paths)
    with ProgressBar("reading", quiet=given["quiet"]) as bar:
        report = learn_model(
            found, name, wanted, options, output=place(target), force=force, progress=bar.update
        )
    _say(report, target)
    notes.filtered(report.scans)
    damaged = notes.oddities(report.scans)
    return int(notes.skipped(found.skipped) or damaged)


def _say(report: LearnReport, output: str) -> None:
    """The table, on standard error when the model goes to standard output."""
    rows = [["over", "flows", "examples", "held out", "others", "needs", "confidence", "rests on"]]
    for part in report.parts:
        others = f"{part.others}" if part.highest is None else f"{part.others}, best {part.highest:.0f} bits"
        held = f"{part.held} of {part.held_of}" if part.held_of else "-"
        rows.append([
            part.carrier, f"{part.flows}", f"{part.examples}", held, others, f"{part.threshold:.0f} bits",
            f"up to {part.confidence}", part.rests_on,
        ])  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip(), err=output == "-")
    if output != "-":
        complain(f"{safe(output)}: a model of {report.name}, from {report.flows} of {report.of_flows} flows")
    for warning in report.warnings:
        complain(f"warning: {warning}")
