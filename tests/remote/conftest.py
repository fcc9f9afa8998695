"""Stores for tests: a web server, the memory of this process, an S3 that moto plays."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest
from flowkeep.cut import CutPolicy
from flowkeep.ops.demo import make
from flowkeep.places import reading

from tests.remote.server import Web, serving

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'flowkeep[remote]'")


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some thousand packets of all kinds."""
    folder = tmp_path_factory.mktemp("made")
    path = make(folder, 3_000_000)
    assert CutPolicy.of("1kB") is not None and path.stat().st_size > 2_000_000
    return path


@pytest.fixture(scope="session")
def flows(capture: Path) -> Any:
    """The flows of it."""
    return fk.open(capture).flows().to_polars()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A web server; what fails is tried again at once."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed, which http:// needs")
    monkeypatch.setattr(reading, "PAUSE", 0.0001)
    with serving() as server:
        yield server
    fsspec.get_filesystem_class("http").clear_instance_cache()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that a small capture has many."""
    monkeypatch.setattr(reading, "HEAD", 70_000)
    monkeypatch.setattr(reading, "BLOCK", 200_000)


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's files in memory."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3 on loopback."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed: there is no S3 to test with")
    pytest.importorskip("s3fs", reason="s3fs is not installed, which s3:// needs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = moto.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket ``bucket``."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "verysecretkey")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    kind = fsspec.get_filesystem_class("s3")
    kind.clear_instance_cache()
    fs = fsspec.filesystem("s3")
    if fs.exists("bucket"):
        fs.rm("bucket", recursive=True)
    fs.mkdir("bucket")
    yield fs
    kind.clear_instance_cache()
