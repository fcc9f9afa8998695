"""One way to make each link type, tunnel and transport: what whole families of tests use."""

from __future__ import annotations

from . import link, net, transport, tunnel
from .link import ether
from .net import ip4, ip6
from .talk import Wrap

HERE, THERE = "192.0.2.1", "198.51.100.2"  # the ends of tunnels
HERE6, THERE6 = "2001:db8:f::1", "2001:db8:f::2"


def _bare(packet: bytes) -> bytes:
    return packet


def _udp(port: int) -> Wrap:
    return lambda payload: ip4(HERE, THERE, transport.udp(50000, port, payload))


def _over(port: int, inside: Wrap) -> Wrap:
    return lambda packet: _udp(port)(inside(packet))


def _in_ip(inside: Wrap) -> Wrap:
    return lambda packet: ip4(HERE, THERE, inside(packet))


LINKS: dict[str, tuple[int, Wrap]] = {
    "ethernet": (link.ETHERNET, ether),
    "ethernet-padded": (link.ETHERNET, lambda p: ether(p, pad=True)),
    "llc-snap": (link.ETHERNET, lambda p: link.ether_llc(link.snap(p))),
    "vlan": (link.ETHERNET, lambda p: ether(link.vlan(p, 7))),
    "qinq": (link.ETHERNET, lambda p: ether(link.vlan(link.vlan(p, 7), 100, tpid=0x88A8))),
    "mpls": (link.ETHERNET, lambda p: ether(link.mpls(p, 16, 17))),
    "pppoe": (link.ETHERNET, lambda p: ether(link.pppoe(p))),
    "pppoe-in-vlan": (link.ETHERNET, lambda p: ether(link.vlan(link.pppoe(p), 7))),
    "sll": (link.SLL, link.sll),
    "sll2": (link.SLL2, link.sll2),
    "raw": (link.RAW, _bare),
    "raw-bsd": (link.RAW_BSD, _bare),
    "raw-openbsd": (link.RAW_OPENBSD, _bare),
    "null-le": (link.NULL, link.null),
    "null-be": (link.NULL, lambda p: link.null(p, order=">")),
    "loop": (link.LOOP, link.loop),
    "ppp": (link.PPP, link.ppp),
    "ppp-hdlc": (link.PPP_HDLC, lambda p: link.ppp(p, hdlc=True)),
    "ppp-ether": (link.PPP_ETHER, link.pppoe),
    "c-hdlc": (link.C_HDLC, link.c_hdlc),
    "wlan": (link.IEEE802_11, lambda p: link.wlan(p, qos=False)),
    "wlan-wds": (link.IEEE802_11, lambda p: link.wlan(p, from_ds=True)),
    "radiotap": (link.RADIOTAP, lambda p: link.radiotap(link.wlan(p))),
    "radiotap-fcs": (link.RADIOTAP, lambda p: link.radiotap(link.wlan(p), fcs=True)),
    "ppi": (link.PPI, lambda p: link.ppi(link.wlan(p))),
    "ppi-ethernet": (link.PPI, lambda p: link.ppi(ether(p), link=link.ETHERNET)),
}
"""Name to link type and what makes a frame of an IP packet. IPv4 works everywhere."""

LINKS_ONE_VERSION: dict[str, tuple[int, Wrap]] = {
    "ipv4": (link.IPV4, _bare),
    "ipv6": (link.IPV6, _bare),
}

