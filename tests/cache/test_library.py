"""The cache as a library."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.cache.curve import ALL, DEFAULT
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def dns(client: int, size: int = 100, question: bool = True) -> bytes:
    host, server = f"10.{client >> 16}.{client >> 8 & 255}.{client & 255}", "192.0.2.53"
    if question:
        return bytes(wire.ether(wire.ip4(host, server, wire.udp(40_000, 53, b"q" * 20))))
    return bytes(wire.ether(wire.ip4(server, host, wire.udp(53, 40_000, b"a" * size))))


def talk(cache: fk.Cache, time: int, client: int, size: int = 100) -> None:
    cache.add(dns(client), time)
    cache.add(dns(client, size, question=False), time + 1000)


def read(cache: fk.Cache, **query: object) -> list[wire.Record]:
    return list(wire.read(b"".join(cache.read(**query))).records)  # type: ignore[arg-type]


def accounted(cache: fk.Cache) -> None:
    status = cache.status()
    json.dumps(status)
    gone = status["let_go"].values()
    for what in ("packets", "bytes"):
        assert status["received"][what] == status["held"][what] + sum(each[what] for each in gone)
    assert status["used"]["total"] <= status["bound"]


def test_what_was_added_is_read_in_the_order_of_time() -> None:
    with fk.Cache(memory="4MiB") as cache:
        talk(cache, START + SECOND, 1)
        talk(cache, START, 2)
        cache.add(b"", START + 5, original=60, interface="eth1", link=101)
        records = read(cache)
        assert [r.ts_ns for r in records] == sorted(r.ts_ns for r in records)
        assert len(records) == 5
        accounted(cache)
        assert [i["name"] for i in cache.status()["interfaces"]] == ["", "eth1"]


def test_a_filter_times_and_flows_choose() -> None:
    cache = fk.Cache(memory="4MiB")
    for n in range(20):
        talk(cache, START + n * SECOND, n)
    assert len(read(cache, filter="host 10.0.0.7")) == 2
    assert len(read(cache, since=START + 15 * SECOND)) == 10
    assert len(read(cache, until=START + 4 * SECOND)) == 9
    rows = cache.flows().to_dicts()
    row = next(r for r in rows if r["client_ip"] == "10.0.0.3")
    assert (row["held_packets"], row["held_bytes"]) == (2, row["client_bytes"] + row["server_bytes"])
    for flow in (
        row["community_id"],
        row["flow_number"],
        "10.0.0.3:40000 192.0.2.53:53",
        "udp 192.0.2.53:53 10.0.0.3",
    ):
        assert len(read(cache, flows=flow)) == 2, flow
    assert len(read(cache, flows=[rows[0]["flow_number"], rows[1]["flow_number"]])) == 4
    assert cache.flows().to_polars()["flow_number"].n_unique() == 20
    assert cache.flows().top("held_bytes", 1).to_dicts()[0]["held_packets"] == 2
    with pytest.raises(fk.UsageError, match="names no flow"):
        cache.read(flows="nothing")


def test_a_flow_that_is_not_whole_says_so_in_the_capture() -> None:
    cache = fk.Cache(memory="1MiB", curve="1h=all,2h=20kB,1d=1kB")
    for n in range(400):
        for client in range(10):
            talk(cache, START + n * SECOND, client, 1400)
    accounted(cache)
    capture = b"".join(cache.read())
    assert b"are not held any more" in capture
    assert b"were let go: tail" in capture


def test_who_follows_gets_what_comes_and_can_be_stopped_while_it_waits() -> None:
    cache = fk.Cache(memory="4MiB")
    talk(cache, START, 1)
    reading = cache.read(follow=True)
    pieces: list[bytes] = []
    taker = threading.Thread(target=lambda: pieces.extend(reading))
    taker.start()
    for n in range(100):
        talk(cache, START + n * SECOND, n)
    reading.stop()
    taker.join(20)
    assert not taker.is_alive()
    assert (reading.matched, reading.lost, reading.ended) == (202, 0, True)
    assert len(list(wire.read(b"".join(pieces)).records)) == 202


def test_a_closed_cache_is_read_to_its_end_and_takes_no_more() -> None:
    cache = fk.Cache(memory="4MiB")
    talk(cache, START, 1)
    reading = cache.read(format="pcap")
    cache.close()
    assert len(list(wire.read(b"".join(reading)).records)) == 2
    with pytest.raises(fk.UsageError, match="closed"):
        cache.add(b"x", 0)


def test_saved_and_loaded(tmp_path: Path) -> None:
    cache = fk.Cache(memory="2MiB")
    for n in range(3000):
        talk(cache, START + n * SECOND, n, 300)
    cache.save(tmp_path / "store")
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o600
    again = fk.Cache.load(tmp_path / "store", "2MiB")
    assert read(again) == read(cache)
    assert again.flows().to_dicts() == cache.flows().to_dicts()
    accounted(fk.Cache.load(tmp_path / "store", "1MiB", curve="1d=500B"))
    damaged = bytearray((tmp_path / "store").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    for bad in (damaged, damaged[:100], b"", b"garbage" * 100):
        (tmp_path / "damaged").write_bytes(bad)
        with pytest.raises(fk.UsageError, match="damaged"):
            fk.Cache.load(tmp_path / "damaged")


def test_what_leaves_is_spilled_as_trimmed_captures(tmp_path: Path) -> None:
    cache = fk.Cache(memory="1MiB", curve="1h=all,1d=600B")
    cache.spill(tmp_path / "out", every="1h")
    for n in range(20_000):
        talk(cache, START + n * SECOND, n, 800)
    cache.close()
    files = sorted((tmp_path / "out").iterdir())
    captures = [path for path in files if path.suffix == ".pcapng"]
    assert len(captures) > 2 and len(files) == 2 * len(captures)
    flows = fk.open(tmp_path / "out").flows()
    scans = {scan["ledger"] for scan in flows.files}
    assert scans == {"used"}
    rows = flows.to_dicts()
    assert {row["client_packets"] + row["server_packets"] for row in rows} == {2}, "true totals"
    assert fk.open(tmp_path / "out").info().files


def test_a_spill_stays_within_its_disk(tmp_path: Path) -> None:
    cache = fk.Cache(memory="1MiB")
    cache.spill(tmp_path / "out", disk="2MB", every="1h")
    with pytest.raises(fk.UsageError, match="spills already"):
        cache.spill(tmp_path / "out")
    most = 0
    for n in range(20_000):
        talk(cache, START + n * SECOND, n, 800)
        if n % 1000 == 0:
            most = max(most, size(tmp_path / "out"))
    status = cache.native.spill_close()
    assert status is not None and status["error"] is None
    assert max(most, size(tmp_path / "out")) <= 2_000_000
    assert status["deleted"] > 0 and status["flows"] > 1000
    written = status["packets"] + status["lost"]
    assert written == cache.status()["let_go"]["old"]["packets"]


def size(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # it was renamed or deleted meanwhile
            continue
    return total


def test_curves_are_text_and_back() -> None:
    assert str(DEFAULT) == "1h=all,4h=1MB,1d=100kB,7d=10kB,14d=1kB"
    assert fk.Curve.parse("90s=all, 2h = 1KiB").steps == ((90 * SECOND, ALL), (7200 * SECOND, 1024))
    for bad, why in [
        ("", "no step"), ("1h", "no step"), ("2h=1MB,1h=1kB", "rise"), ("1h=1kB,2h=1MB", "fall"), ("1h=0", "keeps 0"),
        ("1h=1kB,2h=all", "fall"), ("x=1", "duration"), ("1h=x", "size"), (",".join(f"{n}s={99 - n}" for n in range(1, 20)), "16"),
    ]:  # fmt: skip
        with pytest.raises(fk.UsageError, match=why):
            fk.Curve.parse(bad)
    with pytest.raises(fk.UsageError, match="memory"):
        fk.Cache(memory=1000)


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**12)), min_size=1, max_size=8, unique_by=(lambda s: s[0], lambda s: s[1])))  # fmt: skip
def test_any_curve_is_read_as_it_is_written(steps: list[tuple[int, int]]) -> None:
    ages, sizes = sorted(s[0] for s in steps), sorted((s[1] for s in steps), reverse=True)
    curve = fk.Curve(tuple((age * SECOND, size) for age, size in zip(ages, sizes, strict=True)))
    assert fk.Curve.parse(str(curve)) == curve


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 1400), st.integers(-20, 600)),
        min_size=300,
        max_size=1500,
    )
)
def test_of_every_flow_what_is_held_is_its_beginning(events: list[tuple[int, int, int]]) -> None:
    """A plain list of what came against the cache: of flows that were never let go as a whole a beginning is held."""
    cache = fk.Cache(memory="1MiB", curve="10min=30kB,1h=5kB,1d=300B", options=fk.ReadOptions(idle_ns=0))
    came: dict[int, list[bytes]] = {}
    time = START
    for n, (client, size, wait) in enumerate(events * 3):
        time += wait * SECOND // 10
        frame = dns(client, size, question=n % 2 == 0)
        cache.add(frame, time)
        came.setdefault(client, []).append(frame)
    accounted(cache)
    for row in cache.flows().to_dicts():
        octets = row["client_ip"].split(".")
        total = row["client_packets"] + row["server_packets"]
        if octets[0] != "10" or total != len(came[int(octets[3])]):
            continue  # it began again
        held = [r.data for r in read(cache, flows=row["flow_number"])]
        assert len(held) == row["held_packets"] >= 1
        kept = sum(map(len, held))
        assert kept == row["held_bytes"] <= 30_000 or len(held) == 1
