"""Tables for people: aligned, whole on a pipe, never wider than the terminal, coloured only there."""

from __future__ import annotations

import re
from pathlib import Path

import flowkeep
import pytest
from flowkeep.cli import render
from flowkeep.ops.export import encoded

from tests import wire

ANSI = re.compile(r"\x1b\[[0-9;]*m")
CLIENT = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> flowkeep.Dataset:
    """Three flows with short and long addresses."""
    talks = [
        wire.tcp_session("10.0.0.1:40000", "10.0.0.2:443", [("c", b"GET"), ("s", bytes(20_000))]),
        wire.tcp_session("10.0.0.1:40001", "10.0.0.2:443", [("c", b"GET")]),
        wire.udp_dialogue(f"[{CLIENT}]:5353", "[2001:db8:1:2222:3333:4444:5555:1]:53"),
    ]
    path = tmp_path_factory.mktemp("render") / "a.pcap"
    path.write_bytes(wire.pcap(wire.merged(*talks)))
    return flowkeep.open(path)


def rows(text: str) -> list[str]:
    """The head and the rows of the first table."""
    lines = text.split("\n")
    rule = next(i for i, line in enumerate(lines) if line.strip().startswith("─"))
    return [lines[rule - 1], *lines[rule + 1 : lines.index("", rule) if "" in lines[rule:] else None]]


def test_the_columns_of_a_flow_table_stand_below_their_heads(data: flowkeep.Dataset) -> None:
    flows = data.flows()
    head, *lines = rows(render.flow_table(flows, len(flows), color=False))
    assert head.split() == ["id", "proto", "client", "server", "start", "(UTC)", "duration", "packets", "sent",
                            "received", "state", "in"]  # fmt: skip
    lines = [line for line in lines if line and "flows" not in line]
    assert len(lines) == 3
    for line in lines:
        assert line[head.index("client") - 1] == " " != line[head.index("client")]
        assert line[head.index("server") - 1] == " " != line[head.index("server")]
        # Numbers end where their head ends.
        assert line[head.index("packets") + len("packets") - 1].isdigit()
        assert line[: head.index("received") + len("received")].endswith("B")


def test_nothing_is_shortened_without_a_terminal(data: flowkeep.Dataset) -> None:
    flows = data.flows()
    text = render.flow_table(flows, len(flows), color=False)
    assert f"[{CLIENT}]:5353" in text
    assert "…" not in text
    assert "no room" not in text


@pytest.mark.parametrize("width", [45, 60, 80, 100, 140])
def test_a_flow_table_fits_its_terminal_and_shortens_no_number(width: int, data: flowkeep.Dataset) -> None:
    flows = data.flows()
    text = render.flow_table(flows, len(flows), color=False, width=width)
    assert max(map(len, text.split("\n"))) <= width
    assert "20.9 kB" in text
    for head in ("sent", "received", "client", "server"):
        assert head in text
    assert ("no room for:" in text) == (width < 140), text


def test_colour_is_the_only_difference(data: flowkeep.Dataset) -> None:
    flows, info = data.flows(), data.info()
    trimmed = data.trim("1kB", dry_run=True)
    for plain, color in (
        (render.flow_table(flows, 3, color=False), render.flow_table(flows, 3, color=True)),
        (render.info(info, color=False), render.info(info, color=True)),
        (render.trim(trimmed, color=False), render.trim(trimmed, color=True)),
    ):
        assert "\x1b" not in plain
        assert ANSI.search(color)
        stripped = [line.rstrip() for line in ANSI.sub("", color).split("\n")]
        assert stripped == plain.split("\n")


def test_sizes_have_units_and_a_cut_is_told_from_the_rest(data: flowkeep.Dataset) -> None:
    text = render.trim(data.trim("1kB", dry_run=True), color=False)
    assert re.search(r"\d kB +\d+(\.\d)? k?B +\d+\.\d %", text)
    assert "dry run: nothing was written" in text


def test_lines_and_bars_become_ascii_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    class Narrow:
        encoding = "ascii"

    monkeypatch.setattr("sys.stdout", Narrow())
    assert encoded("─█▏…é") == b"-#|~\\xe9"


def test_a_file_name_is_no_markup(tmp_path: Path) -> None:
    path = tmp_path / "[red]x[\x1b[31m].pcap"
    path.write_bytes(wire.pcap(wire.udp_dialogue()))
    text = render.info(flowkeep.open(path).info(), color=True)
    assert "[red]x[\\x1b[31m].pcap" in ANSI.sub("", text)
