"""Any number of workers gives what one machine gives, whatever the traffic."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest
from flowkeep import cluster
from flowkeep.cluster import fold
from flowkeep.cut import CutPolicy
from flowkeep.errors import UsageError
from flowkeep.ops.extract import ExtractPlan, extract
from flowkeep.ops.flows import list_flows
from flowkeep.ops.trim import TrimPlan, trim
from flowkeep.paths import find
from flowkeep.select.query import FlowQuery
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from tests.cli.command import tree
from tests.props.traffic import traffic
from tests.wire import Packet

from .data import conversation, spread, told, trimmed_before


def compare(
    client: Any, packets: list[Packet], files: int, cutoff: int, before: bool, root: Path, seed: int
) -> None:
    """Trim, list and extract on one machine and on the cluster."""
    paths = spread(packets, files, root / "in")
    if before:
        trimmed_before(paths, root / "before", cutoff // 2)
    policy = CutPolicy(cutoff)
    one = trim(find([root / "in"]), policy, TrimPlan(output=root / "one", ledger=True))
    where = cluster.find(client, [root / "in"])
    many = cluster.trim(client, where, policy, TrimPlan(output=root / "many", ledger=True))
    assert tree(root / "many") == tree(root / "one")
    assert told(many, root / "many") == told(one, root / "one")
    table = list_flows(find([root / "in"]))
    assert cluster.list_flows(client, where).to_dicts() == table.to_dicts()
    some = random.Random(seed).sample(range(len(table)), len(table) // 2)
    query = FlowQuery(flows=tuple(map(str, some)), invert=not some)
    extract(find([root / "in"]), query, ExtractPlan(root / "one.out"))
    cluster.extract(client, where, query, ExtractPlan(root / "many.out"))
    assert (root / "many.out").read_bytes() == (root / "one.out").read_bytes()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    traffic().filter(bool), st.integers(1, 5), st.integers(0, 3000), st.booleans(), st.integers(1, 3),
    st.integers(0, 1 << 30),
)  # fmt: skip
def test_any_traffic(
    client: Any, packets: list[Packet], files: int, cutoff: int, before: bool, parts: int, seed: int
) -> None:
    """Also when summaries are merged in parts, which small captures are not."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold, "PARTS_AT_LEAST", parts)
        try:
            compare(client, packets, files, cutoff, before, Path(folder), seed)
        except UsageError as error:
            assert before and "while fragments waited" in str(error)
            reject()


def test_any_number_of_workers(client: Any, tmp_path: Path) -> None:
    try:
        for workers in (1, 3, 6):
            client.cluster.scale(workers)
            client.wait_for_workers(workers, timeout=60)
            compare(client, conversation(), 7, 3000, workers % 2 == 0, tmp_path / str(workers), workers)
    finally:
        client.cluster.scale(2)


def test_a_client_in_python(client: Any, tmp_path: Path) -> None:
    spread(conversation(), 3, tmp_path / "in")
    data = fk.open(tmp_path / "in")
    assert data.flows(client=client).to_dicts() == data.flows().to_dicts()
    data.trim("3kB", output=tmp_path / "one")
    steps: list[tuple[int, int]] = []
    data.trim("3kB", output=tmp_path / "many", client=client, progress=lambda *step: steps.append(step))
    assert tree(tmp_path / "many") == tree(tmp_path / "one")
    assert steps[-1][0] == steps[-1][1] > 0 and steps == sorted(steps)
    query = fk.FlowQuery(where="server_port = 53")
    data.extract(tmp_path / "one.pcap", query)
    data.extract(tmp_path / "many.pcap", query, client=client)
    assert (tmp_path / "many.pcap").read_bytes() == (tmp_path / "one.pcap").read_bytes()
    with pytest.raises(UsageError, match="behind and client"):
        data.trim("3kB", output=tmp_path / "more", client=client, behind=[tmp_path])
