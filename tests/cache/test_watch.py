"""The live view on a terminal."""

from __future__ import annotations

import codecs
import contextlib
import os
import pty
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import wire
from tests.cache.service import WAIT, Service, running, until
from tests.cli import command

CACHE = 10


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "a.pcap").write_bytes(wire.pcap(wire.udp_dialogue()))
    with running(tmp_path, "--read", tmp_path / "a.pcap") as found:
        yield found


class Screen:
    """A command on a terminal of its own."""

    def __init__(self, columns: int, *args: command.Argument) -> None:
        self.master, slave = pty.openpty()
        env = {**command.ENV, "COLUMNS": str(columns), "LINES": "40", "TERM": "xterm"}
        self.process = command.start(*args, stdin=slave, stdout=slave, stderr=slave, env=env)
        os.close(slave)
        os.set_blocking(self.master, False)
        self.text = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode

    def shows(self, *words: str) -> bool:
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self.master, 1 << 16):
                self.text += self._decode(data)
        return all(word in self.text for word in words)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        os.close(self.master)


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_the_live_view_shows_how_things_are_and_leaves_the_screen_as_it_was(
    service: Service, columns: int
) -> None:
    with Screen(
        columns, "cache", "status", "--watch", "--every", "0.1", "--socket", service.socket
    ) as screen:
        until(lambda: screen.shows("reaches back", "packets/s", "a.pcap", "2 held of 2"), lambda: screen.text)
        screen.text = ""
        until(lambda: screen.shows("reaches back"), lambda: screen.text)  # it looks again
        screen.process.send_signal(signal.SIGINT)
        assert screen.process.wait(WAIT) == 0
        screen.shows()
        assert "\x1b[?1049l" in screen.text
        assert "Traceback" not in screen.text


def test_the_live_view_ends_with_the_cache(service: Service) -> None:
    with Screen(80, "cache", "status", "--watch", "--every", "0.1", "--socket", service.socket) as screen:
        until(lambda: screen.shows("reaches back"), lambda: screen.text)
        service.stop()
        assert screen.process.wait(WAIT) == CACHE
        screen.shows()
        assert "no cache is running there" in screen.text.partition("\x1b[?1049l")[2].replace("\r\n", " ")


def test_lines_of_json_for_programs(service: Service) -> None:
    reading = command.start(
        "cache", "status", "--watch", "--json", "--every", "0.1", "--socket", service.socket
    )
    assert reading.stdout is not None
    lines = [reading.stdout.readline() for _ in range(3)]
    reading.send_signal(signal.SIGINT)
    _, said = reading.communicate(timeout=WAIT)
    assert reading.returncode == 0
    assert said == b""
    assert all(line.startswith(b'{"started": ') for line in lines)
