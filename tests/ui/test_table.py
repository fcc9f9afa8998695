"""Which rows a view has, in which order: beside a plain loop over dicts."""

from __future__ import annotations

import ipaddress
import random
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest
from flowkeep.ui.api.rows import spread
from flowkeep.ui.table import FlowTable
from flowkeep.ui.view import Sort, Term, View

from tests import wire

HOSTS = ["10.0.0.9", "10.0.0.10", "10.0.1.2", "192.168.0.3", "2001:db8::2", "2001:db8::10"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> FlowTable:
    rng = random.Random(7)
    talks = []
    for n in range(120):
        six = rng.random() < 0.3
        a, b = rng.sample([h for h in HOSTS if (":" in h) == six], 2)
        start = 1_700_000_000_000_000_000 + rng.randrange(10**12)
        ends = (
            f"{a if ':' not in a else f'[{a}]'}:{40000 + n}",
            f"{b if ':' not in b else f'[{b}]'}:{rng.choice([53, 80, 443])}",
        )
        script: list[Any] = [
            ("c", b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n"),
            ("s", bytes(rng.randrange(3000))),
        ]
        if rng.random() < 0.5:
            talks.append(wire.tcp_session(client=ends[0], server=ends[1], script=script, start_ns=start))
        else:
            talks.append(wire.udp_dialogue(client=ends[0], server=ends[1], script=script, start_ns=start))
    path = tmp_path_factory.mktemp("ui") / "t.pcap"
    path.write_bytes(wire.pcap(wire.merged(*talks)))
    return FlowTable(fk.open(path).flows(details=True, identify=True))


def meets(row: dict[str, Any], text: str) -> bool:
    kind, _, value = text.partition(":")
    ends = row["client_ip"], row["server_ip"]
    if kind == "host":
        return value in ends
    if kind == "network":
        net = ipaddress.ip_network(value)
        return any(ipaddress.ip_address(ip) in net for ip in ends)
    if kind == "port":
        number, _, proto = value.partition("/")
        return row["server_port"] == int(number) and proto in ("", row["proto"])
    if kind == "talk":
        client, server, port = value.split(",")
        return ends == (client, server) and meets(row, f"port:{port}")
    if kind == "domain":
        name = row["server_name"] or ""
        return bool(name == value or name.endswith(f".{value}"))
    if kind == "flow":
        return row["flow_id"] in (3, 4, 5, 9)
    return bool(row[kind] == value)


TERMS = [
    "host:10.0.0.9", "host:2001:db8::2", "network:10.0.0.0/24", "network:2001:db8::/64", "port:80", "port:53/udp",
    "proto:tcp", "service:http", "domain:example.com", "flow:3-5,9",
]  # fmt: skip


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("texts", [[t] for t in TERMS] + [["port:80", "host:10.0.0.9"]], ids=str)
def test_hiding(table: FlowTable, texts: list[str], invert: bool) -> None:
    rows = table.frame.to_dicts()
    hidden = [any(meets(row, text) for text in texts) for row in rows]
    assert any(hidden) and not all(hidden)
    wanted = [row["flow_id"] for row, gone in zip(rows, hidden, strict=True) if gone == invert]
    chosen = table.choose(View(hidden=tuple(map(Term.parse, texts)), invert=invert))
    assert chosen.rows.to_list() == wanted
    sizes = [(step.rows, step.bytes) for step in chosen.steps]
    assert sizes == [
        (len(rows), sum(r["bytes"] for r in rows)),
        (len(wanted), sum(rows[i]["bytes"] for i in wanted)),
    ]


def test_a_talk_is_client_server_and_port(table: FlowTable) -> None:
    row = table.frame.to_dicts()[0]
    text = f"talk:{row['client_ip']},{row['server_ip']},{row['server_port']}/{row['proto']}"
    wanted = [r["flow_id"] for r in table.frame.to_dicts() if meets(r, text)]
    chosen = table.choose(View(hidden=(Term.parse(text),), invert=True))
    assert chosen.rows.to_list() == wanted and wanted


def test_filters_are_joined(table: FlowTable) -> None:
    view = View(
        "net 10.0.0.0/8", "server_bytes > 1kB AND bytes > 1kB", "/exam.le/", hidden=(Term("port", "53"),)
    )
    wanted = [
        r["flow_id"] for r in table.frame.to_dicts()
        if r["server_port"] != 53 and any(ip.startswith("10.") for ip in (r["client_ip"], r["server_ip"]))
        and r["server_bytes"] > 1000 and "example" in (r["server_name"] or "")
    ]  # fmt: skip
    chosen = table.choose(view)
    assert chosen.rows.to_list() == wanted and wanted
    assert [step.name for step in chosen.steps] == ["all", "hidden", "filter", "where", "keyword"]


def key(row: dict[str, Any], column: str) -> Any:
    value = row[column]
    if column.endswith("_ip"):
        address = ipaddress.ip_address(value)
        return address.version, int(address)
    return value


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    "column", ["bytes", "client_ip", "server_ip", "service", "rtt", "first_ts", "server_port"]
)
def test_order(table: FlowTable, column: str, descending: bool) -> None:
    chosen = table.choose(View(where="server_port <> 443"))
    rows = [table.frame.to_dicts()[i] for i in chosen.rows.to_list()]
    there = [r for r in rows if r[column] is not None]
    expected = sorted(there, key=lambda r: key(r, column), reverse=descending)
    if descending:  # ties stay in order
        expected = sorted(
            sorted(there, key=lambda r: r["flow_id"], reverse=True), key=lambda r: key(r, column)
        )[::-1]
    expected += [r for r in rows if r[column] is None]
    page = table.page(chosen, Sort(column, descending), 0, 1000, ["flow_id"])
    assert [r["flow_id"] for r in page] == [r["flow_id"] for r in expected]
    assert table.page(chosen, Sort(column, descending), 10, 5, ["flow_id"]) == page[10:15]


def test_each_text_once_says_what_the_flow_table_says(table: FlowTable) -> None:
    assert table.texts().equals(table.flows.to_polars())
    sizes = [row["client_bytes"] + row["server_bytes"] for row in table.flows.to_dicts()]
    assert table.frame["bytes"].to_list() == sizes


def test_without_flows_there_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "empty.pcap").write_bytes(wire.pcap([]))
    empty = FlowTable(fk.open(tmp_path / "empty.pcap").flows(details=True, identify=True))
    chosen = empty.choose(
        View("tcp", "bytes > 1", "/x/", hidden=(Term("domain", "example.com"), Term("flow", "0-9")))
    )
    assert chosen.count == 0
    for column in empty.frame.columns:
        assert empty.page(chosen, Sort(column, True), 0, 10) == []


