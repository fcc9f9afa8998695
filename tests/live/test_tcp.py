"""PCAP-over-IP: captures that come by TCP, and what else may come there."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flowkeep import _native
from flowkeep.select.libpcap import compile_filter

from .. import wire as w
from .net import cache, capturing, held, only, until


def _packets(count: int = 30) -> list[w.Packet]:
    frames = [
        bytes(w.ether(w.ip("192.0.2.1", "192.0.2.2", w.udp(i, 9, b"x" * i)))) for i in range(1, count + 1)
    ]
    return [w.Packet(w.START_NS + i * 1_001_000, frame) for i, frame in enumerate(frames)]


def _data(packets: list[w.Packet]) -> list[bytes]:
    return [p.data for p in packets]


@contextlib.contextmanager
def _listening(store: _native.Cache, **settings: Any) -> Iterator[tuple[_native.Capture, int]]:
    capture = _native.Capture(store, interfaces=[], **settings)
    port = capture.listen("127.0.0.1", 0)
    capture.start()
    try:
        yield capture, port
    finally:
        capture.stop()
    assert only(capture)["state"] == "stopped"


def _send(port: int, data: bytes) -> None:
    """Send, and wait until the other side has closed, too."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            assert peer.recv(1) == b""


CAPTURES = {
    "pcap": w.pcap(_packets()),
    "pcap-ns": w.pcap(_packets(), ns=True),
    "pcap-big-endian": w.pcap(_packets(), order=">"),
    "pcapng": w.pcapng(_packets()),
}


@pytest.mark.parametrize("form", CAPTURES)
def test_a_capture_that_is_sent_is_kept(form: str) -> None:
    store = cache()
    with _listening(store) as (capture, port):
        _send(port, CAPTURES[form])
        stats = only(capture)
    records = held(store)[0]
    assert [(r.data, r.ts_ns) for r in records] == [(p.data, p.ts_ns) for p in _packets()]
    assert (stats["packets"], stats["connections"], stats["error"]) == (30, 1, None)
    assert stats["name"] == f"127.0.0.1:{port}"


def test_packets_are_there_before_the_capture_ends() -> None:
    store = cache()
    with _listening(store) as (_, port), socket.create_connection(("127.0.0.1", port)) as peer:
        for n, byte in enumerate(CAPTURES["pcap"][:200]):
            peer.send(bytes([byte]))
            del n
        whole = sum(24 + sum(16 + len(p.data) for p in _packets()[: k + 1]) <= 200 for k in range(30))
        assert whole == 2
        until(lambda: store.status()["received"]["packets"] == whole)


def test_interfaces_of_pcapng_keep_their_names_and_others_have_the_address() -> None:
    first = [w.Packet(p.ts_ns, p.data, iface=i % 2) for i, p in enumerate(_packets())]
    named = w.pcapng(first, interfaces=[w.Interface(name="tap7"), w.Interface(link=101, name="raw0")])
    store = cache()
    with _listening(store) as (capture, port):
        _send(port, named)
        _send(port, CAPTURES["pcap"])
        stats = only(capture)
    known = {(i["name"], i["link"]): i["received"]["packets"] for i in store.status()["interfaces"]}
    assert known == {("tap7", 1): 15, ("raw0", 101): 15, ("127.0.0.1", 1): 30}
    assert {name: of["packets"] for name, of in stats["interfaces"].items()} == {
        "tap7": 15, "raw0": 15, "127.0.0.1": 30,
    }  # fmt: skip


def test_a_filter_holds_here_and_excluded_ports_do_not() -> None:
    tcp = w.Packet(w.START_NS, bytes(w.ether(w.ip("192.0.2.1", "192.0.2.2", w.tcp(57012, 1, b"x")))))
    store = cache()
    with _listening(store, program=compile_filter("tcp").rules, exclude_ports=[57012]) as (capture, port):
        _send(port, w.pcap([*_packets(), tcp]))
        stats = only(capture)
    assert [r.data for r in held(store)[0]] == [tcp.data]
    assert (stats["packets"], stats["filtered"], stats["refused"]) == (1, 30, 0)


GARBAGE = {
    "nothing": (b"", "ended before its first byte"),
    "http": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "unknown format: it begins with the bytes 47 45 54 20"),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(100), "not compressed"),
    "half a header": (CAPTURES["pcap"][:10], "10 are there"),
    "half a record": (CAPTURES["pcap"][:-1], "are needed"),
    "a length that lies": (CAPTURES["pcap"][:24] + b"\0" * 8 + b"\xff" * 8, "cannot be true"),
    "a long block": (
        CAPTURES["pcapng"] + struct.pack("<II", 0x77, 100 << 20) + bytes(1000), "at most 16777216 are taken"),
    "a block without its end": (CAPTURES["pcapng"] + struct.pack("<II", 6, 33) + bytes(1000), "byte"),
}  # fmt: skip


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_ends_its_connection_and_nothing_else(kind: str) -> None:
    data, why = GARBAGE[kind]
    store = cache()
    with _listening(store) as (capture, port), socket.create_connection(("127.0.0.1", port)) as other:
        other.sendall(CAPTURES["pcap"][:500])
        _send(port, data)
        until(lambda: only(capture)["error"])
        error = only(capture)["error"]
        assert error.startswith("127.0.0.1:") and why in error
        assert only(capture)["state"] == "running"
        before = only(capture)["packets"]
        _send(port, CAPTURES["pcapng"])
        other.sendall(CAPTURES["pcap"][500:])
        whole = 60 + (30 if CAPTURES["pcapng"] in data else 29 if kind == "half a record" else 0)
        until(lambda: only(capture)["packets"] == whole, f"{whole} packets, {before} before")


