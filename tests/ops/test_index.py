"""Results are the same with an index as without, and an index that does not fit is not used."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import flowkeep as fk
import pytest
from flowkeep.paths import INDEX, find
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.cli import command
from tests.props.traffic import traffic
from tests.wire import MILLISECOND, SECOND, START_NS, Interface, Packet

NO_INDEX = fk.ReadOptions(index=False)


def scans(flows: fk.Flows) -> list[dict[str, object]]:
    """What was found in the files, but for the word on the index."""
    return [{k: v for k, v in scan.items() if k not in ("index", "index_note")} for scan in flows.files]


def used(flows: fk.Flows) -> str:
    return flows.files[0]["index"]


def index_of(path: Path) -> Path:
    return path.with_name(path.name + INDEX)


def talks(count: int = 30) -> list[Packet]:
    """Short conversations side by side, fragments that come early, and what is no flow."""
    packets: list[Packet] = []
    for n in range(count):
        at = START_NS + n * 3 * MILLISECOND
        client = f"10.0.{n % 3}.{n}:{40000 + n}"
        packets += wire.tcp_session(client, "10.9.0.1:80", [("c", b"GET"), ("s", bytes(2500))], start_ns=at)
        packets += wire.udp_dialogue(client, "10.9.0.53:53", [("c", b"who"), ("s", b"me")], start_ns=at)
    pieces = wire.ip4_fragments("10.0.0.1", "10.0.0.2", wire.udp(7, 9, bytes(2000)), size=600, ident=7)
    packets += [Packet(START_NS + i, bytes(wire.ether(p))) for i, p in enumerate(reversed(pieces))]
    lost = wire.ip4_fragments("10.0.0.3", "10.0.0.4", wire.udp(7, 9, bytes(2000)), size=600, ident=8)[1:]
    packets += [Packet(START_NS + 9 * MILLISECOND + i, bytes(wire.ether(p))) for i, p in enumerate(lost)]
    packets += [Packet(START_NS + 5 * MILLISECOND, bytes(wire.ether(wire.arp("10.0.0.1", "10.0.0.2"))))]
    return wire.merged(packets)


def sections(packets: Sequence[Packet]) -> bytes:
    """A pcapng file of two sections with two interfaces each, of different resolutions."""
    half = len(packets) // 2
    faces = [Interface(name="eth0", resolution=9), Interface(name="eth1", resolution=6)]
    return wire.pcapng(packets[:half], interfaces=faces) + wire.pcapng(packets[half:], interfaces=faces[::-1])


FORMS: dict[str, Callable[[Sequence[Packet]], bytes]] = {
    "pcap": wire.pcap,
    "pcap-ns-big": lambda packets: wire.pcap(packets, ns=True, order=">"),
    "pcapng": wire.pcapng,
    "sections": sections,
    "gzip": lambda packets: gzip.compress(wire.pcap(packets, ns=True)),
    "damaged": lambda packets: wire.pcap(packets) + b"half a record",
}


def same(path: Path, query: fk.FlowQuery, **rest: object) -> None:
    """Extract with the index and without, and compare all bytes."""
    outs = [path.parent / "with", path.parent / "without"]
    reports = []
    for out, options in zip(outs, [fk.ReadOptions(), NO_INDEX], strict=True):
        reports.append(fk.open(path, options=options).extract(out, query, **rest))  # type: ignore[arg-type]
    assert [r.scans[0]["index"] for r in reports] == ["used", "none"]
    assert command.tree(outs[0]) == command.tree(outs[1])
    if outs[0].is_file():
        assert outs[0].read_bytes() == outs[1].read_bytes()
    first, second = reports
    for name in ("flows", "of_flows", "packets", "bytes", "out_bytes", "files"):
        assert getattr(first, name) == getattr(second, name), name
    for out in outs:
        shutil.rmtree(out) if out.is_dir() else out.unlink()


@given(st.data(), traffic(), st.sampled_from(sorted(FORMS)))
@settings(max_examples=150, deadline=None)
def test_the_result_is_the_same(data: st.DataObject, packets: list[Packet], form: str) -> None:
    with TemporaryDirectory() as name:
        path = Path(name) / "in"
        path.write_bytes(FORMS[form](packets))
        (made,) = fk.open(path).index().files
        assert made.outcome == "made"
        plain, fast = fk.open(path, options=NO_INDEX).flows(), fk.open(path).flows()
        assert used(fast) == "used"
        assert fast.to_dicts() == plain.to_dicts()
        assert scans(fast) == scans(plain)
        assert made.flows == len(plain)
        if len(plain):
            ids = data.draw(st.sets(st.integers(0, len(plain) - 1), min_size=1))
            names = [str(i) for i in ids]
            for i in data.draw(st.sets(st.sampled_from(sorted(ids)))):
                names.append(plain.to_dicts()[i]["community_id"] or names[0])
            same(path, fk.FlowQuery(flows=tuple(names), invert=data.draw(st.booleans())))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "query",
    [
        fk.FlowQuery(flows=("3", "17")),
        fk.FlowQuery(where="server_port = 53"),
        fk.FlowQuery(where="server_port = 9 or client_port = 9"),
        fk.FlowQuery(networks=("10.0.0.3/32",)),
        fk.FlowQuery(networks=("10.0.1.0/24",), invert=True),
        fk.FlowQuery(where="false"),
        fk.FlowQuery(where="true"),
        fk.FlowQuery(flows=("1:" + "A" * 27 + "=",)),
    ],
    ids=repr,
)
def test_queries_forms_and_splits(form: str, query: fk.FlowQuery, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(FORMS[form](talks()))
    fk.open(path).index()
    same(path, query)
    if form != "damaged":
        same(path, query, form="pcapng")
        same(path, query, split="flow")
        same(path, query, split="host")
    if form in ("sections", "pcap"):
        same(path, query, form="pcap", compression="zstd")


def test_what_is_no_packet_goes_out_also_when_nothing_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(sections([]))
    fk.open(path).index()
    same(path, fk.FlowQuery(where="true"))


def test_simple_packets_have_the_times_of_their_neighbours(tmp_path: Path) -> None:
    """They cannot be read one by one; the index saves the listing alone."""
    block = bytearray(wire.pcapng(talks(2)))
    data = talks(1)[0].data
    body = len(data).to_bytes(4, "little") + data + bytes(-len(data) % 4)
    size = (len(body) + 12).to_bytes(4, "little")
    path = tmp_path / "in"
    path.write_bytes(bytes(block) + (3).to_bytes(4, "little") + size + body + size)
    (made,) = fk.open(path).index().files
    assert made.note is not None and "single packets" in made.note
    same(path, fk.FlowQuery(flows=("1",)))
    same(path, fk.FlowQuery(where="true"), split="flow")


def big(folder: Path, seed: int = 1) -> Path:
    """A capture larger than all that is sampled of it."""
    chance = random.Random(seed)
    packets = []
    for n in range(1500):
        client = f"10.0.{n % 7}.{n % 200 + 1}:{10_000 + n}"
        body = chance.randbytes(1200)
        packets += wire.udp_dialogue(client, "10.9.9.9:53", [("c", body), ("s", body)], start_ns=START_NS + n)
    path = folder / "big.pcap"
    path.write_bytes(wire.pcap(packets))
    assert path.stat().st_size > 3 << 20
    return path


def refused(path: Path, word: str) -> None:
    """The index is not used, which is said, and results are right."""
    done = command.run("flows", path, "--format", "csv", "--no-index")
    quick = command.run("flows", path, "--format", "csv")
    assert command.said(quick).count("index") >= 1
    assert word in command.said(quick)
    assert len(command.said(quick).splitlines()) == 1 + command.said(done).count("\n")
    assert quick.stdout == done.stdout
    out = path.parent / "out"
    told = command.run("extract", path, "--flow", "7", "-o", out)
    assert word in command.said(told)
    result = out.read_bytes()
    command.run("extract", path, "--flow", "7", "-o", out, "--no-index")
    assert out.read_bytes() == result
    out.unlink()


def test_a_capture_that_changed_has_no_index(tmp_path: Path) -> None:
    path = big(tmp_path)
    fk.open(path).index()
    assert used(fk.open(path).flows()) == "used"
    before = path.stat()
    content = bytearray(path.read_bytes())

    # One byte of one packet, between the samples, size and time as they were.
    content[200_000 + 40] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    refused(path, "changed, renamed or copied")
    assert command.run("index", path, "--verify").returncode == 1

    # The same command looks, finds another content, and indexes anew.
    assert [f.outcome for f in fk.open(path).index().files] == ["made"]
    assert used(fk.open(path).flows()) == "used"

    with path.open("ab") as file:
        file.write(wire.pcap(talks(1))[24:])
    refused(path, "bytes, it had")

    path.write_bytes(content)
    fk.open(path).index()
    other = tmp_path / "other"
    other.mkdir()
    os.replace(big(other, seed=2), path)
    refused(path, "written to")


def test_a_moved_or_copied_capture_is_recognized(tmp_path: Path) -> None:
    path = big(tmp_path)
    fk.open(path).index()
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy2(path, there)
    shutil.copy2(index_of(path), there)
    copy = there / path.name
    refused(copy, "flowkeep index")
    made = index_of(copy).read_bytes()
    assert command.run("index", copy, "--verify").returncode == 1
    assert index_of(copy).read_bytes() == made
    assert [f.outcome for f in fk.open(copy).index().files] == ["renewed"]
    assert [f.outcome for f in fk.open(copy).index().files] == ["kept"]
    assert used(fk.open(copy).flows()) == "used"
    assert command.run("index", copy, "--verify").returncode == 0
    path.touch()
    refused(path, "written to")
    assert [f.outcome for f in fk.open(path).index().files] == ["renewed"]


def test_an_index_made_with_other_options_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "in.pcap"
    path.write_bytes(wire.pcap(talks()))
    fk.open(path, options=fk.ReadOptions(idle_ns=SECOND, key_vlan=True)).index()
    refused(path, "made with another --idle, --key")
    options = fk.ReadOptions(idle_ns=SECOND, key_vlan=True, max_flows=1000, jobs=1)
    assert used(fk.open(path, options=options).flows()) == "used"
    few = fk.ReadOptions(idle_ns=SECOND, key_vlan=True, max_flows=3)
    assert used(fk.open(path, options=few).flows()) == "misfit"
    assert len(fk.open(path, options=few).flows()) == 3


def test_other_packets_at_the_places_are_noticed(tmp_path: Path) -> None:
    """Were all stamps to lie, a record of another flow would still not come out."""
    path = tmp_path / "in.pcap"
    one, other = (
        wire.udp_dialogue(f"10.0.0.{n}:1000", "10.9.9.9:53", [("c", bytes(50))] * 400, start_ns=START_NS)
        for n in (1, 2)
    )
    path.write_bytes(wire.pcap([*one, *other]))
    fk.open(path).index()
    index = fk._native.Index(str(index_of(path)), str(path))  # opened, and only then is the capture changed
    with path.open("r+b") as file:
        file.write(wire.pcap([*other, *one]))
    with pytest.raises(fk.IndexMisfitError, match="another packet stands there"):
        index.rehearse(str(path), None, [0])
    with path.open("r+b") as file:
        file.truncate(3000)
    with pytest.raises(fk.IndexMisfitError, match="shorter"):
        index.rehearse(str(path), None, [1])


def test_a_damaged_index_is_noticed_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "in.pcapng"
    path.write_bytes(sections(talks(6)))
    fk.open(path).index()
    whole, options = index_of(path).read_bytes(), fk.ReadOptions()
    right = fk.open(path, options=NO_INDEX).flows().to_dicts()

    def opened() -> str:
        """Read all there is in the index."""
        index = fk._native.Index(str(index_of(path)), str(path), **options.sessions())
        rows = index.flows().to_pylist()
        index.rehearse(str(path), None, list(range(len(index))))
        assert rows == right
        return "read"

    assert opened() == "read"
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 1 << at % 8
        index_of(path).write_bytes(broken)
        with pytest.raises(fk.IndexMisfitError):
            opened()
    for size in (*range(0, len(whole), 7), len(whole) - 1):
        index_of(path).write_bytes(whole[:size])
        with pytest.raises(fk.IndexMisfitError):
            opened()
    index_of(path).write_bytes(whole + b"\0")
    with pytest.raises(fk.IndexMisfitError):
        opened()
    for at in range(12, len(whole), 97):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        index_of(path).write_bytes(broken)
        flows = fk.open(path).flows()
        assert flows.to_dicts() == right  # by the index, if the damage is where packets lie
        report = fk.open(path).extract(tmp_path / "a", fk.FlowQuery(flows=("3",)), force=True)
        fk.open(path, options=NO_INDEX).extract(tmp_path / "b", fk.FlowQuery(flows=("3",)), force=True)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        assert report.scans[0]["index"] in ("used", "misfit")
    index_of(path).unlink()
    index_of(path).mkdir()
    assert used(fk.open(path).flows()) == "none"


def test_indexes_are_no_captures(tmp_path: Path) -> None:
    path = tmp_path / "in.pcap"
    path.write_bytes(wire.pcap(talks(1)))
    fk.open(tmp_path).index()
    assert index_of(path).is_file()
    for named in (tmp_path, tmp_path / "*"):
        found = find([named])
        assert [c.path for c in found.captures] == [path]
        assert found.skipped == []


def test_several_captures_and_trimmed_ones_go_without(tmp_path: Path) -> None:
    packets = talks()
    (tmp_path / "a.pcap").write_bytes(wire.pcap(packets[:100]))
    (tmp_path / "b.pcap").write_bytes(wire.pcap(packets[100:]))
    assert [f.outcome for f in fk.open(tmp_path).index().files] == ["made", "made"]
    both = fk.open(tmp_path).flows()
    assert [scan["index"] for scan in both.files] == ["none", "none"]
    assert both.to_dicts() == fk.open(tmp_path, options=NO_INDEX).flows().to_dicts()
    fk.open(tmp_path / "a.pcap").trim(500, in_place=True)
    assert [f.outcome for f in fk.open(tmp_path / "a.pcap").index().files] == ["skipped"]
    assert used(fk.open(tmp_path / "a.pcap").flows()) == "none"
    assert len(fk.open(tmp_path / "a.pcap").flows()) == len(fk.open(tmp_path / "a.pcap").flows())


def test_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "in.pcap"
    path.write_bytes(wire.pcap(talks()))
    done = command.run("index", path)
    assert done.returncode == 0
    assert done.stdout == b""
    assert f"index of {len(fk.open(path).flows())} flows" in command.said(done)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.pcap", "in.pcap" + INDEX]
    assert "its index fits" in command.said(command.run("index", path))
    whole = index_of(path).read_bytes()
    assert "index of" in command.said(command.run("index", path, "--remake"))
    assert index_of(path).read_bytes() == whole
    done = command.run("extract", path, "--flow", "5", "-o", "-")
    assert (done.returncode, command.said(done)) == (0, "")
    assert done.stdout == command.run("extract", path, "--flow", "5", "-o", "-", "--no-index").stdout
    done = command.run("extract", path, "--flow", "5000", "-o", tmp_path / "no")
    assert done.returncode == 2
    assert command.said(done) == command.said(
        command.run("extract", path, "--flow", "5000", "-o", tmp_path / "no", "--no-index")
    )
    assert b"index         fits" in command.run("info", path).stdout
    assert b"does not fit: it was made with another --outer" in command.run("info", path, "--outer").stdout
    done = command.run("index", "-")
    assert done.returncode in (0, 4)
    assert "Traceback" not in command.said(done)


@pytest.mark.parametrize(("kind", "most"), [("elephants", 0.02), ("mice", 0.08)])
def test_an_index_is_small(kind: str, most: float, tmp_path: Path) -> None:
    make = Path(__file__).parents[2] / "bench" / "make.py"
    path = tmp_path / f"{kind}.pcap"
    done = command.subprocess.run(
        [command.sys.executable, make, kind, "20MB", path], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    (made,) = fk.open(path).index().files
    ratio = made.bytes / path.stat().st_size
    print(f"{kind}: {made.flows} flows, {ratio:.2%}")
    assert ratio <= most
    same(path, fk.FlowQuery(flows=("1", "100")))
