"""Help, streams that are closed or full, and what a terminal gets."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests import wire
from tests.cli import command

COMMANDS = ["trim", "flows", "info", "demo"]
EVIL = "\x1b[31m\nflowkeep: all is well"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture of one flow."""
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap(wire.tcp_session(script=[("c", b"GET"), ("s", bytes(20_000))])))
    return path


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_shows_examples(name: str) -> None:
    done = command.run(*([name] if name else []), "--help")
    assert done.returncode == 0
    examples = [line.strip() for line in done.stdout.decode().split("\n")]
    examples = [
        line
        for line in examples
        if f"{line} ".startswith(f"flowkeep {name}".strip() + " ") or "| flowkeep" in line
    ]
    assert len(examples) >= 2, examples
    if not name:
        assert {word for line in examples for word in COMMANDS if f"flowkeep {word}" in line} == set(COMMANDS)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("args", [("--help",), ("--version",), ("flows", "--help")], ids=" ".join)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_help_without_room(args: tuple[str, ...], unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = command.run(*args, stdout=full, env={**command.ENV, "PYTHONUNBUFFERED": unbuffered})
    assert command.said(done) == "flowkeep: standard output: cannot be written: No space left on device\n"
    assert done.returncode == 7


def shell(line: str, *args: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run below a shell that redirects."""
    words = ["sh", "-c", line, "sh", *map(str, command.command(*args))]
    return subprocess.run(words, env=command.ENV, capture_output=True, check=False, timeout=command.DEADLINE)


def test_no_message_lands_in_a_capture_when_the_streams_were_never_open(
    capture: Path, tmp_path: Path
) -> None:
    plain, closed = tmp_path / "plain", tmp_path / "closed"
    assert command.run("trim", "1kB", capture, "--output", plain).returncode == 0
    done = shell('exec "$@" <&- >&- 2>&-', "trim", "1kB", capture, "--output", closed)
    assert done.returncode == 0
    assert command.tree(closed) == command.tree(plain)


def test_standard_input_that_was_never_open() -> None:
    done = shell('exec "$@" <&-', "flows", "-")
    assert done.returncode == 3
    assert "standard input" in command.said(done)


def test_messages_that_nobody_can_read_change_no_status(capture: Path, tmp_path: Path) -> None:
    done = shell('exec "$@" 2>/dev/full', "trim", "1kB", capture, "--output", tmp_path / "out")
    assert done.returncode == 0
    assert (tmp_path / "out" / "a.pcap").exists()


def test_a_link_to_standard_output_is_written_to_and_stays(capture: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/stdout")
    done = command.run("flows", capture, "-f", "csv", "-o", link)
    assert done.returncode == 0
    assert done.stdout.startswith(b"flow_id,")
    assert link.is_symlink()


def test_a_report_into_a_pipe_leaves_the_pipe(capture: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = command.start("trim", "1kB", capture, "--dry-run", "--report", pipe)
    assert b'"totals"' in pipe.read_bytes()
    process.communicate(timeout=command.DEADLINE)
    assert pipe.is_fifo()


def test_a_table_never_takes_the_place_of_a_ledger(capture: Path, tmp_path: Path) -> None:
    assert command.run("trim", "1kB", capture, "--in-place").returncode == 0
    before = command.tree(tmp_path)
    done = command.run("flows", capture, "-o", f"{capture}.ledger.arrow")
    assert done.returncode == 2
    assert "ledger" in command.said(done)
    assert command.tree(tmp_path) == before


def test_a_result_never_takes_the_place_of_another_capture(capture: Path, tmp_path: Path) -> None:
    source, other = tmp_path / "in" / "sub" / "x.pcap", tmp_path / "out" / "sub" / "x.pcap"
    for path in (source, other):
        path.parent.mkdir(parents=True)
    source.write_bytes(capture.read_bytes())
    other.write_bytes(wire.pcap(wire.udp_dialogue()))
    before = command.tree(tmp_path)
    done = command.run("trim", "1kB", tmp_path / "in", other, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "take the place" in command.said(done)
    assert command.tree(tmp_path) == before


def on_terminal(*args: str | Path, **env: str) -> str:
    """Run with all streams on a terminal; what it shows."""
    here, there = pty.openpty()
    process = command.start(*args, stdin=there, stdout=there, stderr=there, env={**command.ENV, **env})
    os.close(there)
    shown = b""
    try:
        while data := os.read(here, 4096):
            shown += data
    except OSError:  # so ends a terminal whose other side is closed
        pass
    os.close(here)
    process.wait(command.DEADLINE)
    return shown.decode().replace("\r\n", "\n")


def test_colour_on_a_terminal_only_where_it_is_wanted(capture: Path) -> None:
    wanted = {"TERM": "xterm-256color", "NO_COLOR": ""}
    assert "\x1b[" in on_terminal("flows", capture, **wanted)
    for unwanted in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = on_terminal("flows", capture, **{**wanted, **unwanted})
        assert "\x1b" not in shown
        assert "20.9 kB" in shown


@pytest.mark.parametrize("columns", ["50", "90"])
def test_a_table_heeds_the_width_of_the_terminal(columns: str, capture: Path) -> None:
    shown = on_terminal("flows", capture, COLUMNS=columns, NO_COLOR="1")
    assert max(map(len, shown.split("\n"))) <= int(columns)
    assert "20.9 kB" in shown


@pytest.mark.parametrize(
    "args", [("flows", "--" + EVIL), ("flows", EVIL), (EVIL,), ("trim", EVIL, "x")], ids=str
)
def test_nothing_hostile_reaches_a_terminal(args: tuple[str, ...]) -> None:
    shown = on_terminal(*args)
    command.fit(shown)
    assert not [line for line in shown.split("\n") if line.startswith("flowkeep: all")]
