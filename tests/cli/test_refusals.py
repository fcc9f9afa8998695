"""What cannot be meant or done is refused: a clear message, the right status, nothing written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import wire
from tests.cli import command

SKIPPED, OTHER, USAGE, NO_CAPTURE, DAMAGED, OUTPUT = 1, 3, 2, 4, 5, 7
CAPTURE = wire.pcap(wire.tcp_session(script=[("c", b"GET"), ("s", bytes(20_000))]))
EVIL = "\x1b[31m\x9b2J\r\n\u202egnp.\x07"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a capture, a folder of captures, and what is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for path in ("a.pcap", "folder/b.pcap"):
        (tmp_path / path).write_bytes(CAPTURE)
    (tmp_path / "text.pcap").write_bytes(b"hello, world")
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "notes.txt").write_bytes(b"hello")
    (tmp_path / "damaged.pcap").write_bytes(CAPTURE[:-7])
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def refused(done: subprocess.CompletedProcess[bytes], status: int, *words: str) -> None:
    """A run ended with this status and a message with these words."""
    text = command.said(done)
    assert done.returncode == status, text
    for word in words:
        assert word in text
    assert done.stdout == b""


IN_PLACE = ("--in-place",)
CASES: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    "unknown format": (("trim", "1kB", "text.pcap", *IN_PLACE), NO_CAPTURE, ("text.pcap", "unknown format")),
    "unknown format, flows": (("flows", "text.pcap", "-o", "out"), NO_CAPTURE, ("text.pcap", "unknown format")),
    "empty file": (("trim", "1kB", "empty.pcap", *IN_PLACE), NO_CAPTURE, ("empty.pcap", "empty")),
    "no captures": (("trim", "1kB", "nothing", *IN_PLACE), NO_CAPTURE, ("nothing", "no captures")),
    "no such path": (("trim", "1kB", "missing.pcap", *IN_PLACE), OTHER, ("missing.pcap", "no such file")),
    "no match": (("flows", "*.missing", "-o", "out"), OTHER, ("*.missing", "no such file")),
    "no path": (("trim", "1kB", *IN_PLACE), USAGE, ("PATH",)),
    "cutoff of letters": (("trim", "abc", "a.pcap", *IN_PLACE), USAGE, ("'abc'", "size", "100kB")),
    "cutoff below zero": (("trim", "-1", "a.pcap", *IN_PLACE), USAGE, ("'-1'",)),
    "cutoff below zero after --": (("trim", *IN_PLACE, "--", "-1", "a.pcap"), USAGE, ("'-1'", "size")),
    "part of a byte": (("trim", "0.5", "a.pcap", *IN_PLACE), USAGE, ("'0.5'", "size")),
    "cutoff too large": (("trim", "99999999999TB", "a.pcap", *IN_PLACE), USAGE, ("size",)),
    "over itself": (("trim", "1kB", "a.pcap", "--output", "."), USAGE, ("a.pcap", "over itself")),
    "output is the input": (("trim", "1kB", "folder", "--output", "folder"), USAGE, ("inside the input",)),
    "output in the input": (("trim", "1kB", "folder", "--output", "folder/out"), USAGE, ("inside the input",)),
    "output is a file": (("trim", "1kB", "a.pcap", "--output", "text.pcap"), USAGE, ("text.pcap", "folder")),
    "output named like a capture": (
        ("trim", "1kB", "a.pcap", "--output", "new.pcap"), USAGE, ("new.pcap", "folder"),
    ),
    "output named like a compressed capture": (
        ("trim", "1kB", "a.pcap", "--output", "new.PcapNG.zst"), USAGE, ("new.PcapNG.zst", "folder"),
    ),
    "in place on a pipe": (("trim", "1kB", "pipe", *IN_PLACE), USAGE, ("pipe", "--output")),
    "in place on standard input": (("trim", "1kB", "-", *IN_PLACE), USAGE, ("--output",)),
    "both": (("trim", "1kB", "a.pcap", *IN_PLACE, "--output", "out"), USAGE, ("--output", "--in-place")),
    "neither": (("trim", "1kB", "a.pcap"), USAGE, ("--output", "--in-place", "--dry-run")),
    "rest": (("trim", "1kB", "a.pcap", *IN_PLACE, "--rest", "nonsense"), USAGE, ("'nonsense'", "sample:K")),
    "sample of none": (("trim", "1kB", "a.pcap", *IN_PLACE, "--rest", "sample:0"), USAGE, ("sample:K",)),
    "damaged, alone": (("trim", "1kB", "damaged.pcap", *IN_PLACE), DAMAGED, ("damaged.pcap", "byte", "--salvage")),
    "table over a capture": (("flows", "a.pcap", "-o", "a.pcap"), USAGE, ("a.pcap", "captures")),
    "report over a capture": (
        ("trim", "1kB", "a.pcap", "--dry-run", "--report", "a.pcap"), USAGE, ("a.pcap",),
    ),
    "two on standard output": (("trim", "1kB", "a.pcap", "damaged.pcap", "--output", "-"), USAGE, ("DIR",)),
    "unknown column": (("flows", "a.pcap", "-s", "nonsense", "-o", "out"), USAGE, ("nonsense", "client_ip")),
    "unknown command": (("nonsense",), USAGE, ("nonsense",)),
    "no folder for the table": (("flows", "a.pcap", "-o", "no/out"), OUTPUT, ("no/out",)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_call_is_refused(case: tuple[tuple[str, ...], int, tuple[str, ...]], here: Path) -> None:
    args, status, words = case
    before = command.tree(here)
    refused(command.run(*args), status, *words)
    assert command.tree(here) == before


def test_a_folder_that_is_there_may_be_named_like_a_capture(here: Path) -> None:
    (here / "day.pcap").mkdir()
    assert command.run("trim", "1kB", "a.pcap", "--output", "day.pcap").returncode == 0
    assert (here / "day.pcap" / "a.pcap").is_file()


def test_without_arguments_there_is_help(here: Path) -> None:
    done = command.run()
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == command.run("--help").stdout
    assert b"\n  trim " in done.stdout


def test_two_captures_that_would_become_one_file(here: Path) -> None:
    shutil.copytree("folder", "other")
    before = command.tree(here)
    done = command.run("trim", "1kB", "folder", "other", "--output", "out")
    refused(done, USAGE, "folder/b.pcap", "other/b.pcap")
    assert command.tree(here) == before


def test_a_damaged_file_among_others_is_left_and_the_others_are_trimmed(here: Path) -> None:
    before = command.tree(here)
    done = command.run("trim", "1kB", "damaged.pcap", "a.pcap", "--in-place")
    text = command.said(done)
    assert done.returncode == SKIPPED
    assert "damaged.pcap: damaged at byte" in text
    assert "--salvage" in text
    after = command.tree(here)
    assert {name for name in after if after[name] != before.get(name)} == {"a.pcap", "a.pcap.ledger.arrow"}


def test_a_damaged_file_is_replaced_with_salvage(here: Path) -> None:
    before = command.tree(here)
    done = command.run("trim", "1GB", "damaged.pcap", "--in-place", "--salvage")
    assert done.returncode == SKIPPED
    assert "damaged.pcap: damaged at byte" in command.said(done)
    after = command.tree(here)
    assert after.keys() - before.keys() == {"damaged.pcap.ledger.arrow"}
    salvaged = wire.read(after["damaged.pcap"] or b"")
    assert salvaged.records == wire.read(CAPTURE).records[:-1]


@pytest.fixture
def strange() -> Iterator[Path]:
    """A folder in which somebody without rights may look around, and no more."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.pcap").write_bytes(CAPTURE)
        (folder / "secret.pcap").write_bytes(CAPTURE)
        (folder / "secret.pcap").chmod(0)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


