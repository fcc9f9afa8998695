"""``flowkeep carve``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from .. import units
from ..errors import UsageError
from ..ops.carve import CarveReport, Level
from ..ops.carve import carve as carve_files
from ..ops.export import check_target, write_text
from ..places import place
from ..text import safe
from .progress import ProgressBar
from .stream import complain, talk


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="The pcapng capture to write; - is standard output."
)
@click.option(
    "--strict", "level", flag_value="strict", help="Only packets whose transport checksum is right."
)
@click.option(
    "--loose",
    "level",
    flag_value="loose",
    help="Also packets with a wrong transport checksum, and any IPv6 address.",
)
@click.option("--force", is_flag=True, help="Replace a capture that stands at -o already.")
@click.option("--report", metavar="FILE", help="Write what was found as JSON.")
@click.option(
    "-j", "--jobs", type=click.IntRange(0, 1024), default=0, metavar="N", help="Threads; 0: one per core."
)
@click.option("--quiet", is_flag=True, help="No progress.")
def carve(
    files: tuple[str, ...], output: str, level: Level | None, report: str | None, jobs: int, quiet: bool,
    force: bool,
) -> int:  # fmt: skip
    """Find packets in memory dumps, disk images and broken captures.

    FILE may be anything, also a device or - for standard input; gzip, zstd, lz4 and xz are looked into.
    Each packet says in its comment where it was found and what speaks for it.

    \b
    flowkeep carve memory.raw -o found.pcapng
    flowkeep carve broken.pcap disk.img.zst --strict -o found.pcapng
    """
    if output == "-" and sys.stdout.isatty():
        raise UsageError("a capture is binary: name a file with -o, or pipe it, e.g. | wireshark -k -i -")
    if report is not None:
        if Path(report).resolve() in [Path(name).resolve() for name in (*files, output)]:
            raise UsageError(f"--report {safe(report)}: the report would take the place of another file")
        check_target(report, ())
    with ProgressBar("carving", quiet=quiet) as bar:
        done = carve_files(
            files, output, level=level or "normal", jobs=jobs, force=force, progress=bar.update
        )
    if report is not None:
        write_text(json.dumps({**asdict(done), "output": str(done.output)}, indent=2) + "\n", place(report))
    _say(done)
    return int(any(file["damage"] for file in done.files))


def _say(done: CarveReport) -> None:
    for file in done.files:
        path = safe(file["path"])
        classes = ", ".join(f"{n} {name}" for name, n in file["classes"].items() if n)
        talk(
            f"{path}: {units.count(file['packets'], 'packet')} "
            f"({classes or 'none'}) in {units.size(file['scanned'])}; "
            f"{file['ethernet']} with Ethernet header, {file['timed']} with time\n"
        )
        if file["damage"]:
            offset, why = file["damage"]
            complain(
                f"{path}: the compressed data is broken behind byte {offset} of what came out: {safe(why)}; "
                "everything before it was used"
            )
    if str(done.output) != "-":
        click.echo(
            f"{safe(done.output)}: {units.count(done.packets, 'packet')}, {units.size(done.out_bytes)}",
            err=True,
        )
