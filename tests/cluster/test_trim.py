"""Captures trimmed by a cluster are those of one machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from flowkeep import cluster
from flowkeep.cut import CutPolicy
from flowkeep.ops.trim import TrimPlan, trim
from flowkeep.paths import find

from tests.cli.command import tree

from .data import conversation, spread, told, trimmed_before

POLICIES = [
    CutPolicy(3000),
    CutPolicy(1500, per_direction=True, control="drop", rest="headers"),
    CutPolicy(2000, count="payload", rest="sample:3"),
]


@pytest.mark.parametrize("policy", POLICIES, ids=["plain", "headers", "sample"])
@pytest.mark.parametrize("before", [False, True], ids=["whole", "trimmed before"])
def test_a_folder(client: Any, tmp_path: Path, policy: CutPolicy, before: bool) -> None:
    paths = spread(conversation(), 6, tmp_path / "in")
    if before:
        trimmed_before(paths, tmp_path / "before", 2500)
    one = trim(find([tmp_path / "in"]), policy, TrimPlan(output=tmp_path / "one", ledger=True))
    where = cluster.find(client, [tmp_path / "in"])
    many = cluster.trim(client, where, policy, TrimPlan(output=tmp_path / "many", ledger=True))
    assert tree(tmp_path / "many") == tree(tmp_path / "one")
    assert told(many, tmp_path / "many") == told(one, tmp_path / "one")
    assert many.total("flows_cut") > 0


def test_in_place(client: Any, tmp_path: Path) -> None:
    spread(conversation(), 5, tmp_path / "one", endings=("pcap", "pcapng"))
    (tmp_path / "one" / "note.txt").write_text("no capture")
    shutil.copytree(tmp_path / "one", tmp_path / "many")
    one = trim(find([tmp_path / "one"]), CutPolicy(3000), TrimPlan(in_place=True))
    where = cluster.find(client, [tmp_path / "many"])
    many = cluster.trim(client, where, CutPolicy(3000), TrimPlan(in_place=True))
    assert tree(tmp_path / "many") == tree(tmp_path / "one")
    assert told(many, tmp_path / "many") == told(one, tmp_path / "one")
    assert not many.clean and many.skipped