# Modules are loaded first, for they may lie where only root can read them.
_WITHOUT_RIGHTS = """
import difflib, os
from flowkeep.cli import main
import flowkeep.cli.app, flowkeep.cli.flows_cmd, flowkeep.cli.render, flowkeep.cli.trim_cmd
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
main()
"""

PERMISSION: dict[str, tuple[tuple[str, ...], int, str]] = {
    "reading": (("flows", "secret.pcap"), OTHER, "secret.pcap"),
    "trimming in place": (("trim", "1kB", "a.pcap", "--in-place"), OUTPUT, "a.pcap"),
    "making a folder": (("trim", "1kB", "a.pcap", "--output", "out"), OUTPUT, "out"),
    "writing into a folder": (("trim", "1kB", "a.pcap", "--output", "/"), OUTPUT, "/a.pcap"),
    "writing a table": (("flows", "a.pcap", "-o", "table"), OUTPUT, "table"),
}


@pytest.mark.parametrize("case", PERMISSION.values(), ids=PERMISSION.keys())
def test_without_permission(case: tuple[tuple[str, ...], int, str], strange: Path) -> None:
    args, status, name = case
    names = sorted(path.name for path in strange.iterdir())
    line = [sys.executable, "-c", _WITHOUT_RIGHTS, *args]
    done = subprocess.run(
        line, cwd=strange, env=command.ENV, capture_output=True, check=False, timeout=command.DEADLINE
    )
    refused(done, status, name, "Permission denied")
    assert sorted(path.name for path in strange.iterdir()) == names
    assert (strange / "a.pcap").read_bytes() == CAPTURE


