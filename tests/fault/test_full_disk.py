"""Output that runs out of space: the error names the file, the originals stay, nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests import wire
from tests.cli import command
from tests.fault import captures

FORMATS = ["table", "csv", "json", "ndjson", "parquet", "arrow", "zeek", "eve"]
OUTPUT_ERROR = 7
NO_ROOM = ("No space left on device", "File too large")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")

# Python ignores SIGXFSZ, so a write beyond the limit fails with EFBIG. Every file system does this.
_LIMITED = """
import resource, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from flowkeep.cli import main
main()
"""


def limited(
    size: int, *args: str | Path, stdout: int | IO[bytes] = subprocess.PIPE, unbuffered: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run with files of at most ``size`` bytes."""
    line = [sys.executable, *(["-u"] if unbuffered else []), "-c", _LIMITED, str(size), *args]
    return subprocess.run(
        line, env=command.ENV, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=command.DEADLINE
    )


def refused(done: subprocess.CompletedProcess[bytes], *names: Path) -> None:
    """The run failed for want of room, said so and named one of the files."""
    text = command.said(done)
    assert done.returncode == OUTPUT_ERROR, text
    assert any(why in text for why in NO_ROOM), text
    assert any(str(name) in text for name in names), text
    assert done.stdout == b""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of captures of some 500 kB each."""
    captures.fill(tmp_path / "in", count=4)
    return tmp_path / "in"


@pytest.fixture
def flows_of(tmp_path: Path) -> Path:
    """A capture with so many flows that every table of them is large."""
    talks = [wire.udp_dialogue(f"10.{n >> 8}.{n & 255}.1:40000", "10.0.0.2:53") for n in range(2000)]
    (tmp_path / "many.pcap").write_bytes(wire.pcap(wire.merged(*talks)))
    return tmp_path / "many.pcap"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(line, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no file system can be mounted here; a limit on file sizes is tested instead")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def take_all_but(disk: Path, size: int) -> None:
    """Fill the file system up to ``size`` bytes."""
    info = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(info.f_bavail * info.f_frsize - size))


@pytest.mark.parametrize("cutoff", ["1kB", "100kB"], ids=["ledger too large", "capture too large"])
def test_in_place_with_a_limit_on_file_sizes(cutoff: str, source: Path) -> None:
    before = command.tree(source)
    done = limited(15_000, "trim", cutoff, source, "--in-place")
    refused(done, source / "0.pcap")
    assert command.tree(source) == before


@pytest.mark.parametrize("kind", ["none", "gzip", "zstd", "lz4", "xz"])
def test_output_with_a_limit_on_file_sizes(kind: str, source: Path, tmp_path: Path) -> None:
    before = command.tree(source)
    out = tmp_path / "out"
    done = limited(500, "trim", "100kB", source, "--output", out, "--compress", kind)
    refused(done, source / "0.pcap", out / "0.pcap")
    assert command.tree(source) == before
    assert command.tree(out) == {}


@pytest.mark.parametrize("form", FORMATS)
def test_flows_with_a_limit_on_file_sizes(form: str, flows_of: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "flows"
    out.parent.mkdir()
    out.write_bytes(b"old")
    done = limited(5000, "flows", flows_of, "-f", form, "-n", "0", "-o", out)
    refused(done, out)
    assert command.tree(out.parent) == {"flows": b"old"}


def test_a_report_with_a_limit_on_file_sizes(source: Path, tmp_path: Path) -> None:
    report = tmp_path / "out" / "report.json"
    report.parent.mkdir()
    done = limited(100, "trim", "100kB", source, "--dry-run", "--report", report)
    refused(done, report)
    assert command.tree(report.parent) == {}


def test_in_place_on_a_full_disk(disk: Path) -> None:
    for n, packets in enumerate(captures.slices(2, 100)):
        (disk / f"{n}.pcap").write_bytes(wire.pcap(packets))
    take_all_but(disk, 64_000)
    before = command.tree(disk)
    done = command.run("trim", "150kB", disk, "--in-place")
    refused(done, disk / "0.pcap")
    assert command.tree(disk) == before


def test_in_place_on_a_disk_that_fills_later_keeps_what_was_done(disk: Path, tmp_path: Path) -> None:
    first, second = captures.slices(2, 100)
    (disk / "0.pcap").write_bytes(wire.pcap(first[:20]))
    (disk / "1.pcap").write_bytes(wire.pcap(second))
    take_all_but(disk, 64_000)
    before = command.tree(disk)
    done = command.run("trim", "200kB", disk, "--in-place")
    refused(done, disk / "1.pcap")
    after = command.tree(disk)
    assert after["1.pcap"] == before["1.pcap"]
    assert after.keys() - before.keys() == {"0.pcap" + captures.LEDGER}


def test_output_on_a_full_disk(source: Path, disk: Path) -> None:
    before = command.tree(source)
    take_all_but(disk, 8192)
    done = command.run("trim", "100kB", source, "--output", disk / "out")
    refused(done, source / "0.pcap", disk / "out" / "0.pcap")
    assert command.tree(source) == before
    assert [name for name in command.tree(disk) if name != "filler"] in ([], ["out"])


@pytest.mark.parametrize("form", FORMATS)
def test_flows_on_a_full_disk(form: str, flows_of: Path, disk: Path) -> None:
    take_all_but(disk, 4096)
    done = command.run("flows", flows_of, "-f", form, "-n", "0", "-o", disk / "flows")
    refused(done, disk / "flows")
    assert list(command.tree(disk)) == ["filler"]


@needs_full
@pytest.mark.parametrize("form", FORMATS)
def test_flows_into_the_device_that_is_always_full(form: str, flows_of: Path) -> None:
    full = Path("/dev/full")
    done = command.run("flows", flows_of, "-f", form, "-o", full)
    refused(done, full)
    assert full.is_char_device()


@needs_full
@pytest.mark.parametrize("form", FORMATS)
def test_flows_to_a_standard_output_without_room(form: str, flows_of: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = command.run("flows", flows_of, "-f", form, stdout=full)
    text = command.said(done)
    assert done.returncode == OUTPUT_ERROR, text
    assert "No space left on device" in text
    assert "standard output" in text or "stdout" in text, text


# Unbuffered, Python writes a part, says how much, and goes on.
@pytest.mark.parametrize("unbuffered", [False, True], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("form", FORMATS)
def test_flows_to_a_standard_output_that_takes_only_a_part(
    form: str, unbuffered: bool, flows_of: Path, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("wb") as out:
        args = ("flows", flows_of, "-n", "0", "-f", form)
        done = limited(20_000, *args, stdout=out, unbuffered=unbuffered)
    text = command.said(done)
    assert done.returncode == OUTPUT_ERROR, text
    assert "File too large" in text


@needs_full
@pytest.mark.parametrize("args", [("trim", "1MB", "--output", "-"), ("info",)], ids=lambda args: args[0])
def test_the_other_commands_to_a_standard_output_without_room(args: tuple[str, ...], flows_of: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = command.run(*args, flows_of, stdout=full)
    text = command.said(done)
    assert done.returncode == OUTPUT_ERROR, text
    assert "No space left on device" in text
