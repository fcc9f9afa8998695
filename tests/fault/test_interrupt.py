"""SIGINT and readers that leave: no traceback, no debris, the documented exit status."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests import wire
from tests.cli import command
from tests.fault.captures import PART

INTERRUPTED = 130
MESSAGE = "flowkeep: stopped; nothing half-done was left behind"

# Audit events are raised before Python imports, opens, locks, changes, renames or removes something.
_INTERRUPTED_AT = """
import os, signal, sys
wanted, left = sys.argv.pop(1), int(sys.argv.pop(1))
def hook(event, args):
    global left
    if wanted in (event, f"{event} {args and args[0]}"):
        left -= 1
        if left == -1:
            os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hook)
from flowkeep.cli import main
main()
"""


def interrupted_at(event: str, number: int, *args: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run, with SIGINT before the event of this kind and number, from 0."""
    line = [sys.executable, "-c", _INTERRUPTED_AT, event, str(number), *args]
    return subprocess.run(line, env=command.ENV, capture_output=True, check=False, timeout=command.DEADLINE)


def until(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    """Wait for a process to get somewhere."""
    while not condition():
        assert process.poll() is None, f"it ended with {process.returncode}"


def interrupted(process: subprocess.Popen[bytes]) -> None:
    """Send SIGINT; the process leaves as documented."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=command.DEADLINE)
    # On a terminal the message stands below the ^C: an empty line comes first.
    assert (process.returncode, out, err.decode().strip("\n")) == (INTERRUPTED, b"", MESSAGE)


def has_open(process: subprocess.Popen[bytes], path: Path) -> bool:
    """Whether a process has a file open."""
    try:
        return any(os.readlink(fd) == str(path) for fd in Path(f"/proc/{process.pid}/fd").iterdir())
    except FileNotFoundError:
        return False


def has_part(folder: Path) -> bool:
    """Whether the making of a file in a folder has begun to give bytes."""
    parts = [entry for entry in folder.iterdir() if entry.name.endswith(PART)] if folder.is_dir() else []
    return any(part.stat().st_size for part in parts)


def capture(packets: int, size: int = 1400) -> bytes:
    """One flow of data that do not compress."""
    rng = random.Random(1)
    talk = wire.Conversation("10.0.0.1:40000", "10.0.0.2:40001")
    for _ in range(packets):
        talk.put("c", wire.udp(40000, 40001, rng.randbytes(size)))
    return wire.pcap(talk.packets)


def fifo(tmp_path: Path) -> Path:
    """A named pipe."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


TRIM = ("trim", "1GB", "--output")


@pytest.mark.parametrize("args", [TRIM, ("flows",), ("info",)], ids=lambda args: args[0])
@pytest.mark.parametrize("bytes_before", [0, 3, 24, 100_000])
def test_interrupt_while_a_pipe_is_silent(args: tuple[str, ...], bytes_before: int, tmp_path: Path) -> None:
    pipe, out = fifo(tmp_path), tmp_path / "out"
    process = command.start(*args, *([out] if "trim" in args else []), pipe)
    until(process, lambda: has_open(process, pipe))
    with pipe.open("wb", buffering=0) as writer:
        assert writer.write(capture(100)[:bytes_before]) == bytes_before
        interrupted(process)
    assert [name for name in command.tree(tmp_path) if name != "pipe"] in ([], ["out"])


@pytest.mark.parametrize("args", [TRIM, ("flows",), ("info",)], ids=lambda args: args[0])
def test_interrupt_on_a_pipe_that_nobody_writes_to(args: tuple[str, ...], tmp_path: Path) -> None:
    pipe, out = fifo(tmp_path), tmp_path / "out"
    process = command.start(*args, *([out] if "trim" in args else []), pipe)
    until(process, lambda: has_open(process, pipe))
    interrupted(process)
    assert [name for name in command.tree(tmp_path) if name != "pipe"] in ([], ["out"])


@pytest.mark.parametrize("args", [("trim", "1GB", "--output", "-"), ("flows",)], ids=lambda args: args[0])
def test_interrupt_on_a_silent_standard_input(args: tuple[str, ...], tmp_path: Path) -> None:
    read, write = os.pipe()
    process = command.start(*args, "-", stdin=read)
    os.close(read)
    os.write(write, capture(2)[:24])
    # The native core reads from a copy of its own.
    until(process, lambda: len(_pipes(process)) > 3)
    interrupted(process)
    os.close(write)


def _pipes(process: subprocess.Popen[bytes]) -> list[str]:
    fds = Path(f"/proc/{process.pid}/fd")
    names = []
    for fd in fds.iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            names.append(os.readlink(fd))
    return [name for name in names if name.startswith("pipe:")]


def test_interrupt_while_a_file_is_trimmed_into_a_folder(tmp_path: Path) -> None:
    source, out = tmp_path / "big.pcap", tmp_path / "out"
    source.write_bytes(capture(15_000))
    process = command.start(*TRIM, out, source, "--compress", "xz", "--ledger")
    until(process, lambda: has_part(out))
    interrupted(process)
    assert command.tree(out) == {}


def test_interrupt_while_the_demo_makes_its_capture(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    process = command.start("demo", "--folder", out, "--size", "800MB")
    until(process, lambda: has_part(out))
    # What it says about its steps stands on standard output.
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=command.DEADLINE)
    assert (process.returncode, err.decode().strip("\n")) == (INTERRUPTED, MESSAGE)
    assert command.tree(out) == {}


def test_interrupt_while_a_file_is_trimmed_in_place(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "big.pcap.gz").write_bytes(gzip.compress(capture(30_000), 1, mtime=0))
    before = command.tree(folder)
    process = command.start("trim", "1GB", folder, "--in-place")
    until(process, lambda: has_part(folder))
    interrupted(process)
    assert command.tree(folder) == before


@pytest.mark.parametrize("module", ["flowkeep.cli.app", "click", "flowkeep.ops.trim"])
def test_interrupt_while_the_program_starts(module: str, tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(3))
    before = command.tree(tmp_path)
    done = interrupted_at(f"import {module}", 0, "trim", "1kB", tmp_path / "a.pcap", "--in-place")
    assert command.said(done).strip("\n") == MESSAGE
    assert done.returncode == INTERRUPTED
    assert command.tree(tmp_path) == before


# At fcntl.flock the hidden file is made, and not yet locked.
@pytest.mark.parametrize("event", ["fcntl.flock", "os.chmod", "os.rename"])
def test_interrupt_at_every_step_of_making_a_file(event: str, tmp_path: Path) -> None:
    old, new = capture(3), capture(0)
    for number in range(4):  # the ledger and the capture, of two captures
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("a.pcap", "b.pcap"):
            (folder / name).write_bytes(old)
        done = interrupted_at(event, number, "trim", "1kB", folder, "--in-place")
        assert done.returncode == INTERRUPTED
        assert command.said(done).strip("\n") == MESSAGE
        left = command.tree(folder)
        assert not [name for name in left if name.endswith(PART)], f"{event} {number}"
        assert {left["a.pcap"], left["b.pcap"]} <= {old, new}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture whose table of flows is far longer than a pipe holds."""
    talks = [wire.udp_dialogue(f"10.{n >> 8}.{n & 255}.1:40000", "10.0.0.2:53") for n in range(3000)]
    path = tmp_path_factory.mktemp("many") / "many.pcap"
    path.write_bytes(wire.pcap(wire.merged(*talks)))
    return path


def leave_after(process: subprocess.Popen[bytes], size: int) -> str:
    """Read some of the output of a process, then close it; what it said."""
    assert process.stdout is not None and process.stderr is not None
    assert len(process.stdout.read(size)) == size
    process.stdout.close()
    with process.stderr:
        text = process.stderr.read().decode()
    process.wait(command.DEADLINE)
    command.fit(text)
    return text


# Status 1 would stand for damaged input.
@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson", "parquet", "arrow", "zeek", "eve"])
def test_a_reader_of_flows_may_leave(form: str, many: Path) -> None:
    process = command.start("flows", many, "-f", form, "-n", "0")
    assert leave_after(process, 1) == ""
    assert process.returncode == 0


def test_a_reader_of_a_trimmed_capture_may_leave(many: Path) -> None:
    process = command.start("trim", "1GB", many, "--output", "-")
    assert leave_after(process, 1) == ""
    assert process.returncode == 0


@pytest.mark.parametrize(
    "args", [("flows",), ("info",), ("trim", "1GB", "--output", "-")], ids=lambda a: a[0]
)
def test_standard_output_that_was_never_open(args: tuple[str, ...], many: Path) -> None:
    line = ["sh", "-c", 'exec "$@" >&-', "sh", *map(str, command.command(*args, many))]
    done = subprocess.run(line, env=command.ENV, capture_output=True, check=False, timeout=command.DEADLINE)
    assert command.said(done)
    assert done.returncode not in (0, 1)
