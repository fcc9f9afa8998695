"""Protocols taught by example: models, what they recognise, and what must not change it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import flowkeep as fk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.cli.command import run, said
from tests.wire.talk import Side

Script = list[tuple[Side, bytes]]


def binary(dice: random.Random) -> Script:
    """A binary protocol of two messages: magic, kind, length, session, data."""
    session, size = dice.randbytes(4), dice.randrange(16, 60)
    return [
        ("c", b"\xa7\x3c\x91\x02\0\x01\0" + bytes([size]) + session + b"\0\0\x2b\x67" + dice.randbytes(size)),
        ("s", b"\xa7\x3c\x91\x02\0\x02\0\x18" + session + b"\0\0\x2b\x67" + dice.randbytes(24)),
    ]


def text(dice: random.Random) -> Script:
    """Lines with words of their own, and then much data."""
    word = bytes(dice.choices(b"abcdefghij", k=5))
    return [
        ("c", b"ZAPHOD/7 gate=" + word + b" realm=heart-of-gold\n"),
        ("s", b"zaphod-ok ticket=" + word + b" quota=77\n"),
        ("c", b"FETCH\n"),
        ("s", dice.randbytes(30_000)),
    ]


def talks(
    count: int, seed: int, make: Callable[[random.Random], Script], base: int = 0
) -> list[list[wire.Packet]]:
    """Flows on ports that mean nothing, over UDP if the protocol is binary."""
    dice = random.Random(seed)
    found = []
    for n in range(count):
        ends = (
            f"10.{seed}.0.{n + 1}:{dice.randrange(20_000, 60_000)}",
            f"10.9.9.9:{dice.randrange(20_000, 60_000)}",
        )
        session = wire.udp_dialogue if make is binary else wire.tcp_session
        found.append(session(*ends, make(dice), start_ns=wire.START_NS + (base + n) * wire.SECOND))
    return found


def write(path: Path, *flows: list[wire.Packet]) -> Path:
    path.write_bytes(wire.pcap(wire.merged(*flows), ns=True))
    return path


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    """Ten flows of each protocol, and some HTTP and DNS."""
    http = [
        wire.tcp_session(f"10.0.0.{n}:50000", "10.0.1.1:4711",
                         [("c", b"GET /%d HTTP/1.1\r\nHost: a.example\r\n\r\n" % n), ("s", b"HTTP/1.1 200 OK\r\n\r\n")])
        for n in range(1, 8)
    ]  # fmt: skip
    return write(tmp_path / "taught.pcap", *talks(10, 1, binary), *talks(10, 2, text), *http)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """Other flows of both, and noise."""
    dice = random.Random(5)
    noise = [
        wire.udp_dialogue(
            f"10.7.0.{n}:5000", "10.0.1.1:6000", [("c", dice.randbytes(60)), ("s", dice.randbytes(60))]
        )
        for n in range(1, 30)
    ]
    return write(tmp_path / "fresh.pcap", *talks(20, 3, binary), *talks(20, 4, text, 100), *noise)


def named(path: Path, *models: Path, jobs: int = 0) -> list[str | None]:
    flows = fk.open(path, options=fk.ReadOptions(jobs=jobs)).flows(identify=True, models=models)
    return flows.to_polars()["service"].to_list()


CASES = [("acme", "proto = 'udp'", 20), ("zaphod", "proto = 'tcp' and client_ip LIKE '10.2.%'", 20)]


@pytest.mark.parametrize(("name", "where", "count"), CASES)
def test_ten_flows_teach_a_protocol(
    taught: Path, fresh: Path, tmp_path: Path, name: str, where: str, count: int
) -> None:
    model = tmp_path / f"{name}.model"
    done = run("learn", name, taught, "--where", where, "-o", model)
    assert done.returncode == 0, done.stderr
    assert "warning" not in said(done)
    assert re.search(r"10 +10 +10 of 10 .*up to 90", done.stdout.decode())
    listed = run("flows", fresh, "--models", model, "--format", "ndjson")
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    mine = [row for row in rows if row["service"]]
    assert len(mine) == count and {row["service"] for row in mine} == {name}
    assert {row["service_confidence"] for row in mine} == {90}
    assert all(
        re.fullmatch(rf"model\.{name} (client|server)\+\d+ [0-9a-f]{{16}}", row["service_evidence"])
        for row in mine
    )
    for command in ("extract", "streams", "search"):
        out = ["-o", tmp_path / "out"] if command != "search" else ["--count"]
        head = [command, *(["FETCH"] if command == "search" else []), fresh]
        done = run(*head, "--models", model, "--where", f"service = '{name}'", *out)
        assert done.returncode == 0, said(done)
        if command == "extract":
            assert len(fk.open(tmp_path / "out").flows()) == count
            (tmp_path / "out").unlink()
        elif command == "search":
            assert done.stdout.strip() == (b"20" if name == "zaphod" else b"0")
    spoken = [row["service"] for row in fk.open(fresh).services(identify=True, models=[model]).to_dicts()]
    assert spoken.count(name) == count and set(spoken) == {name, None}
    assert (
        run("services", fresh, "--models", model, "--limit", "0").stdout.count(f" {name}".encode()) == count
    )
    table = run("protocols", "--models", model, "--format", "json")
    assert [row["family"] for row in json.loads(table.stdout) if row["label"] == name] == ["learnt"]


def test_one_flow_is_enough_to_begin_and_says_so(taught: Path, fresh: Path, tmp_path: Path) -> None:
    for name in ("acme", "zaphod"):
        flows = fk.open(taught).flows().to_dicts()
        chosen = next(
            row for row in flows if (row["proto"] == "udp") == (name == "acme") and row["server_port"] != 4711
        )
        done = run("learn", name, taught, "--flow", str(chosen["flow_id"]), "-o", tmp_path / f"{name}.model")
        assert done.returncode == 0, done.stderr
        assert "one example is too little" in said(done)
        assert "9 flows that were not chosen would be named" in said(done)
    rows = fk.open(fresh).flows(identify=True, models=tmp_path).to_dicts()
    assert [row["service"] for row in rows].count("acme") == 20
    assert [row["service"] for row in rows].count("zaphod") == 20
    assert {row["service_confidence"] for row in rows if row["service"]} == {50}


def test_a_rule_that_is_surer_keeps_its_name(taught: Path, tmp_path: Path) -> None:
    model = tmp_path / "web.model"
    report = fk.learn("web", taught, query=fk.FlowQuery(where="server_port = 4711"), output=model)
    assert any("known as http" in warning for warning in report.warnings)
    assert set(named(taught, model)) == {None, "http"}


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_threads_and_trimming_change_nothing(taught: Path, fresh: Path, tmp_path: Path, jobs: int) -> None:
    options = fk.ReadOptions(jobs=jobs)
    ds = fk.open(taught, options=options)
    texts = [ds.learn(name, fk.FlowQuery(where=where)).text for name, where, _ in CASES]
    plain = [
        fk.open(taught, options=fk.ReadOptions(jobs=1)).learn(n, fk.FlowQuery(where=w)).text
        for n, w, _ in CASES
    ]
    assert texts == plain
    models = [tmp_path / f"{n}.model" for n, *_ in CASES]
    for path, data in zip(models, texts, strict=True):
        path.write_text(data)
    whole = named(fresh, *models, jobs=jobs)
    assert whole == named(fresh, *models, jobs=1) and whole.count("zaphod") == 20
    report = fk.open(fresh).trim("10kB", output=tmp_path / "small")
    assert report.as_dict()["totals"]["packets_cut"] > 0
    assert named(tmp_path / "small" / fresh.name, *models, jobs=jobs) == whole
    small = fk.open(tmp_path / "small" / fresh.name)
    assert (
        small.learn("x", fk.FlowQuery(where="proto = 'tcp'")).text
        == fk.open(fresh).learn("x", fk.FlowQuery(where="proto = 'tcp'")).text
    )


@settings(max_examples=20, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 19), min_size=2, max_size=2, unique=True), order=st.permutations(range(3))
)
def test_merging_is_the_same_in_any_order_and_grouping(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    flows = [*talks(10, 6, binary), *talks(10, 7, text, 50)]
    random.Random(3).shuffle(flows)
    low, high = sorted(cuts)
    parts = [flows[:low], flows[low:high], flows[high:]]
    models = []
    for n, part in enumerate(parts):
        models.append(folder / f"{n}.model")
        fk.learn("x", write(folder / f"{n}.pcap", *part), output=models[-1])
    a, b, c = (models[n] for n in order)
    ab, bc = folder / "ab.model", folder / "bc.model"
    fk.merge_models([a, b], output=ab)
    fk.merge_models([b, c], output=bc)
    whole = fk.learn("x", write(folder / "all.pcap", *flows)).text
    assert fk.merge_models([ab, c]).text == fk.merge_models([a, bc]).text == whole
    assert fk.merge_models(models).text == whole


def test_merging_by_command(taught: Path, tmp_path: Path) -> None:
    for name, where in (("a", "client_ip LIKE '10.1.0._'"), ("b", "client_ip = '10.1.0.10'")):
        assert (
            run("learn", "acme", taught, "--where", where, "-o", tmp_path / f"{name}.model").returncode == 0
        )
    both = tmp_path / "both.model"
    done = run("learn", "--merge", tmp_path / "a.model", tmp_path / "b.model", "-o", both)
    assert done.returncode == 0 and "10 flows" in said(done)
    assert "flows 10\n" in both.read_text()
    other = tmp_path / "other.model"
    fk.learn("other", taught, output=other)
    done = run("learn", "--merge", both, other, "-o", tmp_path / "none.model")
    assert done.returncode == 2 and "one is named acme" in said(done).replace("model ", "")
    assert not (tmp_path / "none.model").exists()


def test_wrong_calls_say_what_to_do(taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words, status, hint in [
        (["acme"], 2, "NAME PATH"),
        (["tls", taught], 2, "my-tls"),
        (["Acme!", taught], 2, "a-z"),
        (["../acme", taught], 2, "no name"),
        (["acme", taught, "--where", "bytes > 1GB"], 2, "no flow is meant"),
        (["acme", taught, "-o", taught], 2, "capture"),
        (["--merge", "a.model"], 2, "-o"),
        (["--merge", "a.model", "-o", "b.model", "--where", "bytes > 1"], 2, "conditions"),
        (["--merge", "nowhere.model", "-o", "b.model"], 3, "nowhere.model"),
    ]:
        done = run("learn", *words)
        assert done.returncode == status and hint in said(done), (words, done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["taught.pcap"]
    assert run("learn", "acme", taught, "--where", "proto = 'udp'").returncode == 0
    before = (tmp_path / "acme.model").read_bytes()
    done = run("learn", "acme", taught, "--flow", "3")
    assert done.returncode == 2 and "--force" in said(done)
    assert (tmp_path / "acme.model").read_bytes() == before
    assert run("learn", "acme", taught, "--flow", "3", "--force").returncode == 0
    assert (tmp_path / "acme.model").read_bytes() != before


def test_broken_models_are_named_with_their_line(taught: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mo\x1bdels"
    folder.mkdir()
    done = run("flows", taught, "--models", folder)
    assert done.returncode == 11 and "no model in this folder" in said(done)
    good = fk.learn("acme", taught, query=fk.FlowQuery(where="proto = 'udp'")).text
    bad = folder / "bad.model"
    for data, hint in [
        (good.replace("threshold", "\x1b[2Jthreshold").encode(), "line 7: "),
        (good.encode()[:-5], "'end' was needed"),
        (b"\x89PNG\r\n\x1a\n\xff", "line 1: "),
        (b"flowkeep-model 1\n" + b"#" * (4 << 20), "4194304"),
        (b"", "empty"),
    ]:
        bad.write_bytes(data)
        done = run("flows", taught, "--models", folder)
        assert done.returncode == 11 and hint in said(done) and "bad.model" in said(done), done.stderr
        with pytest.raises(fk.ModelError, match=re.escape(hint)):
            fk.open(taught).flows(identify=True, models=[bad])
    bad.write_text(good)
    (folder / "again.model").write_text(good)
    done = run("flows", taught, "--models", folder)
    assert done.returncode == 11 and "two models are named acme" in said(done)


def test_a_model_to_standard_output(taught: Path) -> None:
    done = run("learn", "acme", taught, "--where", "proto = 'udp'", "-o", "-")
    assert done.stdout.startswith(b"flowkeep-model 1\nname acme\n") and done.stdout.endswith(b"\nend\n")
    assert "10 of 10" in said(done)
