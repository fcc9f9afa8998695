"""The daemon: rounds, signals, a word to systemd, metrics, one at a time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from flowkeep.notify import notify, watchdog_seconds
from flowkeep.retain import system
from flowkeep.retain.metrics import Metrics, serve
from flowkeep.retain.model import Quiet
from flowkeep.retain.wake import Waker

from tests.cli import command
from tests.fault.captures import LEDGER
from tests.retain import archive
from tests.retain.archive import DAY, write_day, write_policy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Old packets: the last tier that cuts holds for all of them.
    text = archive.POLICY.split('[[dataset.nsm.tier]]\nafter = "60d"')[0] + '\n[limits]\ninterval = "1s"\n'
    write_day(tmp_path, 0)
    write_policy(tmp_path, text=text)
    return tmp_path


class Listener:
    """Hears what a daemon tells systemd."""

    def __init__(self, place: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(place))
        self.socket.settimeout(command.DEADLINE)
        self.heard: list[str] = []

    def until(self, words: str) -> str:
        while True:
            text = self.socket.recv(4096).decode()
            self.heard.append(text)
            if words in text:
                return text


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    made = Listener(tmp_path / "notify")
    yield made
    made.socket.close()


def start(folder: Path, *more: str | Path) -> subprocess.Popen[bytes]:
    env = command.ENV | {"NOTIFY_SOCKET": str(folder / "notify")}
    return command.start("retain", "watch", folder / "policy.toml", *more, env=env)


def test_a_daemon_from_start_to_end(folder: Path, listener: Listener) -> None:
    daemon = start(folder, "--metrics", folder / "flowkeep.prom")
    try:
        listener.until("READY=1")
        listener.until("STATUS=nsm")
        assert (folder / "nsm" / ("000.pcap" + LEDGER)).exists()
        second = command.run("retain", "watch", folder / "policy.toml")
        assert second.returncode == 6 and b"another flowkeep retain" in second.stderr
        write_day(folder, 1)
        while not (folder / "nsm" / ("001.pcap" + LEDGER)).exists():
            listener.until("STATUS=nsm")
        broken = (folder / "policy.toml").read_text()
        (folder / "policy.toml").write_text("[dataset")
        daemon.send_signal(signal.SIGHUP)
        listener.until("RELOADING=1")
        listener.until("READY=1")
        (folder / "policy.toml").write_text(broken.replace("1kB", "500B"))
        daemon.send_signal(signal.SIGHUP)
        listener.until("RELOADING=1")
        listener.until("STATUS=nsm")
        daemon.send_signal(signal.SIGTERM)
        listener.until("STOPPING=1")
        _, err = daemon.communicate(timeout=command.DEADLINE)
    finally:
        daemon.kill()
    text = err.decode()
    command.fit(text)
    assert daemon.returncode == 0, text
    assert "the policy stays what it was" in text and "read anew" in text and "000.pcap: cut" in text
    cutoffs = [r["action"]["cutoff"] for r in archive.journal(folder) if r["kind"] == "intent"]
    assert cutoffs == [1000, 1000, 500, 500]
    metrics = (folder / "flowkeep.prom").read_text()
    assert 'flowkeep_retain_files{dataset="nsm",stage="cut"} 2' in metrics
    assert 'flowkeep_retain_actions_total{action="cut",dataset="nsm",outcome="done"}' in metrics


def test_rounds_end_by_themselves_and_nothing_is_left_running(folder: Path) -> None:
    done = command.run("retain", "watch", folder / "policy.toml", "--rounds", "1")
    assert done.returncode == 0, done.stderr.decode()
    assert len(archive.journal(folder)) == 2


def test_metrics_are_told_on_a_port_of_this_machine() -> None:
    metrics = Metrics()
    metrics._set("bytes", 12, dataset='a"b\\c\nd')
    server = serve(metrics, 0)
    try:
        place = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(place + "/metrics", timeout=10) as answer:
            text = answer.read().decode()
        assert text.splitlines()[-1] == 'flowkeep_retain_bytes{dataset="a\\"b\\\\c\\nd"} 12'
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(place + "/etc/passwd", timeout=10)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("hour", "day", "quiet"),
    [
        (7, 0, False),
        (8, 0, True),
        (17, 0, True),
        (18, 0, False),
        (12, 5, False),
        (23, 4, True),
        (3, 5, True),
        (3, 4, False),
    ],
)
def test_quiet_hours(hour: int, day: int, quiet: bool) -> None:
    hours = 3600 * 10**9
    times = (Quiet(8 * hours, 18 * hours, (0, 1, 2, 3)), Quiet(22 * hours, 6 * hours, (4,)))
    monday = 4 * DAY  # 1970-01-05
    assert system.is_quiet(times, monday + day * DAY + hour * hours) == quiet


def test_in_quiet_hours_nothing_is_rewritten(tmp_path: Path) -> None:
    from flowkeep.ops.retain_apply import apply_policy

    write_day(tmp_path, 0)
    write_policy(tmp_path, text=archive.POLICY + '\n[[quiet]]\nfrom = "00:00"\nto = "12:00"\n')
    noon = archive.START_NS // DAY * DAY + DAY // 2
    assert apply_policy(tmp_path / "policy.toml", now=noon + 7 * DAY - DAY // 4).applied[0].count("done") == 0
    assert apply_policy(tmp_path / "policy.toml", now=noon + 7 * DAY).applied[0].count("done") == 1


def test_a_waker_sleeps_no_longer_than_it_is_told(tmp_path: Path) -> None:
    with Waker([str(tmp_path)]) as waker:
        assert not waker.sleep(0.01)
        waker.wake()
        waker.wake()
        assert waker.sleep(command.DEADLINE)
        assert not waker.sleep(0)


def test_systemd_is_told_only_where_it_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify(READY=1)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not notify(READY=1)
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_seconds() == 10
