"""Tables for people: aligned, whole on a pipe, never wider than the terminal, coloured only there."""

from __future__ import annotations

import re
from pathlib import Path

import flowkeep
import pytest
from flowkeep import units
from flowkeep.cli import grid, render, tables
from flowkeep.ops.export import encoded

from tests import wire
from tests.cli import command

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


SHOWN = {
    "hosts": ["address", "sent", "received", "peers"],
    "services": ["client", "server", "flows", "regularity", "period"],
    "flows": ["client", "server", "sent", "received"],
    "info": ["cutoff", "bytes saved", "share of the bytes"],
    "trim": ["file", "now", "saved"],
}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> flowkeep.Dataset:
    """Long addresses, names, regular flows, large counts."""
    talks = []
    for i in range(12):
        start = wire.START_NS + i * 600 * wire.SECOND
        talks.append(
            wire.tcp_session(
                f"[{CLIENT}]:{40000 + i}", "[2001:db8:1:2222:3333:4444:5555:1]:50443",
                [("c", b"GET / HTTP/1.1\r\nHost: a.rather.long.name.example.org\r\n\r\n"), ("s", bytes(9_000))],
                start_ns=start,
            )
        )  # fmt: skip
        talks.append(
            wire.tcp_session(
                f"192.168.100.101:{40000 + i}", "192.168.200.202:50443", [("c", b"x")], start_ns=start
            )
        )
    path = tmp_path_factory.mktemp("busy-folder-with-a-long-name") / "a-capture-with-a-long-name-too.pcap"
    path.write_bytes(wire.pcap(wire.merged(*talks)))
    return flowkeep.open(path)


def table_of(busy: flowkeep.Dataset, what: str, width: int) -> str:
    if what == "hosts":
        found = busy.hosts().to_dicts()
        return tables.host_table(found, len(found), False, width)
    if what == "services":
        found = busy.services().to_dicts()
        return tables.service_table(found, len(found), False, width)
    if what == "flows":
        flows = busy.flows()
        return render.flow_table(flows, len(flows), color=False, width=width)
    if what == "info":
        return render.info(busy.info(), color=False, width=width)
    return render.trim(busy.trim("1kB", dry_run=True), color=False, width=width)


@pytest.mark.parametrize("width", [70, 80, 100])
@pytest.mark.parametrize("what", SHOWN)
def test_a_table_keeps_what_matters_and_cuts_no_number(what: str, width: int, busy: flowkeep.Dataset) -> None:
    wide, narrow = table_of(busy, what, 1_000), table_of(busy, what, width)
    tables_only = [line for line in narrow.split("\n") if ".pcap" not in line or what == "trim"]
    assert max(map(len, tables_only)) <= width
    for head in SHOWN[what]:
        assert head in narrow
    whole = set(re.findall(r"[^\s]+", wide))
    for word in re.findall(r"(?<!\S)[\d.,:]*\d[\d.,:-]*(?!\S)", narrow):
        assert word in whole or f"20{word}" in whole, word
    if what in ("flows", "services"):
        for port in re.findall(r"\]?(:\d{5})(?!\S)", wide):
            assert port in narrow
        assert "no room for:" in narrow


def test_dates_have_four_digits_of_the_year_where_there_is_room(busy: flowkeep.Dataset) -> None:
    year = units.time(wire.START_NS)[:4]
    assert f" {year}-" in table_of(busy, "flows", 250)
    assert f" {year}-" in table_of(busy, "hosts", 250)


def test_no_duration_is_parted_from_its_unit(busy: flowkeep.Dataset) -> None:
    for width in range(40, 120):
        for line in render._wrapped(
            "time", "2024-05-01T12:00:00.000000Z to 2024-05-01T12:00:00.000000Z, 12.3 s", width
        ):
            assert len(line) <= width or width < 44
            assert line.strip() != "s"
            assert not line.endswith("12.3")


def test_what_was_asked_for_is_shown(busy: flowkeep.Dataset) -> None:
    flows = busy.flows(identify=True)
    text = render.flow_table(flows, len(flows), color=False, width=80)
    assert "service" in text
    assert "server_name" in text
    assert ":50443" in text
    assert "all columns: --format csv" in text
    assert "a.rather.long.name.example.org" in render.flow_table(flows, len(flows), color=False)
    flows = busy.flows(details=True)
    text = render.flow_table(flows, len(flows), color=False, width=80)
    assert "rtt" in text
    assert "conn_state" in text


@pytest.mark.parametrize(
    "column",
    ["rtt", "packets", "duration", "proto", "state", "payload_bytes", "last_ts", "client_mss", "history"],
)
def test_the_column_of_the_order_is_always_shown(column: str, busy: flowkeep.Dataset) -> None:
    flows = busy.flows(details=True).top(column, 5)
    text = render.flow_table(flows, 24, color=False, width=60, sort=column)
    assert {"payload_bytes": "payload"}.get(column, column) in rows(text)[0]
    assert f"5 of 24 flows, the largest by {column}; --limit 0 shows all" in " ".join(text.split())
    assert "--sort" not in text


def test_an_unsorted_table_says_which_flows_it_shows(busy: flowkeep.Dataset) -> None:
    text = render.flow_table(busy.flows().top("bytes", 5), 24, color=False)
    assert "5 of 24 flows, the largest by bytes; --limit 0 shows all, --sort COLUMN orders them" in text
    one = render.flow_table(busy.flows().top("bytes", 1), 1, color=False)
    assert re.search(r"^1 flow$", one, re.M)


@pytest.mark.parametrize(
    ("n", "said"), [(0, "0 flows"), (1, "1 flow"), (2, "2 flows"), (1_000, "1,000 flows")]
)
def test_one_is_told_from_many(n: int, said: str) -> None:
    assert units.count(n, "flow") == said
    assert units.count(n, "match", "matches").endswith("match" if n == 1 else "matches")


@pytest.mark.parametrize(
    "text", ["[2001:db8:1::5]:50443?", "192.168.100.101:40000", "2001:db8::1", "10.0.0.1?", ""]
)
def test_an_address_keeps_its_port(text: str) -> None:
    port = re.search(r"\]?:\d+\??$", text) if "." in text or "]" in text else None
    for most in range(1, 40):
        short = grid.end(text, most)
        assert len(short) <= max(most, 3 + len(port[0] if port else "") + 2)
        assert not port or short.endswith(port[0])
    assert grid.end(text, 100) == text


def test_a_date_loses_its_century_and_nothing_else() -> None:
    assert grid.date("2023-11-14 22:13:20", 18) == "23-11-14 22:13:20"
    assert grid.date("2023-11-14 22:13:20", 19) == "2023-11-14 22:13:20"
    assert grid.date("99999999999999999999 ns", 5) == "99999999999999999999 ns"


def test_shares_of_flows_add_up_on_a_trimmed_capture(tmp_path: Path) -> None:
    packets = wire.tcp_session("10.0.0.1:40000", "10.0.0.2:80", script=[("s", bytes(90_000))])
    (tmp_path / "a.pcap").write_bytes(wire.pcap(packets))
    assert command.run("trim", "1kB", tmp_path / "a.pcap", "--in-place").returncode == 0
    done = command.run("info", tmp_path / "a.pcap")
    lines = [line for line in done.stdout.decode().split("\n") if line.startswith("  100 kB")]
    assert lines and lines[0].endswith(" 100.0 %")
