"""Examples in the documentation run, what is generated is fresh, and what is listed is complete.

In README.md, docs/guide and docs/formats, ``console`` blocks are run line by line in a folder with captures and
with the ``toml`` blocks that begin with a name; where output is shown it must be that, ``...`` standing for anything. ``python`` blocks of a page run
one after another.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import io
import os
import random
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import flowkeep as fk
import pyarrow.ipc
import pytest

from tests import wire
from tests.wire import SECOND, START_NS

from .cli.command import DEADLINE, ENV
from .remote.server import serving

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs/guide").glob("*.md")),
    *sorted((ROOT / "docs/formats").glob("*.md")),
]
LINKED = [
    *PAGES,
    ROOT / "CONTRIBUTING.md",
    ROOT / "ARCHITECTURE.md",
    *sorted((ROOT / "docs/reference").glob("*.md")),
]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in a language."""
    return [text for name, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with captures/monday.pcap and captures/tuesday.pcapng.gz, plant/ with a protocol that nobody
    knows, and flowkeep in the path,
    and a web server at $WEB that has the captures."""
    captures = tmp_path / "captures"
    captures.mkdir()
    long = wire.tcp_session(script=[("c", b""), ("s", bytes(380_000))])
    short = wire.udp_dialogue(start_ns=START_NS + SECOND)
    (captures / "monday.pcap").write_bytes(wire.pcap(wire.merged(long, short)))
    later = wire.tcp_session(
        "[2001:db8::1]:50000", "[2001:db8::2]:443", [("c", bytes(90_000))], start_ns=START_NS + 9 * SECOND
    )
    (captures / "tuesday.pcapng.gz").write_bytes(gzip.compress(wire.pcapng(later)))
    for path in captures.iterdir():  # nobody writes them any more
        os.utime(path, ns=(START_NS, START_NS + 60 * SECOND))
    plant = tmp_path / "plant"
    plant.mkdir()
    for seed, day in enumerate(("monday", "tuesday")):
        dice = random.Random(seed)
        talks = [
            wire.udp_dialogue(f"10.0.{seed}.{n}:40000", "10.0.9.9:4711",
                              [("c", b"\xa7\x3c\x91\x02\0\x01\0\x30" + dice.randbytes(40)),
                               ("s", b"\xa7\x3c\x91\x02\0\x02\0\x18" + dice.randbytes(16))],
                              start_ns=START_NS + n * SECOND)
            for n in range(1, 11)
        ]  # fmt: skip
        (plant / f"{day}.pcap").write_bytes(wire.pcap(wire.merged(*talks)))
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    script = bin_ / "flowkeep"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m flowkeep "$@"\n')
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    with serving() as web:
        web.files.update({path.name: path.read_bytes() for path in captures.iterdir()})
        monkeypatch.setenv("WEB", web.url("").rstrip("/"))
        yield tmp_path


def examples(text: str) -> Iterator[tuple[str, str]]:
    """Commands of a console block and the output shown."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


@by_name
def test_console_examples_run_and_print_what_is_shown(page: Path, folder: Path) -> None:
    for text in blocks(page, "toml"):
        if named := re.match(r"# (\S+\.toml)\n", text):
            (folder / named[1]).write_text(text)
    for block in blocks(page, "console"):
        for command, shown in examples(block):
            done = subprocess.run(command, shell=True, capture_output=True, timeout=DEADLINE, cwd=folder)
            assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
            if shown:
                pattern = ".*?".join(map(re.escape, shown.rstrip("\n").split("...")))
                printed = done.stdout.decode().replace("\r\n", "\n").rstrip("\n")
                assert re.fullmatch(pattern, printed, re.S), f"{command} printed\n{printed}"


@by_name
def test_python_examples_run(page: Path, folder: Path) -> None:
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block, str(page), "exec"), names)


def test_the_examples_are_found() -> None:
    assert sum(len(blocks(page, "console")) for page in PAGES) >= 10
    assert sum(len(blocks(page, "python")) for page in PAGES) >= 7