def test_mutated_captures_never_end_the_service() -> None:
    chance = random.Random(7)
    store = cache(64 << 20)
    with _listening(store) as (capture, port):
        for _ in range(200):
            data = bytearray(chance.choice(list(CAPTURES.values())))
            for _ in range(chance.randrange(1, 9)):
                data[chance.randrange(len(data))] = chance.choice(
                    [0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)]
                )
            _send(port, bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data))
        before = only(capture)["packets"]
        _send(port, CAPTURES["pcap"])
        assert only(capture)["packets"] == before + 30
        assert only(capture)["connections"] == 201


def test_invented_interface_names_have_a_bound() -> None:
    interfaces = [w.Interface(name=f"n{i}") for i in range(6000)]
    frame = _packets(1)[0].data
    packets = [w.Packet(w.START_NS + i, frame, iface=i) for i in range(6000)]
    store = cache()
    with _listening(store) as (capture, port):
        for _ in range(2):
            _send(port, w.pcapng(packets, interfaces=interfaces))
        stats = only(capture)
    assert stats["packets"] == 12_000
    assert len(stats["interfaces"]) == 4097
    assert stats["interfaces"]["(others)"]["packets"] == 2 * (6000 - 4096)
    # The store tells fewer apart; the packets are all there.
    known = store.status()["interfaces"]
    assert len(known) == 1024 and sum(i["received"]["packets"] for i in known) == 12_000


def test_senders_have_a_bound_and_room_is_made_when_they_leave() -> None:
    store = cache()
    with _listening(store) as (capture, port), contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(64)]
        until(lambda: only(capture)["connections"] == 64)
        with socket.create_connection(("127.0.0.1", port)) as turned:
            assert turned.recv(1) == b""
        assert "turned away: there are 64" in only(capture)["error"]
        for peer in peers:
            peer.sendall(CAPTURES["pcap"])
        until(lambda: only(capture)["packets"] == 64 * 30)
        peers[0].close()

        def again() -> bool:
            with socket.create_connection(("127.0.0.1", port)) as one:
                one.sendall(CAPTURES["pcap"])
                one.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionError):
                    one.recv(1)
            return bool(only(capture)["packets"] == 65 * 30)

        until(again)


def test_it_connects_and_connects_again() -> None:
    store = cache()
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        capture = _native.Capture(store, interfaces=[])
        capture.connect(host, port)
        assert only(capture)["name"] == f"127.0.0.1:{port}"
        capture.start()
        try:
            for n, form in enumerate(["pcap", "pcapng"], 1):
                peer = server.accept()[0]
                until(lambda: only(capture)["state"] == "running")
                peer.sendall(CAPTURES[form])
                until(lambda n=n: only(capture)["packets"] == 30 * n)  # type: ignore[misc]
                peer.close()
            peer = server.accept()[0]
            peer.sendall(b"no capture at all, but some text")
            until(lambda: "unknown format" in (only(capture)["error"] or ""))
            peer.close()
            peer = server.accept()[0]
            peer.sendall(CAPTURES["pcap-ns"])
            until(lambda: only(capture)["packets"] == 90)
            assert only(capture)["connections"] == 4
            peer.close()
        finally:
            capture.stop()
    assert only(capture)["state"] == "stopped"


def test_it_waits_for_who_is_not_there_yet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    capture = _native.Capture(cache(), interfaces=[])
    capture.connect(*address)
    capture.start()
    until(lambda: only(capture)["error"])
    assert (only(capture)["state"], "refused" in only(capture)["error"].lower()) == ("waiting", True)
    with socket.create_server(address) as server:
        peer = server.accept()[0]
        peer.sendall(CAPTURES["pcap"])
        until(lambda: only(capture)["packets"] == 30)
        peer.close()
        capture.stop()


def test_stopping_returns_whatever_the_other_side_does() -> None:
    silent = socket.create_server(("127.0.0.1", 0), backlog=1)
    capture = _native.Capture(cache(), interfaces=[])
    port = capture.listen("127.0.0.1", 0)
    capture.connect(*silent.getsockname())  # taken by the kernel, and never a word
    capture.connect("192.0.2.1", 9)  # a network for documentation: no answer, or none is there
    capture.start()
    peer = socket.create_connection(("127.0.0.1", port))
    peer.sendall(CAPTURES["pcap"][:100])
    until(lambda: capture.stats()[0]["connections"] == 1)
    stopper = threading.Thread(target=capture.stop, daemon=True)
    stopper.start()
    stopper.join(60)
    assert not stopper.is_alive()
    assert {s["state"] for s in capture.stats()} == {"stopped"}
    peer.close()
    silent.close()


def test_a_port_that_is_taken_and_a_name_without_address_are_refused() -> None:
    capture = _native.Capture(cache(), interfaces=[])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(OSError, match=f"listening on 127.0.0.1 port {port}"):
            capture.listen("127.0.0.1", port)
    with pytest.raises(OSError, match=r"no-such-host\.invalid"):
        capture.connect("no-such-host.invalid", 57012)
    assert capture.stats() == []


def test_an_input_that_is_added_later_starts_at_once() -> None:
    store = cache()
    with capturing(store, interfaces=[]) as capture:
        port = capture.listen("127.0.0.1", 0)
        _send(port, CAPTURES["pcap"])
        assert only(capture)["packets"] == 30
