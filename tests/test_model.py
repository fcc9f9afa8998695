"""The model on cases worked out by hand."""

from __future__ import annotations

import pytest

from tests import model, wire
from tests.model import Policy
from tests.wire import MILLISECOND, SECOND, START_NS, Packet, Record, TcpConversation, samples

C, S = "10.0.0.1:40000", "10.0.0.2:443"


def seen(packets: list[Packet], link: int = 1) -> list[Record]:
    """What a capture of these packets holds."""
    return [Record(p.ts_ns, bytes(p.data), p.original, link) for p in packets]


def flows(packets: list[Packet], **options: int) -> list[model.Row]:
    """The flows of these packets."""
    return model.flows(seen(packets), **options)  # type: ignore[arg-type]


def counts(packets: list[Packet], **options: int) -> list[int]:
    """Packets of each flow."""
    rows = flows(packets, **options)
    return [int(str(r["client_packets"])) + int(str(r["server_packets"])) for r in rows]


def test_a_whole_session_is_one_row_with_every_number() -> None:
    rows = flows(wire.tcp_session(C, S, [("c", b"GET"), ("s", b"x" * 2000)]))
    assert rows == [
        {
            "flow_id": 0, "proto": 6,
            "client_ip": "10.0.0.1", "client_port": 40000,
            "server_ip": "10.0.0.2", "server_port": 443,
            "first_ts": START_NS, "last_ts": START_NS + 10 * MILLISECOND,
            # SYN 58, ACK 54, GET 57, ACK 54, FIN 54, ACK 54
            "client_packets": 6, "client_bytes": 331, "client_payload_bytes": 3,
            # SYN/ACK 58, ACK 54, 1514, 594, FIN 54
            "server_packets": 5, "server_bytes": 2274, "server_payload_bytes": 2000,
            "state": "closed", "client_guessed": False, "vlan": (), "tunnel": (),
        }
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "state"), [("fin", "closed"), ("rst", "reset"), ("none", "open")])
def test_state_tells_how_a_session_ended(name: str, state: str) -> None:
    assert flows(wire.tcp_session(C, S, end=name))[0]["state"] == state  # type: ignore[arg-type]


def test_refused_and_unanswered_connections_are_told_apart() -> None:
    talk = TcpConversation(C, S)
    talk.send("c", flags="S")
    assert flows(talk.packets)[0]["state"] == "attempt"
    talk.reset("s")
    assert flows(talk.packets)[0]["state"] == "rejected"


def client_of(client: str, server: str, packets: list[Packet] | None = None) -> tuple[object, ...]:
    """Client port and guess of a dialogue begun by ``client``."""
    (row,) = flows(packets or wire.udp_dialogue(client, server))
    return row["client_port"], row["client_guessed"]


def test_client_of_udp_is_guessed_by_port_then_by_who_began() -> None:
    assert client_of("10.0.0.1:53", "10.0.0.2:5353") == (5353, True)
    assert client_of("10.0.0.1:40000", "10.0.0.2:53") == (40000, True)
    assert client_of("10.0.0.1:5060", "10.0.0.2:40000") == (40000, True)
    assert client_of("10.0.0.1:53", "10.0.0.2:123") == (53, True)  # both well known: who began
    assert client_of("10.0.0.1:40001", "10.0.0.2:40000") == (40001, True)


def test_client_of_tcp_is_who_sent_the_syn_whatever_the_ports() -> None:
    backwards = wire.tcp_session("10.0.0.1:443", "10.0.0.2:40000")
    assert client_of("", "", backwards) == (443, False)
    assert client_of("", "", backwards[1:]) == (443, False)  # from the SYN/ACK
    assert client_of("", "", backwards[2:]) == (40000, True)  # from the ports


def test_ping_has_no_ports_and_who_began_is_the_guess() -> None:
    there = wire.ether(wire.ip4("10.0.0.2", "10.0.0.1", wire.ping()))
    back = wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.ping(reply=True)))
    (row,) = flows([Packet(START_NS, there), Packet(START_NS + 1, back)])
    assert (row["client_ip"], row["client_port"], row["client_guessed"]) == ("10.0.0.2", 0, True)
    assert (row["client_payload_bytes"], row["state"]) == (56, "two-way")


def test_silence_over_the_limit_begins_a_new_flow_except_in_tcp() -> None:
    for gap, parts in [(60 * SECOND, [2]), (60 * SECOND + 1, [1, 1])]:
        assert counts(wire.udp_dialogue(step_ns=gap)) == parts
    assert counts(wire.udp_dialogue(step_ns=61 * SECOND), idle_ns=0) == [2]
    assert counts(wire.tcp_session(step_ns=3600 * SECOND)) == [6]