def test_readme_begins_with_the_two_commands_that_ci_runs() -> None:
    assert blocks(ROOT / "README.md", "sh") == [
        "pip install . && flowkeep demo\n",
        "pip install '.[test]' && pytest\n",
    ]
    ci = (ROOT / ".ci/run").read_text()
    assert """-m pip install --quiet '.[test]'""" in ci
    assert re.search(r'^    "\$bin/python" -m pytest$', ci, re.M)
    assert re.search(r'^    "\$bin/flowkeep" demo ', ci, re.M)


@pytest.mark.parametrize("page", LINKED, ids=lambda p: p.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_readme_leads_to_every_guide() -> None:
    text = (ROOT / "README.md").read_text()
    _, _, listed = text.partition("## Read on")
    guides = [f"docs/guide/{page.name}" for page in sorted((ROOT / "docs/guide").glob("*.md"))]
    assert [guide for guide in guides if f"({guide})" not in listed] == []


def _generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_fresh() -> None:
    assert _generate().stale() == [], "run python docs/generate.py"


def test_flow_columns_are_documented_in_full(folder: Path) -> None:
    text = (ROOT / "docs/formats/flows.md").read_text()
    listed, _, _ = text.partition("## zeek")
    documented = [
        name for row in re.findall(r"^\| (`.*?) \|", listed, re.M) for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(documented) == sorted(fk.open("captures").flows(details=True, identify=True).columns)


def test_ledger_columns_and_metadata_are_documented_in_full(folder: Path) -> None:
    fk.open("captures/monday.pcap").trim("10kB", output="small", ledger=True)
    text = (ROOT / "docs/formats/ledger.md").read_text()
    with pyarrow.ipc.open_file("small/monday.pcap.ledger.arrow") as file:
        names = [*file.schema.names, *(key.decode() for key in file.schema.metadata)]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_report_fields_are_documented_in_full(folder: Path) -> None:
    report = fk.open("captures").trim("10kB", dry_run=True).as_dict()
    text = (ROOT / "docs/formats/report.md").read_text()
    fields = {*report, *report["policy"], *report["totals"], *report["files"][0]}
    pieces = {"packets", "bytes"}  # told of together with their fates
    fates = {f"bytes_{fate}" for fate in ("kept", "cut", "dropped")}  # "likewise"
    assert [name for name in sorted(fields - fates | pieces) if f"`{name}`" not in text] == []


def test_zeek_fields_are_documented_in_full() -> None:
    from flowkeep.sink.tables import _ZEEK, _ZEEK_STATE

    _, _, text = (ROOT / "docs/formats/flows.md").read_text().partition("## zeek")
    assert [name for name, _ in _ZEEK if f"`{name}`" not in text] == []
    assert [state for state, name in _ZEEK_STATE.items() if f"`{state}` {name}" not in text] == []


def test_shell_completion_is_offered() -> None:
    env = {**ENV, "_FLOWKEEP_COMPLETE": "bash_complete", "COMP_WORDS": "flowkeep tri", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "flowkeep"], env=env, capture_output=True, timeout=DEADLINE)
    assert done.stdout.decode().split() == ["plain,trim"]


def test_decisions_have_numbers_of_their_own() -> None:
    pages = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert [page.read_text().partition(".")[0] for page in pages] == [f"# {int(p.name[:4])}" for p in pages]


@pytest.mark.parametrize(("option", "word"), [("--filter ", "--filter`"), ("--flow-filter ", "flow filters")])
def test_the_page_on_filters_names_the_commands_that_take_them(option: str, word: str) -> None:
    text = (ROOT / "docs/guide/filter.md").read_text().replace("\n", " ")
    (sentence,) = [s for s in re.split(r"(?<=\.) ", text) if f" take `{word}" in s or f" take {word}" in s]
    takers = {page.stem.partition("-")[2].replace("-", " ") for page in (ROOT / "docs/reference").glob("flowkeep-*.md")
              if re.search(rf"^ +{option}", page.read_text(), re.M)}  # fmt: skip
    assert set(re.findall(r"`(\w+(?: \w+)?)`", sentence)) == takers - {"index"}  # it refuses one
