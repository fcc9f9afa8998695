"""Pipes, standard input and output, and compression give what plain files give, byte for byte."""

from __future__ import annotations

import gzip
import lzma
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard

from tests import wire
from tests.cli import command
from tests.wire import MILLISECOND

CUTOFF = "5kB"
FORMATS = ["table", "csv", "json", "ndjson", "parquet", "arrow", "zeek", "eve"]
DATA = bytes(range(256)) * 40


def _traffic() -> list[wire.Packet]:
    """Flows of several kinds; times with all nine digits, of which the last ones are easily lost."""
    talks = []
    for n in range(60):
        start = wire.START_NS + n * 7 * MILLISECOND + 123_456_789
        client = f"10.0.{n}.1:{40000 + n}"
        talks.append(wire.tcp_session(client, "10.0.0.2:443", [("c", b"GET"), ("s", DATA)], start_ns=start))
        talks.append(wire.udp_dialogue(f"[2001:db8::{n + 1}]:5353", "[2001:db8:1::1]:53", start_ns=start + 1))
    return wire.merged(*talks)


PLAIN = {"pcap": wire.pcap(_traffic(), ns=True), "pcapng": wire.pcapng(_traffic())}

Codec = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes], bytes]


def _same(data: bytes) -> bytes:
    return data


def _unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()


CODECS: dict[str, Codec] = {
    "none": (_same, _same, b""),
    "gzip": (gzip.compress, gzip.decompress, b"\x1f\x8b"),
    "zstd": (zstandard.compress, _unzstd, b"\x28\xb5\x2f\xfd"),
    "lz4": (lz4.frame.compress, lz4.frame.decompress, b"\x04\x22\x4d\x18"),
    "xz": (lzma.compress, lzma.decompress, b"\xfd7zXZ\0"),
}
"""Name to compress, decompress, and the first bytes."""


