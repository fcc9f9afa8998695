"""``--compat trimpcap`` keeps what TrimPCAP 1.3 keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import flowkeep as fk
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compat.trimpcap import TrimPcap
from tests.wire import link, net, samples, transport
from tests.wire.read import Record, read
from tests.wire.talk import Packet
from tests.wire.write import pcap


def _trim(paths: list[Path], limit: int, out: Path, jobs: int = 0) -> list[list[Record]]:
    fk.open(*paths, options=fk.ReadOptions(jobs=jobs)).trim(
        fk.CutPolicy(limit, compat="trimpcap"), output=out
    )
    return [read((out / path.name).read_bytes()).records for path in paths]


def _expected(paths: list[Path], limit: int) -> list[list[Record]]:
    model = TrimPcap(limit)
    return [list(model.kept(read(path.read_bytes()).records)) for path in paths]


def _packet(host: int, port: int, size: int, start: float = 0.0) -> Packet:
    segment = transport.tcp(port, 80, bytes(size))
    return Packet(
        int(start * 1e9), link.ether(net.ip4(f"10.0.{host // 256}.{host % 256}", "192.0.2.1", segment))
    )


@pytest.mark.parametrize("kind", samples.LINKS)
def test_every_link_type(tmp_path: Path, kind: str) -> None:
    number, wrap = samples.LINKS[kind]
    packets = []
    for i in range(12):
        segment = transport.tcp(1000 + i % 3, 80, bytes(100))
        fine = net.ip4("10.0.0.1", "10.0.0.2", segment) if i % 2 else net.ip6("fe80::1", "fe80::2", segment)
        packets.append(Packet(i, wrap(fine)))
    capture = tmp_path / "a.pcap"
    capture.write_bytes(pcap(packets, link=number))
    assert _trim([capture], 400, tmp_path / "out") == _expected([capture], 400)


# (host, port, size) of packets; fragments and other protocols have a size below 0.
_PACKETS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 300), st.integers(0, 5)), max_size=80
)


def _any(host: int, port: int, size: int, kind: int, i: int) -> Packet:
    src, dst = (f"10.0.0.{host}", "192.0.2.1") if size % 2 else ("192.0.2.1", f"10.0.0.{host}")
    if kind == 0:
        body = net.ip4(src, dst, transport.udp(port, 53, bytes(size)))
    elif kind == 1:
        cut = net.ip4(src, dst, transport.tcp(port, 80, bytes(size)))[: 20 + size]
        return Packet(i, link.ether(cut, ethertype=0x0800))
    elif kind == 2:
        body = net.ip4_fragments(src, dst, transport.udp(port, 53, bytes(size + 64)), size=64, ident=i)[-1]
    elif kind == 3:
        body = net.ip6("2001:db8::1", "2001:db8::2", transport.udp(port, 53, bytes(size)))
    elif kind == 4:
        body = link.vlan(net.ip4(src, dst, transport.udp(port, 53, bytes(size))), 7)
    else:
        body = net.ip4(src, dst, transport.icmp(8, payload=bytes(size)))
    return Packet(i, link.ether(body))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(_PACKETS, min_size=1, max_size=3), limit=st.integers(0, 3000), jobs=st.integers(1, 3))
def test_any_packets_in_any_files(
    tmp_path: Path, parts: list[list[tuple[int, int, int, int]]], limit: int, jobs: int
) -> None:
    paths = []
    for n, part in enumerate(parts):
        # The later the file, the older its packets: the order of the command line is what counts.
        paths.append(tmp_path / f"{n}.pcap")
        packets = [_any(*made, i + 1000 * (9 - n)) for i, made in enumerate(part)]
        paths[-1].write_bytes(pcap(packets))
    assert _trim(paths, limit, tmp_path / "out", jobs) == _expected(paths, limit)


def test_more_flows_than_the_cache_holds(tmp_path: Path) -> None:
    packets = [_packet(0, 1, 900) for _ in range(30)]
    packets += [_packet(1 + i % 12_000, 1 + i // 12_000, 10) for i in range(15_000)]
    packets += [_packet(0, 1, 900) for _ in range(30)] + packets[40:9000:7]
    capture = tmp_path / "many.pcap"
    capture.write_bytes(pcap(packets))
    kept = _trim([capture], 5000, tmp_path / "out")
    assert kept == _expected([capture], 5000)
    assert sum(len(r.data) > 900 for r in kept[0]) == 2 * 5, "an evicted flow begins anew"


def test_real_captures(tmp_path: Path, captures: Path) -> None:
    compared = 0
    for path in sorted(captures.rglob("*.pcap"))[:1500:5]:
        data = path.read_bytes()
        try:
            records = read(data).records
        except Exception:
            continue
        if not records or path.stat().st_size > 1 << 20:
            continue
        done = fk.open(path).trim(fk.CutPolicy(3000, compat="trimpcap"), output=tmp_path)
        model = TrimPcap(3000)
        expected = [r.data for r in model.kept(records)]
        assert [r.data for r in read((tmp_path / path.name).read_bytes()).records] == expected, path
        assert done.total("packets_kept") == len(expected), path
        (tmp_path / path.name).unlink()
        compared += 1
    assert compared > 50


def test_command_and_ledger(tmp_path: Path) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(pcap([_packet(1, 1, 946) for _ in range(10)]))
    command = [
        sys.executable,
        "-m",
        "flowkeep",
        "trim",
        "3001",
        "a.pcap",
        "--in-place",
        "--compat",
        "trimpcap",
    ]
    done = subprocess.run([*command, "--report", "-"], cwd=tmp_path, capture_output=True, check=True)
    totals = json.loads(done.stdout)["totals"]
    assert (totals["packets"], totals["packets_kept"], totals["flows_cut"]) == (10, 3, 1)
    (row,) = fk.open(capture).flows().to_polars().to_dicts()
    assert row["client_packets"] + row["server_packets"] == 10, "the ledger tells what was there"
    with pytest.raises(fk.FlowkeepError, match="its own rules"):
        fk.CutPolicy(1, compat="trimpcap", tail=5)
