"""JA3, JA4, server name and protocols of every ClientHello, against what tshark reads.

tshark of Debian 12 knows no JA4: its lists go through the plain model. Only captures whose bytes hold something like a
hello are given to tshark, and of each flow the first hello is compared.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest

from tests.model.ja4 import Hello, ja3, ja4
from tests.oracle.conftest import DAMAGED_ON_PURPOSE

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

LIKE_A_HELLO = re.compile(
    rb"\x16\x03[\x00-\x04]..\x01|\x16\xfe[\xfd\xff]|[\xc0-\xff](?:\0\0\0\x01|\x6b\x33\x43\xcf|\xff\0\0|\xfa\xce\xb0|T05)",
    re.DOTALL,
)
FRAME = ("frame.number", "frame.protocols", "_ws.malformed", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst")
PORTS = ("tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport")
LISTS = (
    "handshake.type", "handshake.version", "handshake.extensions.supported_version", "handshake.ciphersuite",
    "handshake.extension.type", "handshake.extensions_supported_group", "handshake.extensions_ec_point_format",
    "handshake.sig_hash_alg", "handshake.sig_hash_alg_len", "handshake.extensions_alpn_str",
    "handshake.extensions_server_name", "handshake.ja3",
)  # fmt: skip
SAMPLE = 40
WITH_SIGNATURES = {13, 34, 50}
CARRIERS = {"tls", "dtls", "quic"}

Flow = tuple[str, frozenset[tuple[str, int]]]


def numbers(values: list[str]) -> list[int]:
    return [int(value, 0) for value in values]


def signatures(told: dict[str, list[str]]) -> list[int]:
    """tshark joins the lists of three extensions; that of signature_algorithms is wanted."""
    values, lengths = numbers(told["handshake.sig_hash_alg"]), numbers(told["handshake.sig_hash_alg_len"])
    kinds = [kind for kind in numbers(told["handshake.extension.type"]) if kind in WITH_SIGNATURES]
    at = 0
    for kind, length in zip(kinds, lengths, strict=False):
        if kind == 13:
            return values[at : at + length // 2]
        at += length // 2
    return []


def hellos(path: Path) -> Iterator[tuple[Flow, dict[str, Any]]]:
    """Flow and contents of each frame with one whole ClientHello and no other message."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "tls.handshake.type==1||dtls.handshake.type==1"]
    command += ["-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"]
    fields = [*FRAME, *PORTS, *(f"{layer}.{name}" for layer in ("tls", "dtls") for name in LISTS)]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    for line in done.stdout.splitlines():
        columns = dict(zip(fields, (v.split("|") if v else [] for v in line.split("\t")), strict=True))
        layer = "tls" if columns["tls.handshake.type"] else "dtls"
        told = {name: columns[f"{layer}.{name}"] for name in LISTS}
        proto = "tcp" if columns["tcp.srcport"] else "udp"
        ends = [columns["ip.src"] + columns["ipv6.src"], columns["ip.dst"] + columns["ipv6.dst"]]
        if told["handshake.type"] != ["1"] or columns["_ws.malformed"] or len(ends[0]) != 1:
            continue
        ports = (columns[f"{proto}.srcport"], columns[f"{proto}.dstport"])
        if not all(ports) or not told["handshake.ciphersuite"]:
            continue
        key = proto, frozenset((end[0], int(port[-1])) for end, port in zip(ends, ports, strict=True))
        quic = "quic" in columns["frame.protocols"][0]
        hello = Hello(
            carrier="q" if quic else "t" if layer == "tls" else "d",
            version=numbers(told["handshake.version"])[0],
            versions=numbers(told["handshake.extensions.supported_version"]),
            ciphers=numbers(told["handshake.ciphersuite"]),
            extensions=numbers(told["handshake.extension.type"]),
            groups=numbers(told["handshake.extensions_supported_group"]),
            points=numbers(told["handshake.extensions_ec_point_format"]),
            signatures=signatures(told),
            alpn=[name.encode() for name in told["handshake.extensions_alpn_str"]],
        )
        want: dict[str, Any] = {
            "ja4": ja4(hello),
            "sni": (told["handshake.extensions_server_name"] or [None])[0],
            "alpn": ",".join(name.decode() for name in hello.alpn) or None,
        }
        if hello.carrier == "t":
            want["ja3"] = told["handshake.ja3"][0]
            assert want["ja3"] == ja3(hello), f"{path.name}, frame {columns['frame.number'][0]}: the model"
        yield key, want


def ours(path: Path) -> dict[Flow, dict[str, Any]]:
    found: dict[Flow, dict[str, Any]] = {}
    for row in fk.open(path).flows(identify=True).to_dicts():
        ends = (row["client_ip"], row["client_port"]), (row["server_ip"], row["server_port"])
        key = row["proto"], frozenset(ends)
        if found.get(key, {}).get("ja4") is None:
            found[key] = row
    return found


def test_hellos_of_the_captures(captures: Path) -> None:
    paths = [
        path
        for path in captures.rglob("*.pcap*")
        if DAMAGED_ON_PURPOSE not in path.parts and LIKE_A_HELLO.search(path.read_bytes())
    ]
    compared, without, wrong = 0, 0, []
    # The same ones on every run; tshark takes half a second for each.
    paths.sort(key=lambda p: (zlib.crc32(str(p.relative_to(captures)).encode()), p))
    for path in paths if os.environ.get("FLOWKEEP_ORACLE") == "all" else paths[:SAMPLE]:
        first: dict[Flow, dict[str, Any]] = {}
        for key, want in hellos(path):
            first.setdefault(key, want)
        if not first:
            continue
        try:
            rows = ours(path)
        except fk.FlowkeepError:
            continue
        for key, want in first.items():
            row = rows.get(key)
            # TLS inside of another protocol (a proxy, a VPN, STUN first) is that protocol's flow.
            if row is None or CARRIERS.isdisjoint((row["service"] or "").split("/")):
                without += 1
                continue
            compared += 1
            got = {name: row[name] for name in want}
            if got != want:
                wrong.append(f"{path.relative_to(captures)} {key[0]} {got} is not {want}")
    print(f"{compared} hellos compared, {without} in other protocols, {len(wrong)} differ")
    assert compared > without * 10
    assert not wrong, "\n".join(wrong)
