"""Frames of interfaces: whole, in order, once, and as they were."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess

import pytest
from flowkeep import _native
from flowkeep.errors import UsageError
from flowkeep.select.libpcap import compile_filter

from .. import wire as w
from .net import Pair, cache, capturing, held, ip, numbered, only, send, until, wire

pytestmark = pytest.mark.namespace


def test_frames_are_kept_byte_for_byte_in_order_in_both_directions(pair: Pair) -> None:
    store = cache()
    frames = [f[: 14 + i % 1487] for i, f in enumerate(numbered(3000, 1514))]
    with capturing(store, interfaces=["va"]) as capture, wire("va") as out, wire("vb") as back:
        for i, frame in enumerate(frames):
            (out if i % 2 else back)(frame)
    records, names = held(store)
    assert [r.data for r in records] == frames
    assert all(r.wirelen == len(r.data) and r.link == 1 for r in records)
    assert set(names) == {"va"}
    assert [r.ts_ns for r in records] == sorted(r.ts_ns for r in records)
    stats = only(capture)
    assert (stats["packets"], stats["drops"], stats["state"]) == (3000, 0, "stopped")
    assert stats["bytes"] == sum(map(len, frames)) == stats["interfaces"]["va"]["bytes"]
    [known] = store.status()["interfaces"]
    assert (known["name"], known["received"]["packets"], known["dropped"]) == ("va", 3000, 0)


def test_a_packet_is_there_while_nothing_follows_it(pair: Pair) -> None:
    store = cache()
    with capturing(store, interfaces=["va"]) as capture:
        send("vb", numbered(1))
        until(lambda: store.status()["received"]["packets"] == 1)
        assert only(capture)["state"] == "running"


def test_frames_before_the_start_wait_in_the_ring(pair: Pair) -> None:
    store = cache()
    capture = _native.Capture(store, interfaces=["va"])
    send("vb", numbered(10))
    assert only(capture)["state"] == "ready"
    capture.start()
    capture.stop()
    assert [r.data for r in held(store)[0]] == numbered(10)


def test_times_have_nanoseconds(pair: Pair) -> None:
    store = cache()
    with capturing(store, interfaces=["va"]):
        send("vb", numbered(200))
    assert any(r.ts_ns % 1000 for r in held(store)[0])


@pytest.mark.parametrize("tpid", [0x8100, 0x88A8])
def test_a_vlan_tag_is_put_back(pair: Pair, tpid: int) -> None:
    store = cache()
    plain = numbered(1)[0]
    frames = [
        plain[:12] + struct.pack(">HH", tpid, 0x6007) + plain[12:],
        plain[:12] + struct.pack(">HHHH", tpid, 7, 0x8100, 0x2008) + plain[12:],
    ]
    # Whoever receives a frame takes the tag out: it is only beside it.
    with capturing(store, interfaces=["va"]):
        send("vb", frames)
        send("va", frames)
    records = held(store)[0]
    assert [r.data for r in records] == frames + frames
    assert all(r.wirelen == len(r.data) for r in records)


def test_a_tag_that_is_given_by_the_interface_is_put_in(pair: Pair) -> None:
    try:
        ip("link", "add", "link", "vb", "name", "vb.7", "type", "vlan", "id", "7", "egress", "0:5")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no VLAN interface can be made: {error.stderr.strip()}")
    ip("link", "set", "vb.7", "up")
    plain, seen, sent = numbered(1)[0], cache(), cache()
    with capturing(seen, interfaces=["va"]), capturing(sent, interfaces=["vb"]):
        send("vb.7", [plain])
    whole = plain[:12] + struct.pack(">HH", 0x8100, 0xA007) + plain[12:]
    assert [[r.data for r in held(store)[0]] for store in (seen, sent)] == [[whole], [whole]]


def test_a_snap_length_holds_also_for_a_tag(pair: Pair) -> None:
    store = cache()
    plain = numbered(1, 1000)[0]
    tagged = plain[:12] + b"\x81\0\0\x07" + plain[12:]
    with capturing(store, interfaces=["va"], snap_length=100):
        send("vb", [plain, tagged])
    assert [(r.data, r.wirelen) for r in held(store)[0]] == [(plain[:100], 1000), (tagged[:100], 1004)]


def test_segments_longer_than_the_mtu_are_whole_and_loopback_shows_each_once(pair: Pair) -> None:
    store = cache()
    ip("link", "set", "lo", "mtu", "1500")
    ip("link", "set", "lo", "up")
    data = os.urandom(1 << 20)
    with capturing(store, interfaces=["lo"]), socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        port = client.getsockname()[1]
        taken = server.accept()[0]
        got = bytearray()
        for at in range(0, len(data), 65536):
            client.sendall(data[at : at + 65536])
            while len(got) < at + 65536:
                got += taken.recv(1 << 16)
        taken.close()
        client.close()
    records = held(store)[0]
    assert max(len(r.data) for r in records) > 10_000
    assert all(len(r.data) == r.wirelen for r in records)
    payload = bytearray()
    for r in records:
        words, source = (r.data[14] & 15) * 4, int.from_bytes(r.data[34:36], "big")
        if source == port:
            payload += r.data[14 + words + (r.data[14 + words + 12] >> 4) * 4 :]
    assert payload == data == got


def test_interfaces_that_come_later_belong_to_all(pair: Pair) -> None:
    store = cache()
    with capturing(store) as capture:
        ip("link", "add", "vc", "type", "veth", "peer", "name", "vd")
        for name in ("vc", "vd"):
            ip("link", "set", name, "up")
        send("vd", numbered(5))
        until(lambda: store.status()["received"]["packets"] == 10)
        ip("link", "del", "vc")
        send("va", numbered(3))
        until(lambda: store.status()["received"]["packets"] == 16)
    records, names = held(store)
    seen = {name: [r.data for r, n in zip(records, names, strict=True) if n == name] for name in set(names)}
    assert seen == {
        "va": numbered(3), "vb": numbered(3), "vc": numbered(5), "vd": numbered(5),
    }  # fmt: skip
    stats = only(capture)
    assert (stats["name"], stats["packets"]) == ("all", 16)
    assert {name: of["packets"] for name, of in stats["interfaces"].items()} == {
        "va": 3, "vb": 3, "vc": 5, "vd": 5,
    }  # fmt: skip


def test_an_interface_that_is_removed_is_taken_again_when_it_is_back(pair: Pair) -> None:
    store = cache()
    with capturing(store, interfaces=["va"]) as capture:
        send("vb", numbered(3))
        until(lambda: store.status()["received"]["packets"] == 3)
        pair.remove()
        until(lambda: only(capture)["state"] == "waiting")
        assert "gone" in only(capture)["error"]
        pair.add()
        until(lambda: only(capture)["state"] == "running")
        assert only(capture)["error"] is None
        send("vb", numbered(4))
        until(lambda: store.status()["received"]["packets"] == 7)
    assert [r.data for r in held(store)[0]] == numbered(3) + numbered(4)
    [known] = store.status()["interfaces"]
    assert known["name"] == "va"


def test_an_interface_that_goes_down_and_up_is_followed(pair: Pair) -> None:
    store = cache()
    with capturing(store, interfaces=["va"]) as capture:
        ip("link", "set", "va", "down")
        until(lambda: only(capture)["state"] == "waiting")
        assert only(capture)["error"] == "the interface is down"
        ip("link", "set", "va", "up")
        until(lambda: only(capture)["state"] == "running")
        pair.ready()
        send("vb", numbered(2))
    assert [r.data for r in held(store)[0]] == numbered(2)


def test_packets_have_the_name_that_their_interface_had(pair: Pair) -> None:
    store = cache()
    with capturing(store) as capture:
        send("va", numbered(1))
        until(lambda: store.status()["received"]["packets"] == 2)
        ip("link", "set", "va", "down")
        ip("link", "set", "va", "name", "other")
        ip("link", "set", "other", "up")
        until(lambda: only(capture)["packets"] == 2)
        send("other", numbered(1))
    assert sorted(held(store)[1]) == ["other", "va", "vb", "vb"]
    ip("link", "del", "other")


@pytest.mark.parametrize("hardware, link", [(65534, 101), (512, 276), (9999, 276)])
def test_packets_without_ethernet_have_their_own_link_type(pair: Pair, hardware: int, link: int) -> None:
    try:
        tun = os.open("/dev/net/tun", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no tun device can be made: {error}")
    try:
        fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"vt", 0x1001))  # TUNSETIFF: tun, no header
        fcntl.ioctl(tun, 0x400454CD, hardware)  # TUNSETLINK
        ip("link", "set", "vt", "up")
        store = cache()
        packets = [bytes(w.ip("192.0.2.1", "192.0.2.2", w.udp(i, 9, b"x" * i))) for i in range(1, 200)]
        with capturing(store, interfaces=["vt"]):
            for packet in packets:
                os.write(tun, packet)
    finally:
        os.close(tun)
    records = held(store)[0]
    assert {r.link for r in records} == {link}
    skip = 20 if link == 276 else 0
    assert [r.data[skip:] for r in records] == packets
    assert all(r.wirelen == len(r.data) for r in records)
    if skip:
        kind, ifindex, arphrd = struct.unpack(">HxxIH", records[0].data[:10])
        assert (kind, arphrd, ifindex > 0) == (0x0800, hardware, True)


def _mixed() -> list[bytes]:
    udp = w.ip("192.0.2.1", "192.0.2.2", w.udp(53, 5353, b"name"))
    tcp = w.ip("192.0.2.1", "192.0.2.2", w.tcp(1000, 80, b"GET /"))
    six = w.ip("2001:db8::1", "2001:db8::2", w.tcp(1000, 443, b"hello"))
    plain = [bytes(w.ether(body)) for body in (udp, tcp, six)] + [
        bytes(w.ether(w.arp("192.0.2.1", "192.0.2.2")))
    ]
    tagged = []
    for tpid, number in ((0x8100, 7), (0x8100, 8), (0x88A8, 7)):
        tagged += [f[:12] + struct.pack(">HH", tpid, number) + f[12:] for f in plain]
    return [f.ljust(60, b"\0") for f in plain + tagged]


@pytest.mark.parametrize(
    "expression",
    ["tcp port 80", "vlan", "vlan 7", "not vlan", "vlan and tcp", "ip6", "arp or udp", "greater 70",
     "not (tcp or vlan)", "ether[12:2] = 0x88a8"],
)  # fmt: skip
def test_a_filter_means_what_it_means_for_a_file(pair: Pair, expression: str) -> None:
    some, every = cache(), cache()
    program = compile_filter(expression).rules
    with capturing(some, interfaces=["va"], program=program) as capture, capturing(every, interfaces=["va"]):
        send("vb", _mixed())
        send("va", _mixed())
    assert len(held(every)[0]) == 2 * len(_mixed())
    expected = [r.data for r in held(every, program=program)[0]]
    assert 0 < len(expected) < 2 * len(_mixed())
    assert [r.data for r in held(some)[0]] == expected
    assert only(capture)["refused"] == 0


def test_a_filter_too_long_for_the_kernel_is_applied_behind_it(pair: Pair) -> None:
    hosts = " or ".join(f"ip src 198.51.{i // 256}.{i % 256}" for i in range(0, 110))
    long = [(1, bytes(8) * 5000 + program) for link, program in compile_filter(f"tcp or {hosts}").rules
            if link == 1 and isinstance(program, bytes)]  # fmt: skip
    store = cache()
    with capturing(store, interfaces=["va"], program=long) as capture:
        send("vb", _mixed())
    tcp = [
        f for f in _mixed() if (f[12:14], f[23]) == (b"\x08\0", 6) or (f[12:14], f[20]) == (b"\x86\xdd", 6)
    ]
    assert [r.data for r in held(store)[0]] == tcp
    assert only(capture)["filtered"] == len(_mixed()) - len(tcp)


def test_own_traffic_is_left_out_and_no_other(pair: Pair) -> None:
    def frames(source: int, target: int) -> list[bytes]:
        made = []
        for a, b in (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")):
            plain = bytes(w.ether(w.ip(a, b, w.tcp(source, target, b"x" * 20))))
            made += [plain, plain[:12] + b"\x81\0\0\x07" + plain[12:]]
        return made

    udp = bytes(w.ether(w.ip("192.0.2.1", "192.0.2.2", w.udp(57012, 57012, b"x" * 20))))
    others = [*frames(57011, 57013), *frames(80, 443), udp, *numbered(1)]
    store = cache()
    with capturing(store, interfaces=["va"], exclude_ports=[57012, 9090]):
        send("vb", [*frames(57012, 1), *frames(1, 57012), *frames(1, 9090), *others])
    assert [r.data for r in held(store)[0]] == others


def test_what_a_ring_has_no_room_for_is_counted(pair: Pair) -> None:
    store = cache()
    capture = _native.Capture(store, interfaces=["va"], ring=1 << 20)
    frames = numbered(5000, 1514)
    send("vb", frames)
    capture.start()
    capture.stop()
    stats = only(capture)
    kept = [r.data for r in held(store)[0]]
    assert stats["drops"] > 0 and kept
    assert stats["packets"] == len(kept)
    assert stats["packets"] + stats["drops"] == len(frames)
    assert kept == frames[: len(kept)]
    [known] = store.status()["interfaces"]
    assert known["dropped"] == stats["drops"]


def test_losses_that_may_be_of_any_interface_stand_under_a_name_of_their_own(pair: Pair) -> None:
    store = cache()
    capture = _native.Capture(store, ring=1 << 20)
    send("vb", numbered(5000, 1514))
    capture.start()
    capture.stop()
    dropped = {i["name"]: i["dropped"] for i in store.status()["interfaces"]}
    assert dropped.pop("all interfaces") == only(capture)["drops"] > 0
    assert set(dropped.values()) == {0}


def test_promiscuous_as_long_as_it_runs(pair: Pair) -> None:
    def count() -> int:
        return int(ip("-d", "link", "show", "va").split("promiscuity ")[1].split()[0])

    before = count()
    with capturing(cache(), interfaces=["va"], promiscuous=True):
        assert count() == before + 1
    assert count() == before
    with capturing(cache(), promiscuous=True):
        assert count() == before + 1
    with capturing(cache(), interfaces=["va"]):
        assert count() == before


def test_an_interface_that_there_is_not_is_named_with_those_that_there_are(pair: Pair) -> None:
    with pytest.raises(UsageError, match=r"no interface eth99; there are: lo, .*va, vb"):
        _native.Capture(cache(), interfaces=["va", "eth99"])


def test_stopping_always_returns(pair: Pair) -> None:
    capture = _native.Capture(cache(), interfaces=["va"])
    capture.stop()
    assert only(capture)["state"] == "stopped"
    capture.stop()
    with pytest.raises(UsageError, match="stopped"):
        capture.start()
    with capturing(cache()) as capture, wire("vb") as put:
        for frame in numbered(2000):
            put(frame)
        capture.stop()
        capture.stop()
    with capturing(cache(), interfaces=["va"]) as capture:
        pair.remove()
        until(lambda: only(capture)["state"] == "waiting")
    assert only(capture)["state"] == "stopped"
