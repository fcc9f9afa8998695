"""From the bytes of one packet to what the flow rules need: the reference reading of headers.

Written to be obviously right, one function a header, no care for speed. A packet that is snapped
inside its link or IP header is malformed, one that is snapped later keeps the lengths that its
headers state. Prism, Juniper and IEEE 802.3br headers are not read here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

TCP, UDP, SCTP, UDP_LITE, ICMP, ICMP6 = 6, 17, 132, 136, 1, 58
WITH_PORTS = (TCP, UDP, SCTP, UDP_LITE)
IPV4, IPV6, TEB = 0x0800, 0x86DD, 0x6558
MOST_LAYERS = 32
MOST_TUNNELS = 4

End = tuple[bytes, int]  # packed address, port


@dataclass(frozen=True)
class Facts:
    """What one packet is to the flow rules."""

    reason: str = "not-ip"  # why it has no flow; "none" when it has one
    src: End = (b"", 0)
    dst: End = (b"", 0)
    proto: int = 0
    frag_id: int | None = None  # set in fragments
    offset: int = 0  # of a fragment, in bytes
    payload: int = 0  # transport payload bytes by the headers' length fields
    header_len: int = 0  # from the start of the packet to the transport payload
    flags: str = ""  # TCP flags, letters of FSRPAUEC
    seq: int = 0
    ack: int = 0
    window: int = 0
    wscale: int | None = None
    icmp: tuple[int, int] = (0, 0)
    vlan: tuple[int, ...] = ()
    tunnels: tuple[str, ...] = ()


class Malformed(Exception):
    """The bytes are not what they claim to be."""


@dataclass
class _Reader:
    """One packet on its way through its layers."""

    data: bytes
    wirelen: int
    facts: Facts = field(default_factory=Facts)
    outer: bool = False
    layers: int = 0

    def word(self, at: int, code: str = "H") -> int:
        """A number in network order."""
        size = struct.calcsize(code)
        if at + size > len(self.data):
            raise Malformed
        return int(struct.unpack_from(">" + code, self.data, at)[0])

    def deeper(self) -> None:
        self.layers += 1
        if self.layers > MOST_LAYERS:
            raise Malformed

    # Links and what stands between them and IP.

    def link(self, kind: int, at: int, end: int) -> None:
        self.deeper()
        if kind == 1:
            self.ethernet(at, end)
        elif kind in (0, 108):
            self.bsd_family(at, end)
        elif kind in (12, 14, 101, 228, 229):
            self.either_ip(at, end)
        elif kind in (9, 50):
            self.ppp(at, end)
        elif kind == 204:  # the direction stands before the packet
            self.ppp(at + 1, end)
        elif kind == 51:
            self.pppoe(at, end)
        elif kind == 104:
            self.ethertype(self.word(at + 2), at + 4, end)
        elif kind == 105:
            self.wlan(at, end)
        elif kind == 113:
            self.ethertype(self.word(at + 14), at + 16, end)
        elif kind == 127:
            self.radiotap(at, end)
        elif kind == 192:
            size, inner = struct.unpack_from("<HI", self.data, at + 2)
            if inner == 192:
                raise Malformed
            self.link(inner, at + max(size, 8), end)
        elif kind == 276:
            self.ethertype(self.word(at), at + 20, end)
        else:
            self.facts = replace(self.facts, reason="unknown-link-type")

    def ethernet(self, at: int, end: int) -> None:
        kind = self.word(at + 12)
        if kind >= 0x600:
            self.ethertype(kind, at + 14, end)
        else:
            self.llc(at + 14, end)

    def llc(self, at: int, end: int) -> None:
        if self.data[at : at + 6] in (b"\xaa\xaa\x03\0\0\0", b"\xaa\xaa\x03\0\0\xf8"):  # as is, or bridged
            self.ethertype(self.word(at + 6), at + 8, end)

    def ethertype(self, kind: int, at: int, end: int) -> None:
        self.deeper()
        if kind == IPV4:
            self.ip4(at, end)
        elif kind == IPV6:
            self.ip6(at, end)
        elif kind in (0x8100, 0x88A8, 0x9100):
            tag = self.word(at) & 0xFFF
            self.facts = replace(self.facts, vlan=(*self.facts.vlan, tag)[:2])
            inner = self.word(at + 2)
            if inner >= 0x600:
                self.ethertype(inner, at + 4, end)
            else:
                self.llc(at + 4, end)
        elif kind in (0x8847, 0x8848):
            while not self.word(at, "I") & 0x100:
                at += 4
                self.deeper()
            self.either_ip(at + 4, end, or_ethernet=True)
        elif kind == 0x8864:
            self.pppoe(at, end)
        elif kind == 0x880B:
            self.ppp(at, end)
        elif kind == TEB:
            self.ethernet(at, end)

    def bsd_family(self, at: int, end: int) -> None:
        family = self.word(at, "I")
        if family > 0xFFFF:  # in the other byte order
            family = int.from_bytes(self.data[at : at + 4], "little")
        if family == 2:
            self.ip4(at + 4, end)
        elif family in (10, 24, 28, 30):
            self.ip6(at + 4, end)

    def pppoe(self, at: int, end: int) -> None:
        if self.word(at + 1, "B") == 0:  # a packet of the session stage
            self.ppp(at + 6, min(end, at + 6 + self.word(at + 4)))

    def ppp(self, at: int, end: int) -> None:
        if self.data[at : at + 2] == b"\xff\x03":
            at += 2
        kind = self.word(at, "B")
        if kind & 1:
            at += 1
        else:
            kind, at = self.word(at), at + 2
        if kind == 0x31:
            described = self.word(at + 1, "B") == 1 and self.word(at, "B") & 0x0F == 0  # RFC 3518
            self.ethernet(at + 2 if described else at, end)
        else:
            known = {0x21: IPV4, 0x57: IPV6, 0x281: 0x8847, 0x283: 0x8847}
            self.ethertype(known.get(kind, 0), at, end)

    def radiotap(self, at: int, end: int) -> None:
        (size,) = struct.unpack_from("<H", self.data, at + 2)
        (first,) = struct.unpack_from("<I", self.data, at + 4)
        present, field_at = first, 8
        while present >> 31:
            (present,) = struct.unpack_from("<I", self.data, at + field_at)
            field_at += 4
        if first & 1:  # time stamp, aligned
            field_at += -field_at % 8 + 8
        flags = self.word(at + field_at, "B") if first & 2 else 0
        self.wlan(at + size, end - (4 if flags & 0x10 else 0), padded=bool(flags & 0x20))

    def wlan_either(self, at: int, end: int) -> None:
        """The bytes of frame control may have changed places, as some controllers send them in CAPWAP."""
        before = self.facts, self.layers
        failed = None
        for swapped in (False, True):
            self.facts, self.layers = before
            try:
                self.wlan(at, end, swapped=swapped)
            except Malformed as error:
                failed = failed or error
                continue
            if self.facts.reason == "none":
                return
        self.facts, self.layers = before
        if failed:
            raise failed

    def wlan(self, at: int, end: int, padded: bool = False, swapped: bool = False) -> None:
        control, flags = self.word(at, "B"), self.word(at + 1, "B")
        if swapped:
            control, flags = flags, control
        if control & 0x0C != 0x08 or control & 0x40:  # not data, or data without data
            self.facts = replace(self.facts, reason="wlan-without-data")
        elif flags & 0x40:
            self.facts = replace(self.facts, reason="encrypted-link")
        else:
            size = 30 if flags & 3 == 3 else 24
            first_of_many = 0
            if control & 0x80:
                first_of_many = 14 if self.word(at + size, "B") & 0x80 else 0  # A-MSDU
                size += 6 if flags & 0x80 else 2
            if padded:
                size += -size % 4
            self.llc(at + size + first_of_many, end)

    # The Internet layer.

    def either_ip(self, at: int, end: int, or_ethernet: bool = False) -> None:
        version = self.word(at, "B") >> 4
        if version == 4:
            self.ip4(at, end)
        elif version == 6:
            self.ip6(at, end)
        elif or_ethernet and self.word(at) == 0:  # pseudowire control word (RFC 4385)
            self.ethernet(at + 4, end)
        elif not or_ethernet:
            raise Malformed

    def stop(self, stop: int, end: int) -> int:
        """Where a datagram ends; one that says more than the tunnel around it holds is none."""
        if stop > end and self.facts.tunnels:
            raise Malformed
        return stop

    def ip4(self, at: int, end: int) -> None:
        self.deeper()
        first, total, fragment = self.word(at, "B"), self.word(at + 2), self.word(at + 6)
        size = (first & 15) * 4
        if first >> 4 != 4 or size < 20 or at + size > len(self.data) or 0 < total < size:
            raise Malformed
        stop = self.stop(at + total if total else end, end)  # 0: segmentation offload
        if self.word(at + 9, "B") == 6:
            stop = min(stop, end)  # TCP has no length of its own: the frame bounds its payload
        ends = (self.data[at + 12 : at + 16], 0), (self.data[at + 16 : at + 20], 0)
        offset, more = (fragment & 0x1FFF) * 8, bool(fragment & 0x2000)
        ident = self.word(at + 4) if offset or more else None
        self.internet(*ends, self.word(at + 9, "B"), ident, offset, at + size, stop)

    def ip6(self, at: int, end: int) -> None:
        self.deeper()
        length, proto = self.word(at + 4), self.word(at + 6, "B")
        if self.word(at, "B") >> 4 != 6 or at + 40 > len(self.data):
            raise Malformed
        stop = self.stop(at + 40 + length if length else end, end)  # 0: jumbogram or offload
        ends = (self.data[at + 8 : at + 24], 0), (self.data[at + 24 : at + 40], 0)
        at += 40
        ident, offset = None, 0
        while proto in (0, 43, 44, 51, 60, 135) and not offset:
            self.deeper()
            following, units = self.word(at, "B"), self.word(at + 1, "B")
            if proto == 44:
                where = self.word(at + 2)
                if where & 0xFFF9:  # an atomic fragment (RFC 6946) is whole
                    ident, offset = self.word(at + 4, "I"), where & 0xFFF8
                at += 8
            else:
                at += (units + 2) * 4 if proto == 51 else (units + 1) * 8
            proto = following
        if proto == 6:
            stop = min(stop, end)
        self.internet(*ends, proto, ident, offset, at, stop)

    def internet(
        self, src: End, dst: End, proto: int, ident: int | None, offset: int, at: int, stop: int
    ) -> None:
        self.facts = replace(
            self.facts,
            reason="none", src=src, dst=dst, proto=proto, frag_id=ident, offset=offset,
            payload=max(stop - at, 0), header_len=min(at, len(self.data)),
        )  # fmt: skip
        if offset:
            return
        self.transport(at, stop)
        if not self.outer and ident is None:  # a fragment holds no whole inner packet
            before = self.facts, self.layers
            try:
                if self.tunnel(at, stop) and self.facts.reason == "none":
                    return
            except (Malformed, struct.error, IndexError):
                pass
            self.facts, self.layers = before

    # Transport and tunnels.

    def transport(self, at: int, stop: int) -> None:
        f = self.facts
        least = {TCP: 20, UDP: 8, UDP_LITE: 8, SCTP: 12, ICMP: 8, ICMP6: 8}.get(f.proto, 0)
        there = max(min(stop, len(self.data)) - at, 0)
        if least == 0:
            return
        if f.proto in WITH_PORTS and there >= 4:
            f = replace(f, src=(f.src[0], self.word(at)), dst=(f.dst[0], self.word(at + 2)))
        if there < least:
            self.facts = f
            return
        size, payload = least, stop - at - least
        if f.proto not in WITH_PORTS:
            f = replace(f, icmp=(self.word(at, "B"), self.word(at + 1, "B")))
        if f.proto == UDP and self.word(at + 4) >= 8:
            payload = min(self.word(at + 4) - 8, payload)
        if f.proto == TCP:
            size = (self.word(at + 12, "B") >> 4) * 4
            if not 20 <= size <= stop - at:
                size = 20
            payload = stop - at - size
            bits = self.word(at + 13, "B")
            flags = "".join(c for i, c in enumerate("FSRPAUEC") if bits >> i & 1)
            f = replace(
                f,
                seq=self.word(at + 4, "I"), window=self.word(at + 14), flags=flags,
                ack=self.word(at + 8, "I") if "A" in flags else 0,
                wscale=_window_scale(self.data[at + 20 : min(at + size, stop)]) if "S" in flags else None,
            )  # fmt: skip
        self.facts = replace(f, payload=payload, header_len=min(at + size, len(self.data)))

    def through(self, name: str) -> None:
        if len(self.facts.tunnels) == MOST_TUNNELS:
            raise Malformed
        self.facts = replace(self.facts, tunnels=(*self.facts.tunnels, name), reason="not-ip")

    def tunnel(self, at: int, stop: int) -> bool:
        """Look into a tunnel, if this is one; the inner facts then stand in `facts`."""
        proto = self.facts.proto
        ports = (self.facts.src[1], self.facts.dst[1])
        if proto in (4, 41):
            self.through("ipip" if proto == 4 else "6in4")
            (self.ip4 if proto == 4 else self.ip6)(at, stop)
        elif proto == 47:
            self.gre(at, stop)
        elif proto == 115:
            return self.l2tp3(at, stop)
        elif proto == UDP:
            known = (4789, 6081, 2152, 3544, 1701, 5247)
            port = next((port for port in reversed(ports) if port in known), 0)
            return self.udp_tunnel(port, at + 8, stop)
        else:
            return False
        return True

    def gre(self, at: int, stop: int) -> None:
        flags, kind = self.word(at), self.word(at + 2)
        if flags & 7 > 1 or flags & 0x4000:
            raise Malformed
        has_seq = flags & 0x1000
        at += 4 + 4 * bool(flags & 0x8000) + 4 * bool(flags & 0x2000) + 4 * bool(has_seq)
        if flags & 7 == 1:
            at += 4 * bool(flags & 0x80)
        if kind in (0x88BE, 0x22EB):
            self.through("erspan")
            head = 8 if has_seq else 0
            if kind == 0x22EB:
                head = 20 if self.word(at + 11, "B") & 1 else 12  # with the platform's subheader
            self.ethernet(at + head, stop)
        else:
            self.through("gre")
            self.ethertype(kind, at, stop)

    def l2tp3(self, at: int, stop: int) -> bool:
        """Version 3 over IP: nobody says how long the cookie is, so what fits is it."""
        if self.word(at, "I") == 0:
            return False
        before = self.facts, self.layers
        for head in (4, 8, 12, 16):
            self.facts, self.layers = before
            try:
                self.through("l2tp")
                self.ethernet(at + head, stop)
            except Malformed:
                continue
            if self.facts.reason == "none":
                return True
        return False

    def udp_tunnel(self, port: int, at: int, stop: int) -> bool:
        if port == 4789 and self.word(at, "B") & 8:
            self.through("vxlan")
            self.ethernet(at + 8, stop)
        elif port == 6081 and self.word(at, "B") < 0x40:
            self.through("geneve")
            size = 8 + (self.word(at, "B") & 63) * 4
            self.ethertype(self.word(at + 2), at + size, stop)
        elif port == 2152 and self.word(at, "B") >> 4 == 3 and self.word(at + 1, "B") == 0xFF:
            self.through("gtpu")
            flags, at = self.word(at, "B"), at + 8
            if flags & 7:
                following, at = self.word(at + 3, "B") if flags & 4 else 0, at + 4
                while following:
                    if self.word(at, "B") == 0:
                        raise Malformed
                    at += self.word(at, "B") * 4
                    following = self.word(at - 1, "B")
            self.either_ip(at, stop)
        elif port == 3544:
            self.through("teredo")
            if self.word(at) == 1:
                at += 13 + self.word(at + 2, "B") + self.word(at + 3, "B")
            if self.word(at) == 0:
                at += 8
            self.ip6(at, stop)
        elif port == 1701 and self.word(at) & 0x800F == 2:
            self.through("l2tp")
            flags = self.word(at)
            size = 6 + 2 * bool(flags & 0x4000) + 4 * bool(flags & 0x0800)
            if flags & 0x0200:
                size += 2 + self.word(at + size)
            self.ppp(at + size, stop)
        elif port == 5247 and self.word(at, "I") & 0xFF000088 == 0:  # no DTLS, fragment, keep-alive
            self.through("capwap")
            bits = self.word(at, "I")
            inner = at + (bits >> 19 & 31) * 4
            (self.wlan_either if bits & 0x100 else self.ethernet)(inner, stop)
        else:
            return False
        return True


def _window_scale(options: bytes) -> int | None:
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
        elif at + 1 >= len(options) or options[at + 1] < 2:
            return None
        elif options[at] == 3 and options[at + 1] == 3 and at + 2 < len(options):
            return min(options[at + 2], 14)
        else:
            at += options[at + 1]
    return None


def parse(data: bytes, wirelen: int, link: int, *, outer: bool = False) -> Facts:
    """The facts of one packet of a link type."""
    reader = _Reader(data, wirelen, outer=outer)
    try:
        reader.link(link, 0, max(wirelen, len(data)))
    except (Malformed, struct.error, IndexError):
        return Facts(reason="malformed", vlan=reader.facts.vlan)
    return reader.facts
