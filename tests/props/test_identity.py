"""Trimming that cuts nothing writes the bytes that were read, whatever the capture."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import flowkeep as fk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import wire
from tests.wire import START_NS, Interface, Packet
from tests.wire.write import (
    Order,
    block,
    enhanced_packet,
    interface_block,
    obsolete_packet,
    option,
    section_header,
    simple_packet,
)

from .traffic import traffic

HUGE = 1 << 62
orders: st.SearchStrategy[Order] = st.sampled_from(["<", ">"])
magics = st.sampled_from([None, 0xA1B23C4D, wire.PCAP_MODIFIED, wire.PCAP_NETSNIFF])
texts = st.text(max_size=20).map(lambda text: text.encode())
interfaces = st.builds(
    Interface,
    link=st.sampled_from([1, 1, 101, 147]),
    name=st.sampled_from([None, "eth0", "é"]),
    resolution=st.sampled_from([None, 3, 6, 9, 0x80 | 20]),
    offset=st.sampled_from([None, 0, 1000]),
)


@st.composite
def pcaps(draw: st.DrawFn) -> bytes:
    link = draw(st.sampled_from([1, 1, 1, 101, 147]))
    return wire.pcap(draw(traffic()), link=link, order=draw(orders), magic=draw(magics))


@st.composite
def sections(draw: st.DrawFn) -> bytes:
    """One section: its interfaces, then packets of all kinds among blocks of all kinds."""
    order, faces = draw(orders), draw(st.lists(interfaces, min_size=1, max_size=3))
    out = [section_header(order, comment=draw(st.sampled_from([None, "c", "höhe"])))]
    out += [interface_block(order, face) for face in faces]
    for packet in draw(traffic()):
        if draw(st.integers(0, 5)) == 0:
            out.append(draw(others(order)))
        iface = draw(st.integers(0, len(faces) - 1))
        packet = Packet(packet.ts_ns, packet.data, packet.wirelen, iface)
        ticks = faces[iface].ticks(packet.ts_ns)
        kind = draw(st.sampled_from(["enhanced", "commented", "obsolete", "simple"]))
        if kind == "obsolete":
            out.append(obsolete_packet(order, packet, ticks))
        elif kind == "simple" and len(packet.data) == packet.original:
            out.append(simple_packet(order, packet))
        else:
            comment = "kept" if kind == "commented" else None
            out.append(enhanced_packet(order, packet, ticks, comment=comment))
    return b"".join([*out, draw(others(order))])


@st.composite
def others(draw: st.DrawFn, order: Order) -> bytes:
    """A block that is no packet, some of a kind that nobody knows, some with options nobody knows."""
    text = draw(texts)
    return draw(
        st.sampled_from(
            [
                wire.names_block(order, [("host.example.com", wire.addr("10.0.0.2"))]),
                wire.secrets_block(order, text),
                wire.statistics_block(order, 0, 5),
                wire.custom_block(order, text),
                block(order, 0x80000077, text, option(order, 31_000, text)),
                block(order, 9, struct.pack(order + "I", len(text)) + text),
            ]
        )
    )


captures = st.one_of(pcaps(), st.lists(sections(), min_size=1, max_size=3).map(b"".join))


@given(data=captures, jobs=st.sampled_from([1, 3]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(data=wire.pcap([Packet(START_NS, b"")]), jobs=1)
def test_trimming_with_a_huge_cutoff_gives_the_same_bytes(data: bytes, jobs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "capture", Path(folder) / "out"
        path.write_bytes(data)
        report = fk.open(path, options=fk.ReadOptions(jobs=jobs)).trim(HUGE, output=out)
        assert report.clean, report.files[0].problem
        assert (out / "capture").read_bytes() == data