# A raw newline counts, too: with it a name could forge a message of its own.
HOSTILE: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "missing": (b"", ("flows", "no" + EVIL)),
    "format": (b"hello, world", ("flows", EVIL)),
    "format in a folder": (b"hello, world", ("flows", ".")),
    "empty": (b"", ("flows", EVIL)),
    "damage": (CAPTURE[:-7], ("trim", "1kB", EVIL, "--in-place")),
    "damage, several": (CAPTURE[:-7], ("trim", "1kB", EVIL, "a.pcap", "--in-place")),
    "report": (CAPTURE, ("trim", "1kB", EVIL, "--in-place")),
    "output": (CAPTURE, ("trim", "1kB", EVIL, "--output", "out" + EVIL)),
    "output is a file": (CAPTURE, ("trim", "1kB", "a.pcap", "--output", EVIL)),
    "table": (CAPTURE, ("flows", "a.pcap", "-o", f"no{EVIL}/{EVIL}")),
    "info": (CAPTURE, ("info", EVIL)),
    "cutoff": (CAPTURE, ("trim", EVIL, "a.pcap")),
    "rest": (CAPTURE, ("trim", "1kB", "a.pcap", "--in-place", "--rest", EVIL)),
    "sort": (CAPTURE, ("flows", "a.pcap", "--sort", EVIL)),
    "format of the table": (CAPTURE, ("flows", "a.pcap", "--format", EVIL)),
    "command": (CAPTURE, (EVIL,)),
    "option": (CAPTURE, ("flows", "--" + EVIL)),
}


@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_name_never_reaches_the_terminal_raw(
    case: tuple[bytes, tuple[str, ...]], here: Path
) -> None:
    data, args = case
    (here / EVIL).write_bytes(data)
    done = command.run(*args)
    text = command.said(done) + done.stdout.decode()
    command.fit(text)
    assert not [line for line in text.split("\n") if line.startswith(("\u202e", "\\u202e"))], text


def test_a_name_that_is_no_text_never_reaches_the_terminal_raw(here: Path) -> None:
    name = b"\xff\xfe\x1b[31m"
    Path(os.fsdecode(name)).write_bytes(b"hello, world")
    refused(command.run("flows", name), NO_CAPTURE, "unknown format")
