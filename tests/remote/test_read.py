"""What is read elsewhere is what would be read here; where it cannot be, an error says so."""

from __future__ import annotations

import gzip
import os
import pickle
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest
from flowkeep import _native
from flowkeep.cli.app import run
from flowkeep.errors import NotACaptureError, UsageError
from flowkeep.places import Url, reading

from tests.remote.server import Web

COMMANDS = [
    ["flows", "{}", "--format", "csv"],
    ["flows", "{}", "--identify", "--details", "--format", "ndjson"],
    ["flows", "{}", "--where", "bytes > 10kB", "--sort", "bytes", "--format", "json"],
    ["flows", "{}", "--format", "zeek"],
    ["hosts", "{}", "--format", "csv"],
    ["services", "{}", "--format", "csv"],
    ["search", "HTTP", "{}", "--format", "csv"],
    ["trim", "1kB", "{}", "--output", "-"],
    ["extract", "{}", "--flow", "3", "-o", "-"],
    ["extract", "{}", "-o", "-"],
    ["transcript", "{}", "--flow", "3"],
    ["info", "{}", "--json"],
]


def _said(args: list[str], name: str, capfdbinary: pytest.CaptureFixture[bytes]) -> bytes:
    status = run([name if a == "{}" else a for a in args])
    out, err = capfdbinary.readouterr()
    assert status == 0, err
    return out.replace(name.encode(), b"NAME")


