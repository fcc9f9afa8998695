"""A filter lets through the very packets that tcpdump lets through.

`ip multicast` is not compared: up to some version libpcap takes 240.0.0.0/4 for multicast, too.

FLOWKEEP_ORACLE=all reads all real captures instead of a sample.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.errors import UsageError

from tests import wire
from tests.oracle.conftest import DAMAGED_ON_PURPOSE, sample

# fmt: off
EXPRESSIONS = [
    "", "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp", "igmp", "not ip", "not (ip or ip6)",
    "host 10.0.0.1", "src host 192.168.1.1", "dst host 192.168.1.1", "net 10.0.0.0/8", "src net 192.168.0.0/16",
    "dst net 172.16.0.0 mask 255.240.0.0", "net 10.1", "ip6 net fe80::/10", "ip6 host ff02::1", "dst net 224.0.0.0/4",
    "port 53", "tcp port 80", "udp port 53", "src port 443", "dst port 443", "tcp dst port 80 or 443", "port http",
    "portrange 1-1023", "tcp portrange 8000-9000", "src portrange 1024-65535", "not port 22",
    "ip proto 47", "ip proto \\tcp", "ip6 proto 17", "proto 50", "ether proto 0x86dd", "ether proto \\arp",
    "vlan", "vlan 5", "vlan and tcp", "vlan and vlan", "vlan and vlan and ip", "not vlan", "mpls", "mpls and ip",
    "mpls 16 and mpls", "pppoes", "pppoes and ip", "pppoes and tcp port 80", "pppoed",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", "tcp[tcpflags] & (tcp-rst|tcp-fin) != 0", "tcp[13] = 18",
    "icmp[icmptype] = icmp-echo", "icmp[icmptype] != icmp-echoreply", "icmp6[0] = 135",
    "ether host ff:ff:ff:ff:ff:ff", "ether dst 01:00:5e:00:00:fb", "ether multicast", "ether broadcast",
    "ip broadcast", "ether[0] & 1 = 0", "ether[12:2] > 1500", "greater 200", "less 100", "len > 500", "len % 2 = 0",
    "len / 100 = 3", "ip[2:2] - ((ip[0] & 0xf) << 2) > 100", "ip[6:2] & 0x1fff != 0", "ip[6] & 0x20 != 0",
    "ip[8] < 64", "ip[0] & 0xf > 5", "udp[4:2] > 100", "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    "tcp[0:2] ^ tcp[2:2] = 0", "port 22 or port 80 and host 10.0.0.1", "port 80 and host 10.0.0.1 or port 53",
    "not tcp and not udp", "not tcp or udp", "tcp or udp and greater 100", "!(tcp && port 80) || icmp",
    "wlan type mgt", "wlan type mgt subtype beacon", "wlan type data", "wlan addr2 ff:ff:ff:ff:ff:ff", "wlan type ctl",
    "llc", "stp", "isis", "geneve", "inbound", "outbound", "link[0] != 0", "atalk", "esp or ah", "ip and ip6",
]
# fmt: on
FILES = 16
"""Captures that are read unless all are."""


def by_tcpdump(path: Path, expression: str) -> list[tuple[bytes, int]] | None:
    """The packets that match, None where tcpdump refuses file or expression."""
    command = ["tcpdump", "-n", "-r", str(path), "-w", "-", expression]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        return None
    return [(r.data, r.wirelen) for r in wire.read(done.stdout).records]


def by_flowkeep(path: Path, expression: str, out: Path) -> list[tuple[bytes, int]]:
    report = fk.open(path, filter=expression).trim(1 << 60, output=out)
    assert report.total("packets") == report.total("packets_kept") + report.total("packets_dropped")
    assert report.total("bytes") == report.total("bytes_kept") + report.total("bytes_dropped")
    return [(r.data, r.wirelen) for r in wire.read((out / path.name).read_bytes()).records]


def readable(path: Path) -> bool:
    """Whether tcpdump reads all of the file, and changes no packet (it cuts what is longer than the snap length)."""
    if path.stat().st_size > 2_000_000:
        return False
    theirs = by_tcpdump(path, "")
    return theirs is not None and theirs == [
        (r.data, r.wirelen) for r in wire.read(path.read_bytes()).records
    ]


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
def test_the_packets_that_match_are_those_of_tcpdump(captures: Path, tmp_path: Path) -> None:
    paths = [p for p in fk.open(captures).paths if DAMAGED_ON_PURPOSE not in p.parts]
    everything = os.environ.get("FLOWKEEP_ORACLE") == "all"
    # Every link type and then some: those of the sample that hold something else than Ethernet come first.
    paths = (
        paths
        if everything
        else sorted(sample(paths, captures), key=lambda p: p.read_bytes()[20:24] == b"\1\0\0\0")
    )
    chosen = [p for p in paths if readable(p)]
    chosen = chosen if everything else chosen[: FILES // 2] + chosen[-FILES // 2 :]
    different, compared, matched = [], 0, 0
    for path in chosen:
        for expression in EXPRESSIONS:
            theirs = by_tcpdump(path, expression)
            if theirs is None:
                continue
            try:
                ours = by_flowkeep(path, expression, tmp_path / "out")
            except UsageError as error:
                different.append(f"{path.relative_to(captures)}: {expression!r}: refused: {error}")
                continue
            compared, matched = compared + 1, matched + bool(theirs)
            if ours != theirs:
                different.append(
                    f"{path.relative_to(captures)}: {expression!r}: {len(ours)}, tcpdump {len(theirs)}"
                )
    print(f"{len(chosen)} captures, {compared} comparisons, {matched} with packets")
    assert matched > 100
    assert different == []
