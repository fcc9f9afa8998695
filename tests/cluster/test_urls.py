"""Workers read URLs by their names, secrets included, and give what one machine gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flowkeep as fk
from flowkeep.cut import CutPolicy
from flowkeep.ops.trim import TrimPlan
from flowkeep.paths import find

from tests.remote.conftest import capture as capture
from tests.remote.conftest import web as web
from tests.remote.server import Web


def test_a_cluster_trims_from_a_web_server(client: Any, web: Web, capture: Path, tmp_path: Path) -> None:
    from flowkeep import cluster

    web.login = "Basic bWU6Z2VoZWlt"
    web.files["x.pcapng"] = capture.read_bytes()
    late = tmp_path / "y.pcap"
    fk.open(capture).extract(late, fk.FlowQuery(where="server_port = 443"), form="pcap")
    url = f"http://me:geheim@127.0.0.1:{web.port}/x.pcapng"
    where = cluster.find(client, [url, late])
    report = cluster.trim(client, where, CutPolicy(1000), TrimPlan(output=tmp_path / "many", ledger=True))
    fk.open(url, late).trim(1000, output=tmp_path / "one", ledger=True)
    assert report.clean and [str(f.path) for f in report.files] == [
        str(c.path) for c in find([url, late]).captures
    ]
    assert "geheim" not in repr(report)
    for name in ("x.pcapng", "y.pcap"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
