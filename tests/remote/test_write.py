"""Results elsewhere: whole or not at all, and what would be written here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest
from flowkeep import _native
from flowkeep.cli.app import run
from flowkeep.errors import OutputError, UsageError
from flowkeep.places import Url, writing
from flowkeep.sink.anywhere import whole

STORES = ["memory", "s3"]


class Store:
    """A store of either kind, by its files' names."""

    def __init__(self, fs: Any, root: str) -> None:
        self.fs, self.root = fs, root

    def url(self, name: str) -> str:
        return f"{self.root}/{name}"

    def put(self, name: str, data: bytes) -> str:
        self.fs.pipe_file(self.url(name), data)
        return self.url(name)

    def get(self, name: str) -> bytes:
        self.fs.invalidate_cache()
        data: bytes = self.fs.cat_file(self.url(name))
        return data

    def names(self) -> list[str]:
        self.fs.invalidate_cache()
        if not self.fs.exists(self.root):
            return []
        base = self.fs._strip_protocol(self.root)
        return sorted(n.removeprefix(base).lstrip("/") for n in self.fs.find(self.root))

    def uploads(self) -> int:
        """Uploads that were begun and neither finished nor dropped."""
        return len(self.fs.list_multipart_uploads("bucket")) if self.root.startswith("s3") else 0


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """Both kinds, empty."""
    fs = request.getfixturevalue(request.param)
    return Store(fs, "s3://bucket/dir" if request.param == "s3" else "memory://dir")


def test_a_trimmed_capture_and_its_ledger_are_those_of_this_machine(
    store: Store, capture: Path, tmp_path: Path
) -> None:
    store.put("in/x.pcapng", capture.read_bytes())
    there = fk.open(store.url("in")).trim("1kB", output=store.url("out"), ledger=True)
    here = fk.open(capture).trim("1kB", output=tmp_path / "out", ledger=True)
    own = tmp_path / "out" / capture.name
    assert store.get("out/x.pcapng") == own.read_bytes()
    about = []
    for ledger in (store.url("out/x.pcapng.ledger.arrow"), f"{own}.ledger.arrow"):
        [(metadata, why)] = _native.ledger_metadata([ledger])
        assert why is None
        about.append(metadata)
    assert about[0] == about[1] and about[0] is not None
    # Digest and size of what was read are as true as those of what was written.
    assert {"digest_in", "digest_out"} <= set(about[0])
    assert there.total("bytes") == here.total("bytes") and there.clean
    assert store.names() == ["in/x.pcapng", "out/x.pcapng", "out/x.pcapng.ledger.arrow"]
    flows = fk.open(store.url("out/x.pcapng")).flows()
    assert flows.files[0]["ledger"] == "used"
    assert flows.to_polars().equals(fk.open(own).flows().to_polars())
    assert store.uploads() == 0


def test_in_place_where_the_store_replaces_in_one_step(store: Store, capture: Path, tmp_path: Path) -> None:
    store.put("x.pcapng", capture.read_bytes())
    (tmp_path / "x.pcapng").write_bytes(capture.read_bytes())
    fk.open(tmp_path / "x.pcapng").trim("1kB", in_place=True)
    report = fk.open(store.url("x.pcapng")).trim("1kB", in_place=True)
    assert report.clean
    assert store.get("x.pcapng") == (tmp_path / "x.pcapng").read_bytes()
    assert store.names() == ["x.pcapng", "x.pcapng.ledger.arrow"]
    again = fk.open(store.url("x.pcapng")).trim("500", in_place=True)
    fk.open(tmp_path / "x.pcapng").trim("500", in_place=True)
    assert again.clean and store.get("x.pcapng") == (tmp_path / "x.pcapng").read_bytes()
    assert (
        fk.open(store.url("x.pcapng"))
        .flows()
        .to_polars()
        .equals(fk.open(tmp_path / "x.pcapng").flows().to_polars())
    )


