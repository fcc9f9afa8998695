"""Dialogues: whole TCP connections and UDP exchanges as lists of packets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from . import transport
from .link import CLIENT_MAC, SERVER_MAC, ether
from .net import ip

START_NS = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

Side = Literal["c", "s"]
Wrap = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Packet:
    """A packet to be written: time in ns, captured bytes, original length, interface number."""

    ts_ns: int
    data: bytes
    wirelen: int | None = None
    iface: int = 0

    @property
    def original(self) -> int:
        """The original length, that of the data where none was given."""
        return len(self.data) if self.wirelen is None else self.wirelen

    def snapped(self, snaplen: int) -> Packet:
        """The packet as a capture with this snap length holds it."""
        return Packet(self.ts_ns, self.data[:snaplen], self.original, self.iface)


def endpoint(text: str) -> tuple[str, int]:
    """Address and port of ``10.0.0.1:80`` or ``[2001:db8::1]:80``."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Conversation:
    """Frames between two endpoints, a step of time apart; base of the dialogues below.

    ``wrap`` turns an IP packet into something else before Ethernet: a VLAN tag, a tunnel.
    ``link`` replaces Ethernet.
    """

    def __init__(
        self,
        client: str,
        server: str,
        *,
        start_ns: int = START_NS,
        step_ns: int = MILLISECOND,
        iface: int = 0,
        wrap: Wrap | None = None,
        link: Wrap | None = None,
    ) -> None:
        self.ends = {"c": endpoint(client), "s": endpoint(server)}
        self.now = start_ns
        self.step_ns = step_ns
        self.iface = iface
        self.wrap = wrap
        self.link = link
        self.packets: list[Packet] = []

    def put(self, side: Side, segment: bytes) -> None:
        """Send one transport segment from a side, then let time pass."""
        here, there = self.ends[side], self.ends["s" if side == "c" else "c"]
        packet: bytes = ip(here[0], there[0], segment)
        if self.wrap is not None:
            packet = self.wrap(packet)
        if self.link is not None:
            frame = self.link(packet)
        elif side == "c":
            frame = ether(packet, src=CLIENT_MAC, dst=SERVER_MAC)
        else:
            frame = ether(packet, src=SERVER_MAC, dst=CLIENT_MAC)
        self.packets.append(Packet(self.now, bytes(frame), iface=self.iface))
        self.now += self.step_ns

    def ports(self, side: Side) -> tuple[int, int]:
        """Source and destination port of what a side sends."""
        client, server = self.ends["c"][1], self.ends["s"][1]
        return (client, server) if side == "c" else (server, client)


class TcpConversation(Conversation):
    """A TCP connection that keeps its sequence numbers; every step is one packet."""

    def __init__(
        self,
        client: str,
        server: str,
        *,
        isn: tuple[int, int] = (1000, 9000),
        window: int = 65535,
        **rest: object,
    ) -> None:
        super().__init__(client, server, **rest)  # type: ignore[arg-type]
        self.next = {"c": isn[0], "s": isn[1]}
        self.window = window

    def send(self, side: Side, payload: bytes = b"", flags: str = "A", options: bytes = b"") -> None:
        """Send a segment at the side's next sequence number, and move it on."""
        peer: Side = "s" if side == "c" else "c"
        ack = self.next[peer] if "A" in flags else 0
        segment = transport.tcp(
            *self.ports(side), payload,
            seq=self.next[side], ack=ack, flags=flags, window=self.window, options=options,
        )  # fmt: skip
        self.put(side, segment)
        self.next[side] += len(payload) + ("S" in flags) + ("F" in flags)

    def handshake(self, options: bytes = b"") -> None:
        """SYN, SYN/ACK, ACK."""
        self.send("c", flags="S", options=options)
        self.send("s", flags="SA", options=options)
        self.send("c")

    def close(self) -> None:
        """FIN/ACK from the client, FIN/ACK from the server, ACK."""
        self.send("c", flags="FA")
        self.send("s", flags="FA")
        self.send("c")

    def reset(self, side: Side = "c") -> None:
        """RST/ACK."""
        self.send(side, flags="RA")


def tcp_session(
    client: str = "10.0.0.1:40000",
    server: str = "10.0.0.2:443",
    script: Iterable[tuple[Side, bytes]] = (),
    *,
    mss: int = 1460,
    syn: bool = True,
    end: Literal["fin", "rst", "none"] = "fin",
    acks: bool = True,
    isn: tuple[int, int] = (1000, 9000),
    window: int = 65535,
    scale: int | None = None,
    start_ns: int = START_NS,
    step_ns: int = MILLISECOND,
    iface: int = 0,
    wrap: Wrap | None = None,
    link: Wrap | None = None,
) -> list[Packet]:
    """A whole connection: handshake, the script in segments of ``mss`` bytes, and its end.

    With ``acks`` the other side answers each script line with a bare ACK.
    """
    talk = TcpConversation(
        client, server,
        isn=isn, window=window,
        start_ns=start_ns, step_ns=step_ns, iface=iface, wrap=wrap, link=link,
    )  # fmt: skip
    if syn:
        options = transport.mss(mss) + (b"" if scale is None else transport.wscale(scale))
        talk.handshake(options)
    else:
        talk.next = {"c": isn[0] + 1, "s": isn[1] + 1}
    for side, data in script:
        for at in range(0, len(data), mss):
            talk.send(side, data[at : at + mss], "PA" if at + mss >= len(data) else "A")
        if acks:
            talk.send("s" if side == "c" else "c")
    if end == "fin":
        talk.close()
    elif end == "rst":
        talk.reset()
    return talk.packets


def udp_dialogue(
    client: str = "10.0.0.1:40000",
    server: str = "10.0.0.2:53",
    script: Iterable[tuple[Side, bytes]] = (("c", b"query"), ("s", b"answer")),
    *,
    start_ns: int = START_NS,
    step_ns: int = MILLISECOND,
    iface: int = 0,
    wrap: Wrap | None = None,
    link: Wrap | None = None,
) -> list[Packet]:
    """One UDP datagram a script line."""
    talk = Conversation(client, server, start_ns=start_ns, step_ns=step_ns, iface=iface, wrap=wrap, link=link)
    for side, data in script:
        talk.put(side, transport.udp(*talk.ports(side), data))
    return talk.packets


def merged(*lists: list[Packet]) -> list[Packet]:
    """All packets in order of time; equal times stay in order of the arguments."""
    return sorted((p for packets in lists for p in packets), key=lambda p: p.ts_ns)
