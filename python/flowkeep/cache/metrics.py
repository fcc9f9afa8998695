"""The numbers of the status for Prometheus, in its text format, over a few lines of HTTP.

The names hold no address and nothing from a packet; names of interfaces are the machine's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..prometheus import TYPE, Sample, page
from .server import COUNTED

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

    from .server import Service

_SECONDS = 5.0


def text(status: dict[str, Any]) -> str:
    """The page: the numbers of a status."""
    return page("flowkeep_cache", _families(status))


def _families(status: dict[str, Any]) -> Iterator[tuple[str, str, str, list[Sample]]]:
    """Name, kind, meaning and samples of each."""
    cache, clients = status["cache"], status["clients"]
    used = [(name, size) for name, size in cache["used"].items() if name != "total"]

    def one(value: float) -> list[Sample]:
        return [({}, value)]

    def by(label: str, values: Iterable[tuple[str, float]]) -> list[Sample]:
        return [({label: name}, value) for name, value in values]

    yield "start_time_seconds", "gauge", "When the service began.", one(status["started"] / 1e9)
    yield "memory_bound_bytes", "gauge", "Bytes that everything takes at most.", one(cache["bound"])
    yield "memory_used_bytes", "gauge", "Bytes that are used.", by("kind", used)
    yield "flows", "gauge", "Flows that are remembered.", one(cache["flows"])
    for what in ("packets", "bytes"):
        yield f"received_{what}_total", "counter", f"Captured {what} that came.", one(cache["received"][what])
        yield f"held_{what}", "gauge", f"Captured {what} that are held.", one(cache["held"][what])
        gone = ((reason, counts[what]) for reason, counts in cache["let_go"].items())
        yield f"let_go_{what}_total", "counter", f"Captured {what} that made room.", by("reason", gone)
    if cache["look_back"] is not None:
        yield "oldest_packet_time_seconds", "gauge", "Time of the oldest packet.", one(cache["oldest"] / 1e9)
        yield "newest_packet_time_seconds", "gauge", "Time of the newest packet.", one(cache["newest"] / 1e9)
        reach = cache["look_back"] / 1e9
        yield "look_back_seconds", "gauge", "Between the oldest packet and the newest.", one(reach)
    yield (
        "stretch",
        "gauge",
        "Factor to the ages of the curve; 0: nothing had to go yet.",
        one(cache["stretch"] or 0),
    )
    bands = [({"from": str(band["from"] // 10**9)}, band) for band in cache["bands"]]
    for what in ("flows", "packets", "bytes"):
        samples = [(labels, float(band[what])) for labels, band in bands]
        yield f"age_{what}", "gauge", f"Held {what} of flows last seen so many seconds ago, or more.", samples
    for what, key in (("packets", "packets"), ("bytes", "bytes"), ("dropped_packets", "drops")):
        samples = [
            ({"input": str(number), "name": put["name"], "kind": put["kind"]}, put[key])
            for number, put in enumerate(status["inputs"])
        ]
        yield f"input_{what}_total", "counter", f"Of each input: {what.replace('_', ' ')}.", samples
    if (spill := status["spill"]) is not None:
        yield "spill_files", "gauge", "Files of what left the memory.", one(spill["files"])
        yield "spill_bytes", "gauge", "Their bytes.", one(spill["bytes"])
        yield "spill_packets_total", "counter", "Packets written to them.", one(spill["packets"])
        yield "spill_lost_packets_total", "counter", "Packets that could not be.", one(spill["lost"])
    yield "readers", "gauge", "Clients that read packets.", one(clients["reading"])
    counted = ((name, clients[name]) for name in COUNTED if name != "sent_bytes")
    yield "clients_total", "counter", "What became of clients.", by("what", counted)
    yield "sent_bytes_total", "counter", "Bytes sent to clients.", one(clients["sent_bytes"])


async def face(service: Service, reader: StreamReader, writer: StreamWriter) -> None:
    """Answer one client."""

    async def talk() -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _SECONDS)
        except asyncio.LimitOverrunError:
            head = b""
        status, body = await _answer(service, head)
        lines = (
            f"HTTP/1.1 {status}", f"Content-Type: {TYPE}", f"Content-Length: {len(body)}",
            "Connection: close", "", "",
        )  # fmt: skip
        writer.write("\r\n".join(lines).encode() + (b"" if head.startswith(b"HEAD ") else body))
        await asyncio.wait_for(writer.drain(), _SECONDS)

    await service.guard("numbers", writer, talk)


async def _answer(service: Service, head: bytes) -> tuple[str, bytes]:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return "400 Bad Request", b"this is no request\n"
    if words[0] not in (b"GET", b"HEAD"):
        return "405 Method Not Allowed", b"GET is what is answered\n"
    if words[1].split(b"?", 1)[0] != b"/metrics":
        return "404 Not Found", b"the numbers are at /metrics\n"
    return "200 OK", text(await service.thread(service.describe)).encode()