def test_silence_is_measured_in_capture_order() -> None:
    one, two, three = wire.udp_dialogue(script=[("c", b"")] * 3, step_ns=40 * SECOND)
    assert counts([one, three, two]) == [1, 2]  # 80 s of silence, then back in time


def test_a_port_used_again_after_fin_is_a_new_flow() -> None:
    first = wire.tcp_session(C, S)
    again = wire.tcp_session(C, S, isn=(1002, 5), start_ns=START_NS + SECOND)
    assert counts(first + again) == [6, 6]
    assert counts(first[:3] + again) == [9]  # sequence number 1002 is in the open window


@pytest.mark.parametrize(
    ("isn", "same"),
    [
        (1000, True),  # the old SYN again
        (1001 + 65535, True),  # the window's last
        (1001 + 65536, False),
        (1001 - 65535, True),
        (1001 - 65536, False),
    ],
)
def test_a_syn_inside_the_old_window_goes_on_with_the_session(isn: int, same: bool) -> None:
    old = wire.tcp_session(C, S, end="none")
    new = wire.tcp_session(C, S, isn=(isn % 2**32, 1), end="none", start_ns=START_NS + SECOND)
    assert counts(old + new[:1]) == ([4] if same else [3, 1])


def test_the_window_is_scaled_when_both_syns_said_so() -> None:
    old = wire.tcp_session(C, S, end="none", scale=2, window=1000)
    for isn, parts in [(1001 + 4000, [4]), (1001 + 4001, [3, 1])]:
        new = wire.tcp_session(C, S, isn=(isn, 1), end="none", start_ns=START_NS + SECOND)
        assert counts(old + new[:1]) == parts


def test_a_syn_from_the_end_that_was_only_answered_is_judged_by_the_last_ack() -> None:
    talk = TcpConversation(C, S)
    talk.send("s")  # acknowledges 1000; the client was not seen
    syn = wire.tcp_session(C, S, isn=(500_000, 1), start_ns=START_NS + SECOND)[:1]
    assert counts(talk.packets + syn) == [1, 1]
    assert counts(talk.packets + wire.tcp_session(C, S, isn=(1000, 1))[:1]) == [2]


def fragments(ident: int = 7) -> list[Packet]:
    """A datagram of 2408 bytes in three fragments: 1042, 1042 and 426 bytes of frame."""
    body = wire.udp(40000, 9, bytes(2400))
    pieces = wire.ip4_fragments("10.0.0.1", "10.0.0.2", body, size=1008, ident=ident)
    return [Packet(START_NS + n, wire.ether(p)) for n, p in enumerate(pieces)]


def test_fragments_join_the_flow_of_their_first_in_any_order() -> None:
    a, b, c = fragments()
    for order in ([a, b, c], [c, b, a], [b, a, c]):
        (row,) = flows(order)
        assert row["client_port"] == 40000
        assert row["client_bytes"] == 1042 + 1042 + 426
        assert row["client_payload_bytes"] == 2400


def test_fragments_without_a_first_make_a_flow_of_their_own() -> None:
    _, b, c = fragments()
    d, *_ = fragments(8)
    rows = flows([b, c, d])
    ports = [(r["client_port"], r["client_packets"]) for r in rows]
    assert ports == [(0, 2), (40000, 1)]


def test_a_late_first_fragment_does_not_fetch_its_orphans() -> None:
    a, b, _ = fragments()
    late = Packet(b.ts_ns + 30 * SECOND + 1, a.data)
    assert counts([b, late]) == [1, 1]
    assert counts([b, Packet(b.ts_ns + 30 * SECOND, a.data)]) == [2]


def test_what_is_not_ip_has_no_flow() -> None:
    frames = [wire.ether(wire.arp("10.0.0.1", "10.0.0.2")), wire.ether(wire.lldp()), wire.stp()]
    assert flows([Packet(START_NS, frame) for frame in frames]) == []


@pytest.mark.parametrize("name", samples.LINKS)
def test_a_session_is_the_same_flow_on_every_link_type(name: str) -> None:
    kind, wrap = samples.LINKS[name]
    packets = wire.tcp_session(C, S, [("c", b"hello")], link=wrap)
    (row,) = model.flows(seen(packets, kind))
    assert (row["client_ip"], row["client_payload_bytes"]) == ("10.0.0.1", 5)
    assert row["client_packets"] == 5
    assert row["vlan"] == {"vlan": (7,), "qinq": (100, 7), "pppoe-in-vlan": (7,)}.get(name, ())