@pytest.mark.parametrize(("view", "why"), [
    (View(where="nope > 1"), "unable to find column"), (View(filter="host"), "filter"),
    (View(keyword="/(/"), "no regular expression"),
])  # fmt: skip
def test_what_cannot_be_meant_is_said(table: FlowTable, view: View, why: str) -> None:
    with pytest.raises(fk.UsageError, match=why):
        table.choose(view)


def test_no_such_column(table: FlowTable) -> None:
    with pytest.raises(fk.UsageError, match="there is no column"):
        table.page(None, Sort("nope"), 0, 1)


@pytest.mark.parametrize("bins", [2, 7, 100])
def test_bytes_over_time(table: FlowTable, bins: int) -> None:
    """Each flow's bytes spread over the nanoseconds it lasts, bin by bin."""
    plain = table.frame["bytes"]
    starts = table.frame["first_ts"].dt.epoch("ns").to_list()
    ends = table.frame["last_ts"].dt.epoch("ns").to_list()
    made = spread(table, table.choose(View()), bins)
    begin, step = int(made["start_ns"]), int(made["step_ns"])
    assert begin == min(starts) and begin + step * bins > max(ends)
    expected = [0.0] * bins
    for start, end, size in zip(starts, ends, plain.to_list(), strict=True):
        for n in range(bins):
            low, high = begin + n * step, begin + (n + 1) * step
            if end == start:
                expected[n] += size if low <= start < high else 0
            else:
                expected[n] += size * max(0, min(end, high) - max(start, low)) / (end - start)
    assert made["bytes"] == pytest.approx(expected, abs=2)
    assert sum(made["flows"]) == len(table)
