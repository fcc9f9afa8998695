"""Folders of captures that share flows, and the ledgers beside them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa

from tests import wire
from tests.wire import SECOND, START_NS, Conversation, Packet, TcpConversation, transport

LEDGER = ".ledger.arrow"
PART = ".flowkeep-part"


def _elephants(pieces: int, per_piece: int) -> list[Packet]:
    """TCP and UDP over the whole time, far beyond any cutoff used here."""
    download = TcpConversation("10.0.0.1:40000", "10.0.0.2:443", step_ns=SECOND // per_piece)
    download.handshake()
    talk = Conversation("10.0.0.3:50000", "10.0.0.4:4433", step_ns=SECOND // per_piece)
    for n in range(pieces * per_piece):
        download.send("s", bytes([n % 251]) * 1400)
        talk.put("s" if n % 3 else "c", transport.udp(*talk.ports("s" if n % 3 else "c"), bytes(900)))
    download.close()
    return wire.merged(download.packets, talk.packets)


def slices(count: int = 8, per_slice: int = 200) -> list[list[Packet]]:
    """Traffic of ``count`` seconds, cut at full seconds, every slice with short flows of its own."""
    packets = _elephants(count, per_slice)
    for n in range(count):
        for k in range(10):
            client = f"10.1.{n}.{k}:{41000 + k}"
            at = START_NS + n * SECOND + k * 1_000_000
            packets += wire.tcp_session(
                client, "10.0.0.2:80", [("c", b"GET"), ("s", bytes(3000))], start_ns=at
            )
            packets += wire.udp_dialogue(client, "10.0.0.53:53", start_ns=at + 500)
    found: list[list[Packet]] = [[] for _ in range(count)]
    for packet in wire.merged(packets):
        found[min((packet.ts_ns - START_NS) // SECOND, count - 1)].append(packet)
    return found


def fill(folder: Path, count: int = 8, per_slice: int = 200) -> None:
    """Write the slices as captures: pcap and pcapng, plain and gzip, one of them in a folder below."""
    (folder / "below").mkdir(parents=True)
    for n, packets in enumerate(slices(count, per_slice)):
        data = wire.pcapng(packets) if n % 3 == 1 else wire.pcap(packets, ns=n % 2 == 1)
        name = f"{n}.pcapng" if n % 3 == 1 else f"{n}.pcap"
        if n % 4 == 2:
            data, name = gzip.compress(data, mtime=0), name + ".gz"
        (folder / ("below" if n == 3 else ".") / name).write_bytes(data)


def ledger(data: bytes) -> pa.Table:
    """A ledger, read whole; raises for a file that is not."""
    with pa.ipc.open_file(pa.py_buffer(data)) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table


def rows(data: bytes) -> list[dict[str, object]]:
    """The rows of a ledger, without what they say of the file before its last trimming."""
    table = ledger(data)
    kept = [name for name in table.column_names if not name.startswith("input_")]
    found: list[dict[str, object]] = table.select(kept).to_pylist()
    return found


def content(data: bytes | None) -> bytes | None:
    """A capture without its compression; raises for a stream that is not whole.

    deflate gives other bytes when the same data come in other pieces, and trimming a file that is
    trimmed already writes other pieces: of gzip only the content can be compared.
    """
    return gzip.decompress(data) if data is not None and data[:2] == b"\x1f\x8b" else data
