"""A running cache gives back what it took in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import flowkeep as fk
import polars as pl
import pytest

from tests import wire
from tests.cache.service import Service, connected, everything, frames, header, request, running
from tests.cli import command
from tests.wire import SECOND, START_NS

TCP = wire.tcp_session(script=[("c", b"GET / HTTP/1.1"), ("s", bytes(60_000))])
UDP = wire.udp_dialogue(start_ns=START_NS + 20 * SECOND)
AGAIN = wire.tcp_session(
    "10.0.0.1:40001", "10.0.0.2:443", [("c", bytes(10))], start_ns=START_NS + 100 * SECOND
)
PACKETS = wire.merged(TCP, UDP, AGAIN)
USAGE, OUTPUT, CACHE = 2, 7, 10


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "a.pcap").write_bytes(wire.pcap(PACKETS))
    with running(folder, "--read", folder / "a.pcap") as found:
        yield found


def ask(
    service: Service, what: str, *args: command.Argument, **rest: object
) -> subprocess.CompletedProcess[bytes]:
    return command.run("cache", what, "--socket", service.socket, *args, **rest)


def taken(service: Service, *args: command.Argument) -> list[tuple[int, bytes]]:
    """Times and bytes of the packets that a reading gives."""
    done = ask(service, "read", "-o", "-", *args)
    assert done.returncode == 0, command.said(done)
    return [(record.ts_ns, record.data) for record in wire.read(done.stdout).records]


def expected(packets: list[wire.Packet]) -> list[tuple[int, bytes]]:
    return [(packet.ts_ns, packet.data) for packet in packets]


def test_all_packets_come_back_in_the_order_of_time(service: Service) -> None:
    assert taken(service) == expected(PACKETS)
    assert taken(service, "--format", "pcap") == expected(PACKETS)


def test_packets_are_chosen_by_a_filter_and_by_time(service: Service, tmp_path: Path) -> None:
    assert taken(service, "--filter", "udp") == expected(UDP)
    (tmp_path / "filter").write_text("udp # or\nand port 53\n")
    assert taken(service, "--filter-file", tmp_path / "filter") == expected(UDP)
    since, until = START_NS + 20 * SECOND, START_NS + 99 * SECOND
    assert taken(service, "--since", f"{since / 1e9:.0f}", "--until", f"{until / 1e9:.0f}") == expected(UDP)
    assert taken(service, "--since", "end-50s") == expected(AGAIN)
    assert taken(service, "--until", "start+10s") == expected(TCP)
    assert taken(service, "--filter", "port 9") == []


def test_packets_are_chosen_by_flow(service: Service, tmp_path: Path) -> None:
    flows = json.loads(ask(service, "flows", "--format", "json").stdout)
    (udp,) = [flow for flow in flows if flow["proto"] == "udp"]
    for name in (
        udp["community_id"],
        str(udp["flow_id"]),
        "10.0.0.2:53 10.0.0.1:40000",
        "udp 10.0.0.1:40000 -> 10.0.0.2:53",
    ):
        assert taken(service, "--flow", name) == expected(UDP), name
    assert taken(service, "--where", "server_port = 53") == expected(UDP)
    assert taken(service, "--where", "server_port = 53", "--not") == expected(wire.merged(TCP, AGAIN))
    assert taken(service, "--flow-filter", "tcp and port 40001") == expected(AGAIN)
    assert taken(service, "--network", "10.0.0.0/8", "--where", "bytes > 10kB") == expected(TCP)
    assert taken(service, "--network", "192.0.2.0/24") == []
    (tmp_path / "list").write_text("alert: 10.0.0.1:40001 -> 10.0.0.2:443\n")
    assert taken(service, "--flows-from", tmp_path / "list") == expected(AGAIN)


def test_flows_are_those_of_the_capture(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(wire.pcap(PACKETS))
    real = fk.open(tmp_path / "a.pcap").flows().to_polars()
    for form, read in (("csv", pl.read_csv), ("parquet", pl.read_parquet), ("arrow", pl.read_ipc)):
        path = tmp_path / f"flows.{form}"
        assert ask(service, "flows", "-o", path).returncode == 0
        listed = read(path)
        assert listed["community_id"].to_list() == real["community_id"].to_list()
        assert listed["server_bytes"].to_list() == real["server_bytes"].to_list()
    listed = pl.read_parquet(tmp_path / "flows.parquet")
    assert listed.select(real.columns[1:]).equals(real.select(real.columns[1:]))
    assert listed["flow_id"].is_unique().all()
    assert listed["held_packets"].sum() == len(PACKETS)
    for form in ("zeek", "eve", "ndjson", "json", "table"):
        assert b"10.0.0.2" in ask(service, "flows", "--format", form).stdout
    first = json.loads(ask(service, "flows", "--sort", "bytes", "--limit", "1", "--format", "ndjson").stdout)
    assert first["server_port"] == 443
    seeded = ask(service, "flows", "--community-seed", "7", "--format", "json").stdout
    assert json.loads(seeded)[0]["community_id"] != real["community_id"][0]


def test_a_file_is_whole_and_no_other_capture_is_replaced(service: Service, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    done = ask(service, "read", "-o", out)
    assert done.returncode == 0
    assert f"{len(PACKETS)} packets" in command.said(done)
    assert [r.data for r in wire.read(out.read_bytes()).records] == [p.data for p in PACKETS]
    assert os.listdir(tmp_path) == ["out.pcapng"]
    done = ask(service, "read", "-o", out)
    assert done.returncode == USAGE
    assert "--force" in command.said(done)
    assert ask(service, "read", "--force", "--filter", "udp", "-o", out).returncode == 0
    assert len(wire.read(out.read_bytes()).records) == len(UDP)


def test_what_cannot_be_meant_is_refused(service: Service, tmp_path: Path) -> None:
    for args, word in [
        (("--filter", "tcp port"), "libpcap"), (("--filter", "host example.com"), "looked up"),
        (("--flow", "nonsense"), "names no flow"), (("--flow", "3", "--flow", "10.0.0.1:1 10.0.0.2:2"), "mixed"),
        (("--flow", "99"), "no flow 99"), (("--where", "1 +"), "--where"), (("--not",), "nothing is chosen"),
        (("--filter", "udp", "--filter-file", "x"), "not both"), (("--token-file", "x"), "--connect"),
        (("--connect", "tls://h:1"), "not by both"),
    ]:  # fmt: skip
        done = ask(service, "read", "-o", tmp_path / "x.pcapng", *args)
        assert done.returncode == USAGE, args
        assert word in command.said(done), args
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(service: Service, tmp_path: Path) -> None:
    done = ask(service, "read", "-o", tmp_path / "no" / "x.pcapng")
    assert done.returncode == OUTPUT
    assert "no" in command.said(done)
    with open("/dev/full", "wb") as full:
        done = ask(service, "read", "-o", "-", stdout=full)
    assert done.returncode == OUTPUT
    assert "standard output" in command.said(done)


def test_where_nothing_runs_is_said_what_to_do(tmp_path: Path) -> None:
    for what in ("status", "flows"):
        done = command.run("cache", what, "--socket", tmp_path / "none.sock")
        assert done.returncode == CACHE
        assert "flowkeep cache run" in command.said(done)


def test_the_answer_by_hand(service: Service) -> None:
    """As a script asks, without flowkeep: one line, one line, then frames, or bytes alone."""
    with connected(service.socket) as sock:
        sock.sendall(request(ask="read", filter="udp"))
        assert header(sock)["ok"] is True
        blocks, trailer = frames(everything(sock))
    assert (trailer["matched"], trailer["lost"]) == (len(UDP), 0)
    with connected(service.socket) as sock:
        sock.sendall(request(ask="read", filter="udp", frames=False))
        # Who sends a file and closes his side still gets the answer.
        sock.shutdown(1)
        assert header(sock)["ok"] is True
        assert everything(sock) == b"".join(blocks)


def test_the_status_adds_up(service: Service) -> None:
    status = service.status()
    cache = status["cache"]
    gone = sum(reason["packets"] for reason in cache["let_go"].values())
    assert cache["received"]["packets"] == cache["held"]["packets"] + gone == len(PACKETS)
    assert sum(one["received"]["packets"] for one in cache["interfaces"]) == len(PACKETS)
    assert cache["used"]["total"] <= cache["bound"] == 40_000_000
    assert (cache["oldest"], cache["newest"]) == (PACKETS[0].ts_ns, PACKETS[-1].ts_ns)
    done = ask(service, "status")
    text = done.stdout.decode()
    assert f"{len(PACKETS)} held of {len(PACKETS)} received" in text
    assert "2023-11-14 22:13:20" in text
    assert command.said(done) == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_when_told_and_leaves_no_socket(tmp_path: Path, number: int) -> None:
    with Service(tmp_path) as service:
        assert service.stop(number) == 0
        assert not service.socket.exists()
    command.fit(service.said())