def test_the_ledger_is_there_before_the_capture_is_replaced(
    memory: Any, capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe_file("/x.pcapng", capture.read_bytes())
    done: list[str] = []
    pipe = memory.pipe_file

    def pipe_file(path: str, data: bytes, **rest: Any) -> None:
        done.append(path)
        if path.endswith(".pcapng"):
            raise OSError(28, "no space left")
        pipe(path, data, **rest)

    monkeypatch.setattr(type(memory), "pipe_file", staticmethod(pipe_file))
    with pytest.raises(OutputError, match="no space left"):
        fk.open("memory://x.pcapng").trim("1kB", in_place=True)
    assert done == ["/x.pcapng.ledger.arrow", "/x.pcapng"]
    monkeypatch.undo()
    # What stands there after such an end is still read right.
    flows = fk.open("memory://x.pcapng").flows()
    assert flows.files[0]["ledger"] == "used"
    assert len(flows) == len(fk.open(capture).flows())


def test_in_place_is_refused_where_a_crash_could_lose_the_file(web: Any, capture: Path) -> None:
    web.files["x"] = capture.read_bytes()
    with pytest.raises(UsageError, match="does not replace a file in one step"):
        fk.open(web.url("x")).trim("1kB", in_place=True)


@pytest.mark.parametrize("where", ["--output", "-o"])
def test_a_web_server_takes_no_files(where: str, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = os.fspath(capture)
    to = ["http://127.0.0.1:1/out"]
    work = ["trim", "1kB", name, where, *to] if where == "--output" else ["extract", name, where, *to]
    assert run(work) == 2
    assert "takes no files" in capfd.readouterr().err


def test_a_capture_that_is_replaced_meanwhile_is_left_alone(
    memory: Any, capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe_file("/x.pcapng", capture.read_bytes())

    def progress(done: int, size: int) -> None:
        memory.pipe_file("/x.pcapng", b"another")

    sync = writing.Upload.sync

    def replaced(self: writing.Upload, like: Any = None) -> None:
        memory.pipe_file("/x.pcapng", b"another")
        sync(self, like)

    monkeypatch.setattr(writing.Upload, "sync", replaced)
    with pytest.raises(fk.BusyError, match="another process wrote it"):
        fk.open("memory://x.pcapng").trim("1kB", in_place=True)
    assert memory.cat_file("/x.pcapng") == b"another"
    assert list(memory.store) == ["/x.pcapng"]


TABLES = [
    ["flows", "{}", "-o", "out.csv"],
    ["flows", "{}", "-o", "out.parquet"],
    ["flows", "{}", "-o", "out.arrow"],
    ["flows", "{}", "--format", "table", "-o", "out.txt"],
    ["hosts", "{}", "-o", "out.csv"],
    ["services", "{}", "-o", "out.ndjson"],
    ["search", "HTTP", "{}", "-o", "out.json"],
    ["extract", "{}", "--flow", "3", "-o", "out.pcapng"],
    ["extract", "{}", "--compress", "zstd", "-o", "out.pcapng.zst"],
    ["learn", "http-like", "{}", "--where", "server_port = 80", "-o", "out.fkmodel"],
    ["trim", "1kB", "{}", "--dry-run", "--report", "out.json"],
]


@pytest.mark.parametrize("args", TABLES, ids=lambda a: f"{a[0]}-{a[-1]}")
def test_every_result_is_written_to_a_url_as_to_a_file(
    args: list[str], store: Store, capture: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name, out = os.fspath(capture), args[-1]
    local, there = tmp_path / out, store.url(out)
    common = [name if a == "{}" else a for a in args[:-1]]
    assert run([*common, os.fspath(local)]) in (0, 1)
    assert run([*common, there]) in (0, 1), capfd.readouterr().err
    assert store.get(out) == local.read_bytes()
    assert store.names() == [out] and store.uploads() == 0


def test_streams_and_splits_go_to_this_machine_alone(memory: Any, capture: Path) -> None:
    with pytest.raises(UsageError, match="folder of this machine"):
        fk.open(capture).streams("memory://out")
    with pytest.raises(UsageError, match="folder of this machine"):
        fk.open(capture).extract("memory://out", split="flow")
    assert not memory.store


def test_a_capture_elsewhere_is_not_replaced_by_accident(store: Store, capture: Path) -> None:
    own = store.put("x.pcapng", capture.read_bytes())
    with pytest.raises(UsageError, match="is one of the captures"):
        fk.open(own).extract(own)
    other = store.put("y.pcapng", capture.read_bytes())
    with pytest.raises(UsageError, match="is a capture: the output would take its place"):
        fk.open(own).extract(other)
    fk.open(own).extract(other, fk.FlowQuery(flows=("3",)), force=True)
    assert 0 < len(store.get("y.pcapng")) < len(store.get("x.pcapng"))
    with pytest.raises(UsageError, match="inside the input"):
        fk.open(store.url("")).trim("1kB", output=store.url("out"))


def test_nothing_is_seen_before_it_is_whole_nor_after_a_failure(store: Store) -> None:
    old = store.put("x", b"old")
    with pytest.raises(ZeroDivisionError), whole(old) as out:
        out.write(bytes(20 << 20))
        out.flush()
        assert store.get("x") == b"old" and store.names() == ["x"]
        1 / 0  # noqa: B018
    assert store.get("x") == b"old" and store.names() == ["x"] and store.uploads() == 0
    with whole(old) as out:
        out.write(b"new" * 10_000_000)
        assert store.get("x") == b"old"
    assert store.get("x") == b"new" * 10_000_000
    with whole(store.url("empty")):
        pass
    assert store.get("empty") == b""
    assert store.names() == ["empty", "x"] and store.uploads() == 0


def test_whole_takes_paths_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole(os.fspath(tmp_path / "x")) as out:
        out.write(b"1")
        1 / 0  # noqa: B018
    assert not list(tmp_path.iterdir())
    with whole(tmp_path / "x") as out:
        out.write(b"1")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_stores_that_rename_get_a_hidden_name_first(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "COMMITS", ())
    monkeypatch.setattr(writing.Upload, "_begun", None)
    with pytest.raises(ZeroDivisionError), whole("memory://d/x") as out:
        out.write(b"some")
        out.flush()
        (hidden,) = memory.store
        assert hidden.startswith("/d/.x.") and hidden.endswith(".flowkeep-part")
        1 / 0  # noqa: B018
    assert not memory.store
    with whole("memory://d/x") as out:
        out.write(b"some")
    assert list(memory.store) == ["/d/x"] and memory.cat_file("/d/x") == b"some"


def test_less_than_was_written_is_an_error(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = memory.pipe_file
    monkeypatch.setattr(
        type(memory), "pipe_file", staticmethod(lambda path, data, **rest: pipe(path, data[:-1], **rest))
    )
    with pytest.raises(OutputError, match="4 bytes were written, 3 are there"), whole("memory://x") as out:
        out.write(b"four")


def test_a_store_that_fails_while_it_is_written_to_leaves_nothing(
    s3: Any, capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_PIECE", 5 << 20)
    call = type(s3).call_s3

    def broken(self: Any, method: str, *args: Any, **rest: Any) -> Any:
        if method in ("upload_part", "put_object"):
            raise PermissionError("not you")
        return call(self, method, *args, **rest)

    monkeypatch.setattr(type(s3), "call_s3", broken)
    with pytest.raises(OutputError, match="the store does not allow it"):
        fk.open(capture).trim("1MB", output="s3://bucket/out")
    monkeypatch.undo()
    assert s3.find("bucket") == [] and not s3.list_multipart_uploads("bucket")


def test_credentials_in_a_url_are_in_no_message_report_or_ledger(
    web: Any, capture: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    web.login = "Basic bWU6Z2VoZWlt"
    web.files["x.pcapng"] = capture.read_bytes()
    url = f"http://me:geheim@127.0.0.1:{web.port}/x.pcapng?token=tokentoken&n=1"
    shown = f"http://me:***@127.0.0.1:{web.port}/x.pcapng?token=***&n=1"
    report = tmp_path / "r.json"
    assert (
        run(
            [
                "trim",
                "1kB",
                url,
                "--output",
                os.fspath(tmp_path / "o"),
                "--ledger",
                "--report",
                os.fspath(report),
            ]
        )
        == 0
    )
    assert json.loads(report.read_text())["files"][0]["path"] == shown
    assert run(["info", url, "--json"]) == 0
    fk.open(url).streams(tmp_path / "streams")
    web.files.clear()
    assert run(["flows", url]) == 3
    web.login = "Basic other"
    assert run(["flows", url]) == 3
    assert run(["flows", url.replace(str(web.port), "1")]) == 3
    assert run(["flows", url.replace("http", "nope")]) == 2
    assert run(["extract", os.fspath(capture), "-o", url]) == 2
    told = capfd.readouterr()
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    text = told.out + told.err + written.decode(errors="replace") + repr(fk.open(capture)) + repr(Url(url))
    assert "geheim" not in text and "tokentoken" not in text and "bWU6Z2VoZWlt" not in text
    assert shown in text


def test_urls_that_differ_in_what_is_hidden_are_two(web: Any, capture: Path) -> None:
    one, two = Url("https://h/x?key=first"), Url("https://h/x?key=second")
    assert one != two and str(one) != str(two) and "first" not in str(one) + str(two)
    assert Url(str(one)) == one and Url(str(two)) == two
