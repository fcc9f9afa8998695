"""Flows listed and taken out by a cluster are those of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flowkeep import cluster
from flowkeep.ops.extract import ExtractPlan, extract
from flowkeep.ops.flows import list_flows
from flowkeep.paths import find
from flowkeep.select.query import FlowQuery

from tests import wire
from tests.cli.command import run, said

from .data import conversation, spread, trimmed_before

QUERIES = {
    "all": FlowQuery(),
    "some": FlowQuery(where="server_port = 443 and client_port > 40002"),
    "all but one": FlowQuery(flows=("0",), invert=True),
    "none": FlowQuery(where="server_port = 1"),
}


CASES = [
    ("all", "auto", ("pcap",)),
    ("all", "pcapng", ("pcap", "ns")),
    ("all", "pcap", ("ns", "pcap")),
    ("some", "auto", ("pcap",)),
    ("some", "auto", ("pcapng", "pcap")),
    ("some", "pcap", ("pcapng", "ns")),
    ("all but one", "auto", ("ns", "pcap")),
    ("none", "auto", ("pcap",)),
    ("none", "pcap", ("pcapng",)),
    ("none", "auto", ("pcap", "pcapng")),
]


@pytest.mark.parametrize(("name", "form", "endings"), CASES)
def test_extract(client: Any, tmp_path: Path, name: str, form: Any, endings: tuple[str, ...]) -> None:
    query = QUERIES[name]
    spread(conversation(), 5, tmp_path / "in", endings=endings)
    one = extract(find([tmp_path / "in"]), query, ExtractPlan(tmp_path / "one", form))
    where = cluster.find(client, [tmp_path / "in"])
    many = cluster.extract(client, where, query, ExtractPlan(tmp_path / "many", form))
    assert (tmp_path / "many").read_bytes() == (tmp_path / "one").read_bytes()
    many.output = one.output
    assert many == one


@pytest.mark.parametrize("before", [False, True], ids=["whole", "trimmed before"])
def test_flows(client: Any, tmp_path: Path, before: bool) -> None:
    paths = spread(conversation(), 6, tmp_path / "in")
    if before:
        trimmed_before(paths, tmp_path / "before", 2500)
    one = list_flows(find([tmp_path / "in"]), community_seed=5)
    many = cluster.list_flows(client, cluster.find(client, [tmp_path / "in"]), community_seed=5)
    assert many.to_dicts() == one.to_dicts()
    assert many.files == one.files


def test_the_command_line(tmp_path: Path) -> None:
    spread(conversation(), 3, tmp_path / "in")
    for order in (
        ["flows", "in", "--format", "ndjson", "--where", "bytes > 200"],
        ["extract", "in", "--where", "server_port = 443", "-o", "-"],
    ):
        one, many = run(*order, cwd=tmp_path), run(*order, "--cluster", "local:1", cwd=tmp_path)
        assert many.returncode == one.returncode == 0, said(many)
        assert many.stdout == one.stdout
        assert len(one.stdout) > 1000


def test_a_damaged_capture(client: Any, tmp_path: Path) -> None:
    paths = spread(conversation(), 3, tmp_path / "in")
    paths[1].write_bytes(paths[1].read_bytes()[:-5])
    one = list_flows(find([tmp_path / "in"]))
    many = cluster.list_flows(client, cluster.find(client, [tmp_path / "in"]))
    assert many.to_dicts() == one.to_dicts()
    assert many.files == one.files and many.files[1]["damage"] is not None


def test_what_is_refused(client: Any, tmp_path: Path) -> None:
    spread(wire.tcp_session("10.0.0.1:1", "10.0.0.2:2"), 2, tmp_path / "in")
    where = cluster.find(client, [tmp_path / "in"])
    from flowkeep.errors import UsageError

    for plan in (
        ExtractPlan(tmp_path / "out", split="flow"),
        ExtractPlan(tmp_path / "out", compression="gzip"),
    ):
        with pytest.raises(UsageError, match="cluster"):
            cluster.extract(client, where, FlowQuery(), plan)
    assert not (tmp_path / "out").exists()