def ok(done: subprocess.CompletedProcess[bytes]) -> bytes:
    """The output of a run that went well."""
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The captures as plain files, and below ``trimmed`` what trimming makes of them."""
    folder = tmp_path_factory.mktemp("plain")
    for name, data in PLAIN.items():
        (folder / f"a.{name}").write_bytes(data)
        ok(command.run("trim", CUTOFF, folder / f"a.{name}", "--output", folder / "trimmed"))
        assert 0 < (folder / "trimmed" / f"a.{name}").stat().st_size < len(data)
    return folder


@pytest.fixture(scope="module")
def tables(plain: Path) -> dict[str, bytes]:
    """The flows of the plain pcap file in every format, from files that were written with -o."""
    found = {}
    for form in FORMATS:
        assert ok(command.run("flows", plain / "a.pcap", "-f", form, "-o", plain / form)) == b""
        found[form] = (plain / form).read_bytes()
    assert b"1700000000123456789" in found["csv"]
    return found


def fed(args: tuple[str | Path, ...], pipe: Path, data: bytes, out: Path) -> bytes:
    """Run with a named pipe that is given ``data``; the output."""
    os.mkfifo(pipe)
    with out.open("wb") as file:
        process = command.start(*args, stdout=file)
    while True:
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:  # nobody has the other end open yet
            assert process.poll() is None, process.communicate()[1].decode()
    os.set_blocking(writer, True)
    with open(writer, "wb") as feed:
        feed.write(data)
    _, err = process.communicate(timeout=command.DEADLINE)
    assert process.returncode == 0, err.decode()
    return out.read_bytes()


@pytest.mark.parametrize("form", FORMATS)
def test_flows_on_standard_output_are_those_of_a_file(
    form: str, plain: Path, tables: dict[str, bytes]
) -> None:
    assert ok(command.run("flows", plain / "a.pcap", "-f", form)) == tables[form]
    assert ok(command.run("flows", plain / "a.pcap", "-f", form, "-o", "-")) == tables[form]


@pytest.mark.parametrize("form", FORMATS)
def test_flows_from_standard_input_are_those_of_a_file(form: str, tables: dict[str, bytes]) -> None:
    assert ok(command.run("flows", "-", "-f", form, input=PLAIN["pcap"])) == tables[form]


@pytest.mark.parametrize("kind", CODECS)
def test_flows_of_every_compression_and_every_way_in(
    kind: str, tables: dict[str, bytes], tmp_path: Path
) -> None:
    data = CODECS[kind][0](PLAIN["pcap"])
    file, pipe = tmp_path / "a.bin", tmp_path / "pipe"  # no name tells what is in it
    file.write_bytes(data)
    assert ok(command.run("flows", file, "-f", "csv")) == tables["csv"]
    assert ok(command.run("flows", "-", "-f", "csv", input=data)) == tables["csv"]
    with file.open("rb") as stdin:
        assert ok(command.run("flows", "-", "-f", "csv", stdin=stdin)) == tables["csv"]
    assert fed(("flows", pipe, "-f", "csv"), pipe, data, tmp_path / "out") == tables["csv"]


@pytest.mark.parametrize("kind", CODECS)
def test_parts_that_were_compressed_apart_are_one_capture(kind: str, tables: dict[str, bytes]) -> None:
    compress, data = CODECS[kind][0], PLAIN["pcap"]
    parts = b"".join(compress(data[at : at + 70_001]) for at in range(0, len(data), 70_001))
    assert ok(command.run("flows", "-", "-f", "csv", input=parts)) == tables["csv"]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("kind", CODECS)
def test_trim_keeps_the_compression_on_every_way(kind: str, name: str, plain: Path, tmp_path: Path) -> None:
    compress, decompress, magic = CODECS[kind]
    expected = (plain / "trimmed" / f"a.{name}").read_bytes()
    data = compress(PLAIN[name])
    file, pipe = tmp_path / "a.bin", tmp_path / "pipe"
    file.write_bytes(data)
    ok(command.run("trim", CUTOFF, file, "--output", tmp_path / "out"))
    to_file = (tmp_path / "out" / "a.bin").read_bytes()
    assert to_file.startswith(magic)
    assert decompress(to_file) == expected
    assert ok(command.run("trim", CUTOFF, file, "--output", "-")) == to_file
    assert ok(command.run("trim", CUTOFF, "-", "--output", "-", input=data)) == to_file
    assert fed(("trim", CUTOFF, pipe, "-o", "-"), pipe, data, tmp_path / "piped") == to_file
    ok(command.run("trim", CUTOFF, file, "--in-place"))
    assert file.read_bytes() == to_file


@pytest.mark.parametrize("into", CODECS)
def test_trim_changes_the_compression_when_told(into: str, plain: Path) -> None:
    expected = (plain / "trimmed" / "a.pcap").read_bytes()
    _, decompress, magic = CODECS[into]
    outputs = set()
    for kind, (compress, _, _) in CODECS.items():
        args = ("trim", CUTOFF, "-", "--output", "-", "--compress", into)
        outputs.add(ok(command.run(*args, input=compress(PLAIN["pcap"]))))
        assert len(outputs) == 1, f"from {kind}"
    (output,) = outputs
    assert output.startswith(magic)
    assert decompress(output) == expected


def test_trim_from_a_pipe_into_a_folder(plain: Path, tmp_path: Path) -> None:
    args = ("trim", CUTOFF, "-", "--output", tmp_path / "out", "--ledger")
    ok(command.run(*args, input=PLAIN["pcap"]))
    expected = (plain / "trimmed" / "a.pcap").read_bytes()
    tree = command.tree(tmp_path / "out")
    assert tree.keys() == {"stdin", "stdin.ledger.arrow"}
    assert tree["stdin"] == expected


@pytest.mark.parametrize("form", ["csv", "zeek", "ndjson"])
def test_the_ledger_gives_back_what_was_cut_digit_for_digit(
    form: str, tables: dict[str, bytes], tmp_path: Path
) -> None:
    file = tmp_path / "a.pcap"
    file.write_bytes(PLAIN["pcap"])
    ok(command.run("trim", CUTOFF, file, "--in-place"))
    given, whole = ok(command.run("flows", file, "-f", form)), tables[form]
    if form == "zeek":  # what only the packets tell is gone with them: conn_state, missed_bytes, history
        given, whole = (
            b"\n".join(b"\t".join([*(f := line.split(b"\t"))[:11], *f[14:]]) for line in text.split(b"\n"))
            for text in (given, whole)
        )
    assert given == whole


@pytest.mark.parametrize("kind", [kind for kind in CODECS if kind != "none"])
def test_a_compressed_stream_that_ends_early_is_damage(kind: str) -> None:
    data = CODECS[kind][0](PLAIN["pcap"])
    done = command.run("flows", "-", "-f", "csv", input=data[: len(data) // 2])
    assert done.returncode == 1
    assert "damaged at byte" in command.said(done)