TUNNELS: dict[str, tuple[str, int, Wrap]] = {
    "gre": ("gre", 4, _in_ip(tunnel.gre)),
    "gre-key-seq-csum": ("gre", 4, _in_ip(lambda p: tunnel.gre(p, key=5, seq=6, csum=True))),
    "gre-ethernet": ("gre", 4, _in_ip(lambda p: tunnel.gre(ether(p)))),
    "gre6": ("gre", 4, lambda p: ip6(HERE6, THERE6, tunnel.gre(p))),
    "pptp": ("gre", 4, _in_ip(lambda p: tunnel.pptp(p, seq=1, ack=2))),
    "erspan1": ("erspan", 4, _in_ip(lambda p: tunnel.erspan(ether(p), 1))),
    "erspan2": ("erspan", 4, _in_ip(lambda p: tunnel.erspan(ether(p), 2))),
    "erspan3": ("erspan", 4, _in_ip(lambda p: tunnel.erspan(ether(p), 3))),
    "vxlan": ("vxlan", 4, _over(tunnel.VXLAN_PORT, lambda p: tunnel.vxlan(ether(p)))),
    "geneve": (
        "geneve", 4,
        _over(tunnel.GENEVE_PORT, lambda p: tunnel.geneve(ether(p), options=bytes(4))),
    ),
    "ipip": ("ipip", 4, _in_ip(_bare)),
    "6in4": ("6in4", 6, _in_ip(_bare)),
    "4in6": ("ipip", 4, lambda p: ip6(HERE6, THERE6, p)),
    "6in6": ("6in4", 6, lambda p: ip6(HERE6, THERE6, p)),
    "gtpu": ("gtpu", 4, _over(tunnel.GTPU_PORT, tunnel.gtpu)),
    "gtpu-5g": (
        "gtpu", 4,
        _over(tunnel.GTPU_PORT, lambda p: tunnel.gtpu(p, seq=1, container=True)),
    ),
    "teredo": ("teredo", 6, _over(tunnel.TEREDO_PORT, tunnel.teredo)),
    "teredo-origin": (
        "teredo", 6,
        _over(tunnel.TEREDO_PORT, lambda p: tunnel.teredo(p, auth=True, origin=(HERE, 4000))),
    ),
    "l2tp": ("l2tp", 4, _over(tunnel.L2TP_PORT, tunnel.l2tp)),
    "l2tp-short": ("l2tp", 4, _over(tunnel.L2TP_PORT, lambda p: tunnel.l2tp(p, length=False))),
    "l2tpv3": ("l2tp", 4, _in_ip(lambda p: tunnel.l2tpv3(ether(p)))),
    "capwap": ("capwap", 4, _over(tunnel.CAPWAP_PORT, lambda p: tunnel.capwap(ether(p)))),
    "capwap-wlan": (
        "capwap", 4,
        _over(tunnel.CAPWAP_PORT, lambda p: tunnel.capwap(link.wlan(p), native=True)),
    ),
}  # fmt: skip
"""Name to the tunnel's stable name, the IP version inside, and what wraps an IP packet."""

TRANSPORTS: dict[str, bytes] = {
    "tcp": transport.tcp(
        40000, 9, b"odd", seq=1, ack=2, flags="PA", options=transport.timestamps(1, 2)
    ),
    "tcp-syn": transport.tcp(
        40000, 9, seq=1, flags="S",
        options=transport.mss(1460) + transport.sack_permitted() + transport.wscale(7),
    ),
    "tcp-sack": transport.tcp(40000, 9, seq=1, ack=2, options=transport.sack((5, 9))),
    "udp": transport.udp(40000, 9, b"odd"),
    "udp-no-checksum": transport.udp(40000, 9, b"odd", checksum=False),
    "udplite": transport.udplite(40000, 9, b"partly covered", coverage=12),
    "sctp": transport.sctp(40000, 9, transport.sctp_data(b"odd")),
    "sctp-init": transport.sctp(40000, 9, transport.sctp_init(), tag=0),
    "icmp": transport.ping(),
    "icmp6": transport.icmp6(128, 0, 0x00010001, b"ping"),
}  # fmt: skip
"""Name to a transport segment. All with ports go from 40000 to 9."""

EXTENSIONS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "hop-by-hop": (net.ext(net.HOP_BY_HOP),),
    "routing": (net.ext(net.ROUTING, 24),),
    "destination": (net.ext(net.DEST_OPTIONS, 16),),
    "ah": (net.ext(net.AH, 24),),
    "all": (
        net.ext(net.HOP_BY_HOP), net.ext(net.DEST_OPTIONS), net.ext(net.ROUTING, 24),
        net.ext(net.AH, 24),
    ),
}  # fmt: skip
"""Name to IPv6 extension headers."""
