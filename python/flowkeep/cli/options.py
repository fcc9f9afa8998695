"""Options and arguments that commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UsageError
from ..flow import ReadOptions
from ..select import read_expression
from ..select.query import FlowQuery
from ..units import Moment, parse_moment, parse_seconds, parse_size

if TYPE_CHECKING:
    from distributed import Client

    from ..cluster import Where

F = TypeVar("F", bound=Callable[..., Any])


T = TypeVar("T")


class _Unit(click.ParamType[T]):
    """A number with a unit."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except UsageError as error:
            self.fail(str(error), param, ctx)


BY_ENDING = "[default: by the ending of FILE (.csv, .json, .ndjson …), else table]"
"""For the help of ``--format``, see :func:`flowkeep.ops.export.choose_format`."""

SIZE = _Unit("size", parse_size)
SECONDS = _Unit("seconds", parse_seconds)
WHEN: _Unit[int | Moment] = _Unit("time", parse_moment)

paths = click.argument("paths", nargs=-1, required=True, metavar="PATH...")

_READ = [
    click.option("--filter", "expression", metavar="EXPR",
                 help="Look only at packets that match, as tcpdump would: 'tcp port 80 and net 10.0.0.0/8'."),
    click.option("--filter-file", metavar="FILE", help="Read the filter from a file; # begins a comment."),
    click.option("--filter-names", is_flag=True,
                 help="Host names in the filter may be looked up: name servers are asked for them."),
    click.option("--idle", type=SECONDS, default="60", show_default=True, metavar="SECONDS",
                 help="Silence that ends a flow that is not TCP; 0: never."),
    click.option("--tcp-idle", type=SECONDS, default="0", show_default=True, metavar="SECONDS",
                 help="The same for TCP; 0: never."),
    click.option("--outer", is_flag=True, help="Do not look into tunnels."),
    click.option("--key", type=click.Choice(["plain", "vlan"]), default="plain", show_default=True,
                 help="vlan: the same addresses in two VLANs are two flows."),
    click.option("--max-flows", type=click.IntRange(1, (1 << 32) - 1), default=1 << 24, show_default=True,
                 metavar="N", help="Flows that are tracked; packets of more are kept and counted."),
    click.option("-j", "--jobs", type=click.IntRange(0, 1024), default=0, metavar="N",
                 help="Threads; 0: one per core."),
    click.option("--quiet", is_flag=True, help="No progress."),
]  # fmt: skip


def reading(command: F) -> F:
    """Add the options that say how captures are read; they arrive as keywords, see :func:`read_options`."""
    for option in reversed(_READ):
        command = option(command)
    return command


def indexed(command: F) -> F:
    """Add ``--no-index``, to commands that use indexes."""
    return click.option("--no-index", is_flag=True, help="Do not use the index beside a capture.")(command)


def knowing(command: F) -> F:
    """Add ``--models``, to commands that identify flows; :func:`read_options` takes it."""
    return click.option(
        "--models", multiple=True, metavar="FILE",
        help="A model that flowkeep learn made, or a folder of them: its protocol is recognised, too; may be "
        "given several times.",
    )(command)  # fmt: skip


_CLUSTER = [
    click.option("--cluster", metavar="WHERE",
                 help="Let a Dask cluster do it: tcp://HOST:PORT of its scheduler, or local:N for N "
                 "processes here."),
    click.option("--spool", metavar="DIR",
                 help="With --cluster: a folder that all workers see, for what they hand on to one another."),
    click.option("--locality", is_flag=True,
                 help="With --cluster: workers have disks of their own, PATH is looked up on each of them."),
]  # fmt: skip


def clustered(command: F) -> F:
    """Add the options of commands that a cluster can do; :func:`on_cluster` takes them."""
    for option in reversed(_CLUSTER):
        command = option(command)
    return command


@contextmanager
def on_cluster(given: dict[str, Any], paths: tuple[str, ...]) -> Iterator[tuple[Client, Where] | None]:
    """The cluster that a command's keywords name, and the captures as it sees them; None: there is none."""
    if given["cluster"] is None:
        if given["spool"] is not None or given["locality"]:
            raise UsageError("--spool and --locality go with --cluster")
        yield None
        return
    from .. import cluster

    with cluster.connected(given["cluster"]) as client:
        yield client, cluster.find(client, paths, locality=given["locality"])


def read_options(given: dict[str, Any]) -> ReadOptions:
    """The :class:`ReadOptions` of a command's keywords."""
    expression = given["expression"]
    if given["filter_file"] is not None:
        if expression is not None:
            raise UsageError("the filter is given with --filter or with --filter-file, not both")
        expression = read_expression(Path(given["filter_file"]))
    return ReadOptions(
        idle_ns=given["idle"],
        tcp_idle_ns=given["tcp_idle"],
        outer=given["outer"],
        key_vlan=given["key"] == "vlan",
        max_flows=given["max_flows"],
        jobs=given["jobs"],
        filter=expression,
        filter_names=given["filter_names"],
        models=given.get("models") or (),
        index=not given.get("no_index", False),
    )


_SELECT = [
    click.option("-w", "--where", metavar="SQL",
                 help="Flows that meet a condition on columns, e.g. \"bytes > 1MB and duration > 10s\"; "
                 "durations are in seconds."),
    click.option("--flow-filter", metavar="EXPR",
                 help="Flows that match in either direction, as in tcpdump: 'tcp and not net 10.0.0.0/8'."),
    click.option("--flows-from", multiple=True, metavar="FILE",
                 help="Flows named in logs, alerts, CSV or any text, by address and port or Community ID; "
                 "- is standard input; may be given several times."),
    click.option("--flow", "flow_names", multiple=True, metavar="ID",
                 help="A flow by its flow_id or Community ID; may be given several times. A flow_id holds "
                 "for the same captures read with the same options only, a Community ID everywhere."),
    click.option("--network", "networks", multiple=True, metavar="CIDR",
                 help="Flows with an end in this network; several: in any of them."),
    click.option("--not", "invert", is_flag=True, help="The other flows: those that are not chosen."),
]  # fmt: skip
_TIMES = [
    click.option("--since", type=WHEN, metavar="TIME",
                 help="Flows seen at this time or later: 2024-05-01T12:00 (UTC), 2h for two hours ago, "
                 "end-2h for two hours before the last packet, start+10min."),
    click.option("--until", type=WHEN, metavar="TIME", help="Flows seen at this time or earlier."),
]  # fmt: skip


def selecting(command: F) -> F:
    """Add the options that choose flows; they arrive as keywords, see :func:`query`."""
    for option in reversed(_TIMES):
        command = option(command)
    return naming(command)


def naming(command: F) -> F:
    """The same, without the times at which flows were seen."""
    for option in reversed(_SELECT):
        command = option(command)
    return command


def query(given: dict[str, Any], paths: tuple[str, ...]) -> FlowQuery:
    """The :class:`FlowQuery` of a command's keywords."""
    if given["flows_from"].count("-") + paths.count("-") > 1:
        raise UsageError("standard input is one: it cannot be read twice, as captures and lists of flows")
    wanted = FlowQuery(
        where=given["where"],
        flow_filter=given["flow_filter"],
        flows_from=tuple(given["flows_from"]),
        flows=tuple(given["flow_names"]),
        networks=tuple(given["networks"]),
        since_ns=given["since"],
        until_ns=given["until"],
        invert=given["invert"],
    )
    if wanted.invert and not wanted:
        raise UsageError(
            "--not turns a choice around, and nothing is chosen: give a condition with it, such as "
            "--where \"server_port = 443\", --flow-filter 'port 443', --network or --flows-from"
        )
    return wanted
