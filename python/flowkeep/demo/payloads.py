"""What the applications of the demo capture say to each other."""

from __future__ import annotations

import random
import struct


def dns(number: int, name: str, address: bytes | None = None) -> bytes:
    """A DNS query, or with an address the answer to it."""
    kind = 28 if address is not None and len(address) == 16 else 1
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    flags = 0x0100 if address is None else 0x8180
    message = struct.pack(">HHHHHH", number, flags, 1, int(address is not None), 0, 0)
    message += labels + b"\0" + struct.pack(">HH", kind, 1)
    if address is not None:
        message += struct.pack(">HHHIH", 0xC00C, kind, 1, 300, len(address)) + address
    return message


def http_request(name: str, path: str) -> bytes:
    """A request of HTTP/1.1."""
    lines = (f"GET {path} HTTP/1.1", f"Host: {name}", "User-Agent: demo/1.0", "Accept: */*", "", "")
    return "\r\n".join(lines).encode()


def http_response(body: bytes) -> bytes:
    """A response of HTTP/1.1."""
    head = "HTTP/1.1 200 OK\r\nServer: demo\r\nContent-Type: text/html\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def _vector(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size, "big") + data


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">HH", kind, len(data)) + data


def client_hello(rng: random.Random, name: str) -> bytes:
    """A TLS 1.3 ClientHello in a record (RFC 8446) with the extensions that browsers send."""
    server_name = _vector(b"\0" + _vector(name.encode(), 2), 2)
    protocols = _vector(_vector(b"h2", 1) + _vector(b"http/1.1", 1), 2)
    share = struct.pack(">HH", 0x001D, 32) + rng.randbytes(32)
    extensions = b"".join(
        (
            _extension(0, server_name),
            _extension(23, b""),
            _extension(10, _vector(bytes.fromhex("001d00170018"), 2)),
            _extension(16, protocols),
            _extension(13, _vector(bytes.fromhex("040308040401050308050501"), 2)),
            _extension(51, _vector(share, 2)),
            _extension(45, b"\x01\x01"),
            _extension(43, bytes.fromhex("0403040303")),
        )
    )
    suites = bytes.fromhex("130113021303c02bc02fc02cc030")
    body = b"\x03\x03" + rng.randbytes(32) + _vector(rng.randbytes(32), 1)
    body += _vector(suites, 2) + b"\x01\0" + _vector(extensions, 2)
    return b"\x16\x03\x01" + _vector(b"\x01" + _vector(body, 3), 2)


def server_hello(rng: random.Random) -> bytes:
    """A TLS 1.3 ServerHello, then an encrypted record as long as certificates make it."""
    share = struct.pack(">HH", 0x001D, 32) + rng.randbytes(32)
    extensions = _extension(51, share) + _extension(43, b"\x03\x04")
    body = b"\x03\x03" + rng.randbytes(32) + _vector(rng.randbytes(32), 1) + b"\x13\x01\0"
    body += _vector(extensions, 2)
    hello = b"\x16\x03\x03" + _vector(b"\x02" + _vector(body, 3), 2)
    return hello + b"\x14\x03\x03\0\x01\x01" + tls_data(rng, rng.randrange(1500, 3500))


def tls_data(rng: random.Random, size: int) -> bytes:
    """Encrypted application data in one TLS record, at most 16 KiB."""
    return b"\x17\x03\x03" + _vector(rng.randbytes(min(size, 16384)), 2)


def quic_initial(rng: random.Random) -> bytes:
    """A datagram shaped like a QUIC version 1 Initial (RFC 9000), 1200 bytes."""
    head = b"\xc3\0\0\0\x01" + _vector(rng.randbytes(8), 1) + b"\0\0" + b"\x44\x9e"
    return head + rng.randbytes(1200 - len(head))


def quic_data(rng: random.Random, size: int) -> bytes:
    """A datagram shaped like a QUIC short-header packet."""
    return bytes([0x40 | rng.randrange(64)]) + rng.randbytes(size - 1)


def ntp(rng: random.Random, *, reply: bool) -> bytes:
    """An NTP version 4 message (RFC 5905)."""
    return bytes([0x24 if reply else 0x23, 2 if reply else 0, 6, 0xEC]) + rng.randbytes(44)


def smtp(rng: random.Random) -> list[tuple[bool, bytes]]:
    """A mail delivery, as (from the client, line)."""
    text = "".join(rng.choice("etaoin shrdlu\n") for _ in range(rng.randrange(400, 4000)))
    mail = f"Subject: demo\r\n\r\n{text}\r\n.\r\n".encode()
    return [
        (False, b"220 mail.example.com ESMTP\r\n"),
        (True, b"EHLO client.example.com\r\n"),
        (False, b"250 mail.example.com\r\n"),
        (True, b"MAIL FROM:<alice@example.com>\r\n"),
        (False, b"250 OK\r\n"),
        (True, b"RCPT TO:<bob@example.com>\r\n"),
        (False, b"250 OK\r\n"),
        (True, b"DATA\r\n"),
        (False, b"354 go ahead\r\n"),
        (True, mail),
        (False, b"250 queued\r\n"),
        (True, b"QUIT\r\n"),
        (False, b"221 bye\r\n"),
    ]


def ssh(rng: random.Random) -> list[tuple[bool, bytes]]:
    """A terminal session: banners, key exchange, keystrokes and echoes."""
    lines = [(True, b"SSH-2.0-demo_1.0\r\n"), (False, b"SSH-2.0-demo_1.0\r\n")]
    lines += [(True, rng.randbytes(1200)), (False, rng.randbytes(1100))]
    for _ in range(rng.randrange(10, 60)):
        lines += [(True, rng.randbytes(36)), (False, rng.randbytes(rng.choice((36, 36, 180))))]
    return lines
