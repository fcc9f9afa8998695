"""``flowkeep cache run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from ..cache.curve import DEFAULT, Curve
from ..cache.memory_text import default_memory, parse_memory
from ..cache.place import METRICS_PORT, PCAP_OVER_IP_PORT, own_socket, parse_endpoint
from ..errors import UsageError
from ..select import read_expression
from .options import SECONDS, SIZE
from .stream import complain

_PCAP = f"127.0.0.1:{PCAP_OVER_IP_PORT}"
_METRICS = f"127.0.0.1:{METRICS_PORT}"


@click.command()
@click.option(
    "-i",
    "--interface",
    "interfaces",
    multiple=True,
    metavar="NAME",
    help="Capture here; may be given several times.  [default: all, also those that come later]",
)
@click.option(
    "--read",
    "reads",
    multiple=True,
    metavar="FILE",
    help="Take a capture in, by the times of its packets; - is standard input.",
)
@click.option(
    "--listen", "listens", multiple=True, metavar="HOST:PORT", help="Take captures in by PCAP-over-IP."
)
@click.option(
    "--connect",
    "connects",
    multiple=True,
    metavar="HOST:PORT",
    help="Fetch a capture by PCAP-over-IP, again and again.",
)
@click.option(
    "--filter",
    "expression",
    metavar="EXPR",
    help="Only packets that match, as tcpdump would; the kernel looks.",
)
@click.option("--filter-file", metavar="FILE", help="Read the filter from a file; # begins a comment.")
@click.option("--promiscuous", is_flag=True, help="Also frames that are for others.")
@click.option(
    "--ring",
    type=SIZE,
    default="64MiB",
    show_default=True,
    metavar="SIZE",
    help="Buffer between the kernel and the cache, besides --memory, for each --interface.",
)
@click.option(
    "--snap-length",
    type=click.IntRange(64, 262_144),
    default=262_144,
    show_default=True,
    metavar="N",
    help="Bytes of a packet that are captured.",
)
@click.option(
    "--memory",
    metavar="SIZE",
    help="RAM for packets and all that is known of them: 500MB, or a share such as 2%."
    "  [default: 1 %, at least 40 MB]",
)
@click.option(
    "--curve",
    default=str(DEFAULT),
    show_default=True,
    metavar="STEPS",
    help="How the allowance of a flow falls with the time since it was last seen.",
)
@click.option(
    "--save", metavar="FILE", help="Keep the cache there when it is stopped, and go on with it at the start."
)
@click.option("--spill", metavar="DIR", help="Write what leaves the memory to trimmed captures there.")
@click.option("--disk", type=SIZE, metavar="SIZE", help="With --spill: room on the disk.")
@click.option(
    "--socket",
    metavar="PATH",
    help="Where questions are answered.  [default: flowkeep/cache.sock below XDG_RUNTIME_DIR, or below /run]",
)
@click.option(
    "--allow", multiple=True, metavar="USER", help="Who may ask, besides the cache's own user and root."
)
@click.option(
    "--pcap-over-ip",
    "pcap",
    is_flag=False,
    flag_value=_PCAP,
    metavar="[HOST:PORT]",
    help=f"Also answer Wireshark and others over TCP.  [when given alone: {_PCAP}]",
)
@click.option(
    "--pcap-over-ip-history",
    "history",
    default="0",
    show_default=True,
    metavar="SECONDS",
    help="How far back such an answer begins: 10min, 2h, all.",
)
@click.option(
    "--pcap-over-ip-format",
    "pcap_form",
    type=click.Choice(["pcapng", "pcap"]),
    default="pcapng",
    show_default=True,
    help="pcap holds packets of one link type.",
)
@click.option("--tls-cert", metavar="FILE", help="Certificate, to answer other machines there, inside TLS.")
@click.option("--tls-key", metavar="FILE", help="Its key.")
@click.option("--token-file", metavar="FILE", help="The secret that clients there have to know.")
@click.option(
    "--metrics",
    is_flag=False,
    flag_value=_METRICS,
    metavar="[HOST:PORT]",
    help=f"Numbers for Prometheus, on this machine.  [when given alone: {_METRICS}]",
)
@click.option("--user", metavar="USER", help="Who to be once everything is open.")
def run(
    interfaces: tuple[str, ...], reads: tuple[str, ...], listens: tuple[str, ...], connects: tuple[str, ...],
    memory: str | None, curve: str, socket: str | None, history: str,
    pcap_form: Literal["pcapng", "pcap"], **given: Any,
) -> int:  # fmt: skip
    """Capture packets and remember them in a fixed amount of RAM, until SIGTERM.

    As flows get older their tails are let go, so that the present is whole and the past keeps its beginnings.
    Without --interface, and unless packets come from somewhere else, all interfaces are captured.

    \b
    flowkeep cache run
    flowkeep cache run -i eth0 --memory 2% --save /var/lib/flowkeep/cache
    flowkeep cache run -i eth0 --pcap-over-ip --metrics --user nobody
    tcpdump -i eth0 -U -w - | flowkeep cache run --read -
    """
    from ..ops.cache_run import Face, Outside, Plan, run_cache

    outside = Outside.read(*(_path(given[name]) for name in ("tls_cert", "tls_key", "token_file")))
    if outside is not None and given["pcap"] is None:
        raise UsageError("certificate and token are for --pcap-over-ip HOST:PORT: say where to answer")
    if (given["spill"] is None) != (given["disk"] is None):
        raise UsageError("--spill DIR and --disk SIZE go together")
    face = None
    if given["pcap"] is not None:
        back = None if history == "all" else SECONDS.convert(history, None, None)
        face = Face(parse_endpoint(given["pcap"], PCAP_OVER_IP_PORT), outside, back, pcap_form)
    metrics = None if given["metrics"] is None else parse_endpoint(given["metrics"], METRICS_PORT)
    others = bool(reads or listens or connects)
    plan = Plan(
        socket=own_socket() if socket is None else Path(socket),
        memory=default_memory() if memory is None else parse_memory(memory),
        curve=Curve.parse(curve),
        interfaces=interfaces or (() if others else None),
        read=reads,
        listen=tuple(parse_endpoint(text, PCAP_OVER_IP_PORT) for text in listens),
        connect=tuple(parse_endpoint(text, PCAP_OVER_IP_PORT) for text in connects),
        filter=_filter(given["expression"], given["filter_file"]),
        promiscuous=given["promiscuous"],
        ring=given["ring"],
        snap_length=given["snap_length"],
        user=given["user"],
        allow=given["allow"],
        save=_path(given["save"]),
        spill=_path(given["spill"]),
        disk=given["disk"],
        pcap_over_ip=face,
        metrics=metrics,
    )
    run_cache(plan, complain)
    return 0


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _filter(expression: str | None, file: str | None) -> str | None:
    if file is None:
        return expression
    if expression is not None:
        raise UsageError("the filter is given with --filter or with --filter-file, not both")
    return read_expression(Path(file))