@pytest.mark.parametrize("name", samples.TUNNELS)
def test_tunnels_are_looked_through_unless_told_otherwise(name: str) -> None:
    word, version, wrap = samples.TUNNELS[name]
    c, s = (C, S) if version == 4 else ("[2001:db8::1]:40000", "[2001:db8::2]:443")
    packets = seen(wire.tcp_session(c, s, [("c", b"hello")], wrap=wrap))
    (inner,) = model.flows(packets)
    assert (inner["tunnel"], inner["client_port"], inner["proto"]) == ((word,), 40000, 6)
    assert inner["client_payload_bytes"] == 5
    outer = model.flows(packets, outer=True)
    assert {r["tunnel"] for r in outer} == {()}
    assert {r["client_ip"] for r in outer} <= {samples.HERE, samples.HERE6}


def test_nested_tunnels_are_named_from_outside_in() -> None:
    outer, inner = samples.TUNNELS["gre"][2], samples.TUNNELS["vxlan"][2]
    (row,) = flows(wire.tcp_session(C, S, wrap=lambda p: outer(inner(p))))
    assert row["tunnel"] == ("gre", "vxlan")


def test_vlan_tells_flows_apart_only_when_asked() -> None:
    both = [
        p
        for vid in (7, 8)
        for p in wire.udp_dialogue(wrap=lambda q, v=vid: wire.vlan(q, v))  # type: ignore[misc]
    ]
    assert counts(both) == [4]
    assert counts(both, key_vlan=True) == [2, 2]


# A flow of six datagrams of 100 bytes (58 payload), the even ones from the server.
SIX = wire.udp_dialogue(script=[("c", b"x" * 58), ("s", b"y" * 58)] * 3)


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (Policy(300), "KKK..."),
        (Policy(299), "KK...."),
        (Policy(0), "......"),
        (Policy(200, per_direction=True), "KKKK.."),
        (Policy(58 * 4, count="payload"), "KKKK.."),
        (Policy(100, rest="headers"), "Khhhhh"),
        (Policy(100, rest="sample", sample=3), "K.K..K"),
        (Policy(100, tail=200), "K...KK"),
        (Policy(100, tail=199), "K....K"),
        (Policy(100, tail=100, per_direction=True), "KK..KK"),
    ],
)
def test_cut_keeps_what_the_policy_says(policy: Policy, kept: str) -> None:
    assert [len(p.data) for p in SIX] == [100] * 6
    fates = model.trim(seen(SIX), policy)
    assert fates == [{"K": 100, "h": 42, ".": None}[k] for k in kept]


def test_count_wire_uses_original_lengths() -> None:
    snapped = [Packet(p.ts_ns, p.data[:60], 100) for p in SIX]
    assert model.trim(seen(snapped), Policy(200, count="wire")) == [60, 60, None, None, None, None]
    assert model.trim(seen(snapped), Policy(200)) == [60, 60, 60, None, None, None]


def test_syn_fin_and_rst_are_kept_past_the_cutoff() -> None:
    packets = seen(wire.tcp_session(C, S, [("s", b"x" * 3000)]))
    sizes = [len(r.data) for r in packets]
    kept = model.trim(packets, Policy(1000))
    assert [k is not None for k in kept] == [True] * 3 + [False] * 4 + [True, True, False]
    assert [k for k in kept if k] == sizes[:3] + sizes[7:9]
    dropped = model.trim(packets, Policy(1000, control="drop"))
    assert [k is not None for k in dropped] == [True] * 3 + [False] * 7


def test_each_session_and_what_is_no_flow_have_allowances_of_their_own() -> None:
    first = wire.udp_dialogue(script=[("c", bytes(58))] * 3)
    later = wire.udp_dialogue(script=[("c", bytes(58))] * 3, start_ns=START_NS + 100 * SECOND)
    arp = [Packet(START_NS + n, wire.ether(wire.arp("10.0.0.1", "10.0.0.2"))) for n in range(9)]
    kept = model.trim(seen(first + arp + later), Policy(100))
    assert kept == [100, None, None, *[42] * 9, 100, None, None]


def test_a_fragment_that_waited_counts_after_its_first() -> None:
    a, b, c = fragments()
    assert model.trim(seen([c, b, a]), Policy(1042)) == [None, None, 1042]
    assert model.trim(seen([c, b, a]), Policy(1042 + 426)) == [426, None, 1042]