@pytest.mark.parametrize("args", COMMANDS, ids=lambda a: "-".join(x.strip("-{}") for x in a[:4:2]))
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_command_says_the_same_of_a_url(
    args: list[str], packed: bool, web: Web, capture: Path, tmp_path: Path, small_blocks: None,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:  # fmt: skip
    data = capture.read_bytes()
    here = tmp_path / "x.pcapng"
    here.write_bytes(gzip.compress(data, 1) if packed else data)
    web.files["x.pcapng"] = here.read_bytes()
    local = _said(args, os.fspath(here), capfdbinary)
    assert local == _said(args, web.url("x.pcapng"), capfdbinary)
    assert len(local) > 20


def test_streams_and_learnt_models_are_the_same(web: Web, capture: Path, tmp_path: Path) -> None:
    web.files["x.pcapng"] = capture.read_bytes()
    files = []
    for name, where in (("a", capture), ("b", web.url("x.pcapng"))):
        fk.open(where).streams(tmp_path / name)
        made = {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()}
        made["streams.json"] = made["streams.json"].replace(os.fspath(where).encode(), b"NAME")
        made["model"] = fk.open(where).learn("web", fk.FlowQuery(where="server_port = 80")).text.encode()
        files.append(made)
    assert files[0] == files[1] and len(files[0]) > 10


def test_only_what_is_needed_is_fetched_and_each_byte_once(
    web: Web, capture: Path, small_blocks: None
) -> None:
    data = web.files["x.pcapng"] = capture.read_bytes()
    _native.probe(web.url("x.pcapng"))
    fk.open(web.url("x.pcapng"))
    assert set(web.ranges_of("x.pcapng")) == {(0, 70_000)}, "to order captures the head is enough"
    web.asked.clear()
    report = fk.open(web.url("x.pcapng"), options=fk.ReadOptions(jobs=1)).trim("1kB", dry_run=True)
    assert report.total("packets") > 1000
    got = sorted(set(web.ranges_of("x.pcapng")))
    assert got[0] == (0, 70_000) and got[-1][1] >= len(data)
    assert all(a[1] == b[0] for a, b in pairwise(got)), "no byte is left out, none fetched twice"
    behind = [r for r in web.ranges_of("x.pcapng") if r[0]]
    assert len(behind) == len(set(behind))


@pytest.mark.parametrize(
    "trips", [[500], ["drop"], ["short"], [503, 429, "drop", 500], [None, "drop", None, 502]]
)
def test_a_server_that_stumbles_is_asked_again(
    trips: list[Any], web: Web, capture: Path, flows: Any, small_blocks: None
) -> None:
    web.files["x"] = capture.read_bytes()
    web.trips["x"] = list(trips)
    assert fk.open(web.url("x")).flows().to_polars().equals(flows)
    assert not web.trips["x"]


@pytest.mark.parametrize(
    ("always", "words"),
    [
        (500, "the server answered 500 Internal Server Error (tried 5 times)"),
        ("drop", "(tried 5 times)"),
        ("short", "were asked for|were to come"),
        ("long", "more came"),
        ("other", "were asked for, 70001 to"),
        ("changed", "the file was changed while it was read"),
        (404, "404"),
    ],
)
def test_a_server_that_does_not_deliver_is_an_error_that_says_where(
    always: Any, words: str, web: Web, capture: Path, small_blocks: None
) -> None:
    web.files["x"] = capture.read_bytes()
    web.always = always
    with pytest.raises(OSError, match="bytes 70000 to 200000") as caught:
        fk.open(web.url("x"), options=fk.ReadOptions(jobs=1)).flows()
    error = caught.value
    assert error.filename == web.url("x")
    assert any(w in str(error) for w in words.split("|")), error
    assert "reading at byte" in str(error)


@pytest.mark.parametrize("packed", [False, True])
def test_also_a_broken_connection_in_a_compressed_capture_is_no_damage(
    packed: bool, web: Web, capture: Path, small_blocks: None
) -> None:
    web.files["x"] = gzip.compress(capture.read_bytes(), 1) if packed else capture.read_bytes()
    web.always = "drop"
    with pytest.raises(OSError, match="bytes 70000 to"):
        fk.open(web.url("x"), options=fk.ReadOptions(jobs=1)).flows()


@pytest.mark.parametrize("length", [True, False])
def test_a_server_without_ranges_is_read_as_it_comes(
    length: bool, web: Web, capture: Path, flows: Any, small_blocks: None
) -> None:
    web.files["x"] = capture.read_bytes()
    web.ranges, web.length = False, length
    ds = fk.open(web.url("x"))
    assert ds.flows().to_polars().equals(flows)
    web.always = "drop"
    if length:
        with pytest.raises(OSError, match="no ranges, so that nobody can go on"):
            ds.flows()


def test_a_length_that_is_a_lie_is_found_out(web: Web, capture: Path, flows: Any, small_blocks: None) -> None:
    data = web.files["x"] = capture.read_bytes()
    web.total = len(data) * 1000
    with pytest.raises(OSError, match="asked for"):
        fk.open(web.url("x")).flows()


def test_what_is_not_there_or_no_capture(web: Web) -> None:
    web.files["page.html"] = b"<html>not here</html>" * 100
    web.files["empty"] = b""
    with pytest.raises(FileNotFoundError, match="404"):
        fk.open(web.url("nothing.pcap"))
    with pytest.raises(NotACaptureError, match="unknown format"):
        fk.open(web.url("page.html"))
    with pytest.raises(NotACaptureError, match="empty"):
        fk.open(web.url("empty"))


def test_redirects_are_followed_on_the_web_and_nowhere_else(
    web: Web, capture: Path, flows: Any, tmp_path: Path
) -> None:
    web.files["x"] = capture.read_bytes()
    web.redirect["/to"] = "/x"
    assert fk.open(web.url("to")).flows().to_polars().equals(flows)
    secret = tmp_path / "secret.pcapng"
    shutil.copy(capture, secret)
    web.redirect["/bad"] = f"file://{secret}"
    with pytest.raises(OSError, match="not followed"):
        fk.open(web.url("bad"))
    web.redirect["/loop"] = "/loop"
    with pytest.raises(OSError, match="TooManyRedirects"):
        fk.open(web.url("loop"))


@pytest.mark.parametrize(
    "name",
    [
        "zip://a.pcap::http://127.0.0.1:1/x.zip",
        "simplecache::http://127.0.0.1:1/x",
        "http://127.0.0.1:1/x::file:///etc/passwd",
        "zip://a.pcap",
        "reference://x",
        "nothing-like-this://x/y",
        "http://127.0.0.1:1/",
        "file://relative",
    ],
)
def test_urls_that_are_no_captures_name_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        fk.open(name)


def test_escapes_in_a_url_are_told_and_reach_no_terminal(
    web: Web, capture: Path, flows: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    web.files["a%20b%1b.pcap"] = capture.read_bytes()
    assert fk.open(web.url("a%20b%1b.pcap")).flows().to_polars().equals(flows)
    assert run(["info", web.url("\x1b[31mred.pcap")]) != 0
    out, err = capfd.readouterr()
    assert "\x1b[31m" not in out + err and "red.pcap" in err


def test_a_file_url_is_a_file(capture: Path, flows: Any) -> None:
    ds = fk.open(f"file://{capture}")
    assert ds.paths == [capture] and ds.flows().to_polars().equals(flows)


def test_folders_globs_and_mixtures(memory: Any, capture: Path, tmp_path: Path) -> None:
    data = capture.read_bytes()
    fk.open(capture).trim("1kB", output=tmp_path / "t", ledger=True)
    trimmed = tmp_path / "t" / capture.name
    for name in ("day/b.pcapng", "day/in/a.pcapng", "day/.hidden", "day/.git/c.pcapng", "other/c.pcapng"):
        memory.pipe_file("/" + name, data)
    memory.pipe_file("/day/notes.txt", b"none")
    memory.pipe_file("/day/t.pcapng", trimmed.read_bytes())
    memory.pipe_file(
        "/day/t.pcapng.ledger.arrow", (trimmed.parent / f"{trimmed.name}.ledger.arrow").read_bytes()
    )
    ds = fk.open("memory://day")
    names = ["memory://day/b.pcapng", "memory://day/in/a.pcapng", "memory://day/t.pcapng"]
    assert [os.fspath(p) for p in ds.paths] == names
    assert [os.fspath(p) for p, _ in ds.skipped] == ["memory://day/notes.txt"]
    assert [c.relative for c in ds._found.captures] == [
        Path("b.pcapng"),
        Path("in/a.pcapng"),
        Path("t.pcapng"),
    ]
    assert [f["ledger"] for f in ds.flows().files] == ["none", "none", "used"]
    assert [os.fspath(p) for p in fk.open("memory://day/*.pcapng").paths] == [names[0], names[2]]
    assert [os.fspath(p) for p in fk.open("memory://**/a.pcapng").paths] == [names[1]]
    with pytest.raises(FileNotFoundError, match="no match"):
        fk.open("memory://day/*.nothing")
    mixed = fk.open("memory://day/b.pcapng", trimmed, "memory://day/b.pcapng")
    assert len(mixed.paths) == 2
    assert len(mixed.flows()) == len(fk.open(capture, trimmed).flows())


def test_names_of_a_store_do_not_lead_out_of_a_folder(memory: Any, capture: Path, tmp_path: Path) -> None:
    data = capture.read_bytes()
    memory.store["/day/../../evil.pcapng"] = memory.store["/day/x/../y.pcapng"] = _file(memory, data)
    memory.pipe_file("/day/good.pcapng", data)
    report = fk.open("memory://day").trim("1kB", output=tmp_path / "out")
    assert [p.name for p in tmp_path.rglob("*.pcapng")] == ["good.pcapng"]
    assert len(report.skipped) == 2


def _file(fs: Any, data: bytes) -> Any:
    fs.pipe_file("/made", data)
    return fs.store.pop("/made")


def test_order_is_that_of_the_first_packet(memory: Any, capture: Path) -> None:
    data = capture.read_bytes()
    first = fk.open(capture).info().files[0]
    cut = fk.open(capture)
    memory.pipe_file("/a.pcapng", data)
    assert cut.paths and first["packets"] > 1000
    fk.open(capture).extract("memory://b.pcap", fk.FlowQuery(where="first_ts < 0", invert=True), form="pcap")
    late = fk.open("memory://b.pcap", "memory://a.pcapng")
    assert [c.first_ts for c in late._found.captures] == sorted(c.first_ts or 0 for c in late._found.captures)


def test_a_url_is_just_a_name_to_other_processes(memory: Any, capture: Path) -> None:
    memory.pipe_file("/a.pcapng", capture.read_bytes())
    found = fk.open("memory://a.pcapng")._found
    again = pickle.loads(pickle.dumps(found))
    assert again.captures == found.captures
    secret = Url("http://me:geheim@h/x?token=abcdefg")
    assert pickle.loads(pickle.dumps(secret)) == secret
    assert pickle.loads(pickle.dumps(secret)).real == "http://me:geheim@h/x?token=abcdefg"


def test_an_index_beside_a_url_is_not_used(web: Web, capture: Path, flows: Any) -> None:
    web.files["x.pcapng"] = capture.read_bytes()
    web.files["x.pcapng.flowkeep-index"] = b"FKINDEX\nrubbish"
    assert fk.open(web.url("x.pcapng")).flows().to_polars().equals(flows)
    report = fk.open(web.url("x.pcapng")).index()
    assert [f.outcome for f in report.files] == ["skipped"]


def test_a_read_that_waits_can_be_ended(web: Web, capture: Path, small_blocks: None) -> None:
    import threading

    web.files["x"] = capture.read_bytes()
    web.hold = threading.Event()

    class StopNow(Exception):
        pass

    def progress(done: int, size: int) -> None:
        raise StopNow

    with pytest.raises(StopNow):
        fk.open(web.url("x")).flows(progress=progress)


def test_a_ledger_that_a_store_does_not_give_is_an_error_and_no_misfit(
    web: Web, capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HEAD", 20_000)
    fk.open(capture).trim("1kB", output=tmp_path, ledger=True)
    web.files["x"] = (tmp_path / capture.name).read_bytes()
    ledger = (tmp_path / f"{capture.name}.ledger.arrow").read_bytes()
    assert len(ledger) > 40_000
    web.files["x.ledger.arrow"] = ledger
    assert fk.open(web.url("x")).flows().files[0]["ledger"] == "used"
    web.trips["x.ledger.arrow"] = [500] * 100
    with pytest.raises(fk.LedgerError, match="cannot be read"):
        fk.open(web.url("x")).flows()
    web.trips.clear()
    web.files["x.ledger.arrow"] = b"no ledger" * 10_000
    assert fk.open(web.url("x")).flows().files[0]["ledger"] == "misfit"


def test_images_are_carved_from_urls(web: Web, memory: Any, capture: Path, tmp_path: Path) -> None:
    web.files["x.raw"] = bytes(1000) + capture.read_bytes()[-200_000:]
    (tmp_path / "x.raw").write_bytes(web.files["x.raw"])
    assert run(["carve", os.fspath(tmp_path / "x.raw"), "-o", os.fspath(tmp_path / "out.pcapng")]) == 0
    assert run(["carve", web.url("x.raw"), "-o", "memory://out.pcapng"]) == 0
    assert memory.cat_file("/out.pcapng") == (tmp_path / "out.pcapng").read_bytes()


def test_a_file_here_may_be_the_result_of_one_elsewhere(web: Web, capture: Path, tmp_path: Path) -> None:
    web.files["x.pcapng"] = capture.read_bytes()
    out = tmp_path / "x.pcapng"
    out.write_bytes(b"old")
    fk.open(web.url("x.pcapng")).extract(out)
    assert out.read_bytes() == capture.read_bytes()
    fk.open(web.url("x.pcapng")).trim("1kB", output=tmp_path)
    assert len(out.read_bytes()) < capture.stat().st_size


def test_the_browser_opens_no_urls(tmp_path: Path) -> None:
    pytest.importorskip("nicegui")
    from flowkeep.ui.library import Library

    with pytest.raises(UsageError, match="of this machine alone"):
        Library([tmp_path]).open(["http://127.0.0.1:1/x"])
