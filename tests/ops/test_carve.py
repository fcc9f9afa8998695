"""Packets planted in what is no capture come out, once, with what speaks for them."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from flowkeep import _native
from flowkeep.errors import UsageError
from flowkeep.ops.carve import CarveReport, carve

from tests import wire
from tests.cli import command


def talk() -> list[wire.Packet]:
    web = wire.tcp_session(script=[("c", b"GET / HTTP/1.1\r\n\r\n"), ("s", bytes(range(256)) * 20)])
    names = wire.udp_dialogue("[2001:db8::1]:5353", "[2001:db8::2]:53", script=[("c", b"who"), ("s", b"me")])
    return sorted([*web, *names], key=lambda p: p.ts_ns)


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def carved(tmp_path: Path, *images: bytes, **given: object) -> tuple[CarveReport, wire.Capture]:
    paths = []
    for i, image in enumerate(images):
        paths.append(tmp_path / f"image{i}.raw")
        paths[-1].write_bytes(image)
    report = carve(paths, tmp_path / "out.pcapng", force=True, **given)  # type: ignore[arg-type]
    return report, wire.read((tmp_path / "out.pcapng").read_bytes())


@pytest.mark.parametrize("form", ["pcap", "pcap-ns", "pcapng"])
@pytest.mark.parametrize("lost", [0, 7, 33])
def test_a_broken_capture_gives_its_packets_once_with_their_times(
    form: str, lost: int, tmp_path: Path
) -> None:
    packets = talk()
    capture = wire.pcapng(packets) if form == "pcapng" else wire.pcap(packets, ns=form == "pcap-ns")
    image = noise(1, 1001) + capture[: len(capture) - lost] + noise(2, 1001)
    report, out = carved(tmp_path, image)
    whole = packets if lost == 0 else packets[:-1]
    records = out.records[: len(whole)]
    assert [r.data for r in records] == [p.data for p in whole]
    unit = 1 if form == "pcap-ns" else 1000
    assert [r.ts_ns for r in records] == [p.ts_ns // unit * unit for p in whole]
    assert report.files[0]["timed"] >= len(whole)
    assert len(out.records) <= len(packets)


def test_bare_packets_are_found_at_odd_places_and_the_comment_says_where(tmp_path: Path) -> None:
    packets = talk()
    image, places = b"", []
    for i, p in enumerate(packets):
        image += noise(i, 997 + i)
        places.append(len(image))
        image += p.data
    report, out = carved(tmp_path, image + noise(99, 5))
    assert [r.data for r in out.records] == [p.data for p in packets]
    assert {r.ts_ns for r in out.records} == {0}
    said = [r.comment or "" for r in out.records]
    assert [text.split(":")[0] for text in said] == [f"carved from byte {p} of image0.raw" for p in places]
    assert "ipv4 header checksum, tcp checksum, ethernet header" in said[0]
    assert report.classes["checksum"] == len(packets) == report.packets
    assert report.scanned == len(image) + 5


def test_packets_without_a_link_header_are_raw_and_others_ethernet(tmp_path: Path) -> None:
    plain = wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(1, 2, b"plain"))
    tagged = wire.ether(wire.vlan(wire.vlan(plain, 7), 8, tpid=0x88A8))
    _, out = carved(tmp_path, bytes(50) + plain + bytes(50) + tagged + bytes(50))
    assert [(r.data, r.link) for r in out.records] == [
        (bytes(plain), 101),
        (bytes(tagged), 1),
    ]


def test_copies_in_memory_are_each_found(tmp_path: Path) -> None:
    frame = talk()[3].data
    page = (frame + bytes(64)).ljust(4096, b"\xcc")
    _, out = carved(tmp_path, page * 20)
    assert [r.data for r in out.records] == [frame] * 20


def test_threads_blocks_and_pipes_change_nothing(tmp_path: Path) -> None:
    image = b"".join(noise(i, 500 + i) + p.data for i, p in enumerate(talk() * 30))
    (tmp_path / "image").write_bytes(image)
    results = set()
    for jobs, block in [(1, None), (2, 1000), (4, 777), (3, 65536)]:
        carver = _native.Carver(str(tmp_path / "out"), jobs=jobs, block=block)
        carver.file(str(tmp_path / "image"), label="image")
        carver.finish()
        results.add((tmp_path / "out").read_bytes())
    done = command.run("carve", "-", "-o", "-", input=image)
    assert done.returncode == 0
    results.add(done.stdout.replace(b"of stdin:", b"of image:"))
    assert len({len(wire.read(r).records) for r in results}) == 1
    assert len({tuple((r.data, r.ts_ns) for r in wire.read(result).records) for result in results}) == 1
    assert len(results - {done.stdout}) <= 2


def test_compressed_images_are_looked_into_and_their_damage_is_named(tmp_path: Path) -> None:
    image = noise(1, 300_000) + talk()[0].data
    packed = gzip.compress(image)
    _, out = carved(tmp_path, packed)
    assert [r.data for r in out.records] == [talk()[0].data]
    (tmp_path / "cut.gz").write_bytes(gzip.compress(talk()[0].data + noise(2, 300_000))[:-5000])
    done = command.run("carve", tmp_path / "cut.gz", "-o", tmp_path / "cut.pcapng")
    assert done.returncode == 1
    assert "broken behind byte" in command.said(done)
    assert len(wire.read((tmp_path / "cut.pcapng").read_bytes()).records) == 1


def test_levels(tmp_path: Path) -> None:
    whole = wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(1, 2, bytes(40)))
    wrong = whole[:-1] + b"x"
    fragment = wire.ip4_fragments("10.0.0.1", "10.0.0.2", wire.udp(1, 2, bytes(40)), size=24, ident=5)[0]
    image = noise(1, 99) + wrong + noise(2, 99) + fragment + noise(3, 99) + whole + noise(4, 99)
    seen = {
        level: [r.data for r in carved(tmp_path, image, level=level)[1].records]
        for level in ("strict", "normal", "loose")
    }
    assert seen == {
        "strict": [bytes(whole)],
        "normal": [bytes(fragment), bytes(whole)],
        "loose": [wrong, bytes(fragment), bytes(whole)],
    }


def test_the_command_reports(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J.raw").write_bytes(noise(1, 5000) + talk()[0].data)
    done = command.run("carve", tmp_path / "a\x1b[2J.raw", "-o", tmp_path / "o", "--report", tmp_path / "r")
    assert done.returncode == 0
    assert "1 packet (1 checksum)" in command.said(done)
    assert json.loads((tmp_path / "r").read_text())["files"][0]["packets"] == 1
    assert "\\x1b" in (wire.read((tmp_path / "o").read_bytes()).records[0].comment or "")


def test_what_cannot_be_meant(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(UsageError, match="take its place"):
        carve([tmp_path / "a"], tmp_path / "a")
    with pytest.raises(UsageError, match="folder"):
        carve([tmp_path], tmp_path / "o")
    with pytest.raises(FileNotFoundError):
        carve([tmp_path / "none"], tmp_path / "o")
    with pytest.raises(UsageError, match="once"):
        carve(["-", "-"], tmp_path / "o")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]
    (tmp_path / "empty").write_bytes(b"")
    assert carve([tmp_path / "empty"], tmp_path / "o").packets == 0
    assert wire.read((tmp_path / "o").read_bytes()).records == []
