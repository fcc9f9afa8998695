"""The API as a script uses it, and with whatever a fuzzer makes of its description."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest

from tests import wire
from tests.ui.conftest import Served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    talks = [wire.udp_dialogue(client=f"10.0.0.{n}:5000", server="10.0.0.53:53") for n in range(1, 9)]
    talks.append(wire.tcp_session(script=[("c", b"hello"), ("s", b"answer")], server="10.0.0.2:4000"))
    (folder / "a.pcap").write_bytes(wire.pcap(wire.merged(*talks)))
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    made = Served(folder)
    yield made
    made.stop()


def fetch(served: Served, path: str) -> bytes:
    request = urllib.request.Request(served.base + path, headers={"Authorization": f"Bearer {served.token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        data: bytes = answer.read()
    return data


def refused(served: Served, path: str, data: Any = None, method: str | None = None) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        served.ask(path, data, method)
    with caught.value:
        return caught.value.code, caught.value.read().decode()


def test_rows_are_those_of_the_library(served: Served, folder: Path) -> None:
    answer = served.ask("api/flows?limit=100&sort=-bytes")
    flows = fk.open(folder).flows(details=True, identify=True).to_dicts()
    assert answer["total"] == len(flows) == 9
    assert {r["flow_id"]: r["community_id"] for r in answer["rows"]} == {
        f["flow_id"]: f["community_id"] for f in flows
    }
    sizes = [r["bytes"] for r in answer["rows"]]
    assert sizes == sorted((f["client_bytes"] + f["server_bytes"] for f in flows), reverse=True)
    assert served.ask("api/flows?limit=2&offset=1&sort=-bytes")["rows"] == answer["rows"][1:3]
    assert set(served.ask("api/flows?limit=1&columns=flow_id,bytes")["rows"][0]) == {"flow_id", "bytes"}


def test_one_flow(served: Served, folder: Path) -> None:
    (row,) = served.ask("api/flows?where=server_port%3D4000")["rows"]
    flow = row["flow_id"]
    assert served.ask(f"api/flows/{flow}")["server_port"] == 4000
    said = served.ask(f"api/flows/{flow}/transcript")["lines"]
    assert [(line["who"], line["text"]) for line in said if line["who"]] == [
        ("client", "hello"),
        ("server", "answer"),
    ]
    assert fetch(served, f"api/flows/{flow}/stream/server") == b"answer"
    assert [e["name"] for e in served.ask(f"api/flows/{flow}/anomalies")["rows"]] == ["fin", "fin"]


def test_packets_of_a_view_and_by_a_link(served: Served) -> None:
    data = fetch(served, "api/extract?hide=port:53")
    link = served.ask("api/extract/link", {"view": {"hide": ["port:53"]}})
    assert link["flows"] == 1
    with urllib.request.urlopen(served.base + link["path"].lstrip("/"), timeout=60) as answer:
        assert "attachment" in answer.headers["content-disposition"]
        linked = answer.read()
    got = [[record.data for record in wire.read(capture).records] for capture in (data, linked)]
    assert got[0] == got[1] and len(got[0]) == 10
    assert refused(served, link["path"].replace("/get/", "/get/x"))[0] == 404


def test_nothing_outside_of_the_folders(served: Served, tmp_path: Path) -> None:
    (tmp_path / "b.pcap").write_bytes(wire.pcap(wire.udp_dialogue()))
    code, why = refused(served, "api/files", {"paths": [str(tmp_path / "b.pcap")]})
    assert code == 400 and "outside of what this server may touch" in why
    assert refused(served, f"api/files/browse?folder={tmp_path}")[0] == 400
    assert refused(served, "api/trim", {"cutoff": "1kB", "output": str(tmp_path / "out")})[0] == 400
    assert not (tmp_path / "out").exists()


def test_links_that_lead_out_are_not_followed(served: Served, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "b.pcap").write_bytes(wire.pcap(wire.udp_dialogue()))
    (folder / "link.pcap").symlink_to(tmp_path / "b.pcap")
    assert refused(served, "api/files", {"paths": [str(folder / "link.pcap")]})[0] == 400
    (folder / "link.pcap").unlink()


def test_trim(served: Served, folder: Path) -> None:
    curve = served.ask("api/trim/curve")
    kept = [one["kept_bytes"] for one in curve["cutoffs"]]
    assert kept == sorted(kept) and kept[-1] == curve["bytes"]
    report = served.ask("api/trim", {"cutoff": "100", "output": str(folder / "out")})
    assert report["totals"]["bytes_kept"] == next(
        c["kept_bytes"] for c in curve["cutoffs"] if c["cutoff"] == 100
    )


@pytest.mark.parametrize("path", [
    "api/flows?where=nope>1", "api/flows?hide=x", "api/flows?columns=nope", "api/flows?sort=nope", "api/flows/99",
    "api/files/browse?folder=a%00b", "api/files/browse?folder=~nobody-has-this-name/x",
    "api/retain/plan?policy=%00", "api/cache?socket=%00", "api/flows/99/transcript", "api/flows/0/transcript?encoding=nope", "api/extract?flow=a", "api/flows?since=x",
])  # fmt: skip
def test_errors_say_what_is_wrong(served: Served, path: str) -> None:
    code, why = refused(served, path)
    assert code == 400 and len(why) > 20


def test_docs_name_every_call(served: Served) -> None:
    page = fetch(served, "api/docs").decode()
    assert all(path in page for path in served.ask("api/openapi.json")["paths"])
    assert "http://" not in page and "https://" not in page


def test_whatever_a_fuzzer_sends(served: Served) -> None:
    """No call ends in a server error, and answers are as described."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
    from schemathesis.checks import not_a_server_error

    headers = {"Authorization": f"Bearer {served.token}"}
    schema = schemathesis.openapi.from_url(served.base + "api/openapi.json", headers=headers)
    # These would read other captures, which takes its time, or end what the others look at.
    calls = [each.ok() for each in schema.get_all_operations()]
    calls = [
        call for call in calls if not (call.path.startswith("/api/files") and call.method.upper() != "GET")
    ]
    assert len(calls) > 10

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def one(data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(calls))
        case = data.draw(call.as_strategy())
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=[not_a_server_error])

    one()
