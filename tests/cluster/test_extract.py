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


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
@pytest.mark.parametrize("form", ["auto", "pcap", "pcapng"])
@pytest.mark.parametrize(
    "endings", [("pcap",), ("pcapng", "pcap"), ("ns", "pcap")], ids=["pcap", "mixed", "ns"]
)
def test_extract(client: Any, tmp_path: Path, query: FlowQuery, form: Any, endings: tuple[str, ...]) -> None:
    spread(conversation(), 5, tmp_path / "in", endings=endings)
    one = extract(find([tmp_path / "in"]), query, ExtractPlan(tmp_path / "one", form))
    where = cluster.find(client, [tmp_path / "in"])
    many = cluster.extract(client, where, query, ExtractPlan(tmp_path / "many", form))
    assert (tmp_path / "many").read_bytes() == (tmp_path / "one").read_bytes()
    many.output = one.output
    assert many == one


def test_extract_to_standard_output(tmp_path: Path) -> None:
    spread(conversation(), 3, tmp_path / "in")
    order = ["extract", "in", "--where", "server_port = 443", "-o", "-"]
    one = run(*order, cwd=tmp_path)
    many = run(*order, "--cluster", "local:1", cwd=tmp_path)
    assert many.returncode == one.returncode == 0, said(many)
    assert many.stdout == one.stdout
    assert len(one.stdout) > 1000


@pytest.mark.parametrize("before", [False, True], ids=["whole", "trimmed before"])
def test_flows(client: Any, tmp_path: Path, before: bool) -> None:
    paths = spread(conversation(), 6, tmp_path / "in")
    if before:
        trimmed_before(paths, tmp_path / "before", 2500)
    one = list_flows(find([tmp_path / "in"]), community_seed=5)
    many = cluster.list_flows(client, cluster.find(client, [tmp_path / "in"]), community_seed=5)
    assert many.to_dicts() == one.to_dicts()
    assert many.files == one.files


def test_flows_as_every_format(tmp_path: Path) -> None:
    spread(conversation(), 3, tmp_path / "in")
    for form in ("csv", "json", "arrow"):
        order = ["flows", "in", "--format", form, "--where", "bytes > 200"]
        one, many = run(*order, cwd=tmp_path), run(*order, "--cluster", "local:1", cwd=tmp_path)
        assert many.returncode == one.returncode == 0, said(many)
        assert many.stdout == one.stdout


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
