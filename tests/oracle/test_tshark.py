"""flowkeep and tshark agree on packets, 5-tuples and payload bytes of real captures.

FLOWKEEP_ORACLE=all reads all of them instead of a sample.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import flowkeep as fk
import polars
import pytest
from flowkeep import Flows

from tests.oracle import tshark
from tests.oracle.conftest import DAMAGED_ON_PURPOSE, sample
from tests.oracle.tshark import End, Reading, Tuple

# fmt: off
PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "dccp": 33, "ipv6": 41, "rsvp": 46, "gre": 47,
    "esp": 50, "ah": 51, "icmp6": 58, "eigrp": 88, "ospf": 89, "pim": 103, "vrrp": 112, "l2tp": 115,
    "sctp": 132, "udplite": 136,
}
# fmt: on
DIFFERENT = {
    "kerberos_fuzz.pcapng": "a TCP data offset below 5: flowkeep takes 20 bytes, tshark the field",
    "NullLoopback.pcap": "the family is an EtherType in odd byte order, which tshark guesses",
    "null_loopback.pcap": "as NullLoopback.pcap",
    "test2.rewrite_dltuser": "IPv6 behind the type of IPv4: malformed to flowkeep",
    "test.rewrite_layer2": "as test2.rewrite_dltuser",
    "ipv4-options.pcap": "source routes: flowkeep takes the header's address, tshark the last hop",
    "ip4_bad_fragment.pcap": "MPLS carries what only begins like IPv4, with a header longer than the frame",
    "bigtcp-ipv4-vxlan-ipv6.pcap": "UDP length 0 of BIG TCP: tshark does not look into VXLAN then",
    "ip6_frag_asan.pcap": "a fragment header of which 6 of 8 bytes are captured; flowkeep needs no more",
    "ipv6-mobility-header-oobr.pcap": "protocol 62 was a draft's number of mobility headers",
    "ipv6hdr-heapoverflow.pcap": "snapped within the extension headers: malformed to flowkeep",
}
"""Names of files on which the two differ for a reason."""

Ends = dict[End, tuple[int, int]]


@pytest.fixture(scope="module")
def paths(captures: Path) -> list[Path]:
    found = fk.open(captures).paths
    return sample([p for p in found if DAMAGED_ON_PURPOSE not in p.parts], captures)


def in_pool(work: Callable[[Path], list[str]], paths: list[Path]) -> list[str]:
    """All complaints about all files; two at a time, because most of the time goes to other programs."""
    with ThreadPoolExecutor(2) as pool:
        return [complaint for complaints in pool.map(work, paths) for complaint in complaints]


def tuples(flows: Flows) -> dict[Tuple, Ends]:
    """Packets and payload bytes of each end, summed over the sessions of a 5-tuple."""
    sides = []
    for here, there in (("client", "server"), ("server", "client")):
        names = (f"{here}_ip", f"{here}_port", f"{there}_ip", f"{there}_port")
        counts = (f"{here}_packets", f"{here}_payload_bytes")
        sides.append(
            flows.to_polars().select(
                "proto", *(polars.col(n).alias(f"column_{i}") for i, n in enumerate(names + counts))
            )
        )
    found: dict[Tuple, Ends] = {}
    for proto, ip, port, peer_ip, peer_port, packets, payload in polars.concat(sides).iter_rows():
        end, peer = (ip, port), (peer_ip, peer_port)
        number = PROTOCOLS[proto] if proto in PROTOCOLS else int(proto)
        ends = found.setdefault((number, frozenset((end, peer))), {end: (0, 0), peer: (0, 0)})
        ends[end] = (ends[end][0] + packets, ends[end][1] + payload)
    return found


def differences(flows: Flows, theirs: Reading) -> list[str]:
    """What the two say differently of one file."""
    if flows.files[0]["packets"] != theirs.packets:
        return [f"{flows.files[0]['packets']} packets, tshark {theirs.packets}"]
    mine = tuples(flows)
    found = [f"only flowkeep: {key} {mine[key]}" for key in mine.keys() - theirs.flows.keys()]
    found += [f"only tshark: {key} {theirs.flows[key]}" for key in theirs.flows.keys() - mine.keys()]
    for key in mine.keys() & theirs.flows.keys():
        for end, side in theirs.flows[key].items():
            packets, payload = mine[key][end]
            if packets != side.packets or (side.payload is not None and payload != side.payload):
                found.append(f"{key} from {end}: {mine[key][end]}, {side}")
    return found


@pytest.mark.skipif(not tshark.available(), reason="tshark is not installed")
def test_packets_tuples_and_payload_are_those_of_tshark(
    captures: Path, paths: list[Path], tmp_path: Path
) -> None:
    tshark.configure(tmp_path)

    def compare(path: Path) -> list[str]:
        theirs = tshark.read(path, tmp_path)
        if theirs.unread is not None or path.name in DIFFERENT:
            return []
        return [f"{path.relative_to(captures)}: {d}" for d in differences(fk.open(path).flows(), theirs)]

    assert in_pool(compare, paths) == []


@pytest.mark.skipif(not tshark.available(), reason="tshark is not installed")
def test_the_listed_files_still_differ(captures: Path, tmp_path: Path) -> None:
    tshark.configure(tmp_path)
    listed = [p for p in fk.open(captures).paths if p.name in DIFFERENT]

    def compare(path: Path) -> list[str]:
        same = not differences(fk.open(path).flows(), tshark.read(path, tmp_path))
        return [str(path.relative_to(captures))] if same else []

    agreed = in_pool(compare, listed)
    # Several captures may lie in several folders under one name: one that differs is enough.
    differ = {p.name for p in listed if str(p.relative_to(captures)) not in agreed}
    assert {p.name for p in listed} - differ == set()


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
def test_packets_are_as_many_as_tcpdump_counts(captures: Path, paths: list[Path]) -> None:
    def compare(path: Path) -> list[str]:
        command = ["tcpdump", "-n", "--count", "-r", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = re.search(r"^(\d+) packets?$", done.stdout, re.MULTILINE)
        if done.returncode != 0 or said is None:
            return []  # a damaged file, or a dialect that libpcap does not read
        (file,) = fk.open(path).flows().files
        same = file["packets"] == int(said[1])
        return [] if same else [f"{path.relative_to(captures)}: {file['packets']}, tcpdump {said[1]}"]

    assert in_pool(compare, paths) == []
