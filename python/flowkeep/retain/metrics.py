"""What the daemon knows, in the text format of Prometheus: as a file for its node exporter, and on a port."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ..prometheus import TYPE, Sample, page
from ..sink.atomic import Part
from .apply import Applied
from .model import Keep, Plan

_HELP = {
    "bytes": "Bytes of the data set, captures and ledgers",
    "allowed_bytes": "Bytes that the budget allows now",
    "files": "Captures by stage",
    "oldest_packet_seconds": "Time of the oldest packet",
    "growing_files": "Files that are still being written",
    "problem_files": "Files that nothing can be decided about",
    "fits": "1: what was planned fits the budget",
    "actions_total": "Actions by kind and outcome",
    "freed_bytes_total": "Bytes won",
    "last_run_seconds": "Time of the last run",
    "runs_total": "Runs",
}


_Rows = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def _families(rows: _Rows) -> Iterator[tuple[str, str, str, list[Sample]]]:
    """Name, kind, meaning and samples of what is known."""
    for name, what in _HELP.items():
        own = sorted((labels, value) for (of, labels), value in rows.items() if of == name)
        whole = ((labels, int(value) if float(value).is_integer() else value) for labels, value in own)
        if own:
            yield (
                name,
                "counter" if name.endswith("_total") else "gauge",
                what,
                [(dict(i), n) for i, n in whole],
            )


class Metrics:
    """Numbers that are told to whoever asks."""

    def __init__(self) -> None:
        """Nothing known yet."""
        self._gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._counters: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        self._lock = threading.Lock()

    def _set(self, name: str, value: float, **labels: str) -> None:
        self._gauges[(name, tuple(sorted(labels.items())))] = value

    def planned(self, plan: Plan) -> None:
        """Note what a plan found."""
        own = {"dataset": plan.dataset}
        stages: Counter[str] = Counter(d.file.stage.kind for d in plan.decisions if d.file.problem is None)
        first = [d.file.first_ts for d in plan.decisions if d.file.first_ts is not None]
        with self._lock:
            self._set("bytes", plan.bytes_before, **own)
            if plan.allowed is not None:
                self._set("allowed_bytes", plan.allowed, **own)
            for stage in ("whole", "cut", "flows-only"):
                self._set("files", stages[stage], stage=stage, **own)
            if first:
                self._set("oldest_packet_seconds", min(first) / 1e9, **own)
            self._set("growing_files", sum(d.file.growing for d in plan.decisions), **own)
            self._set("problem_files", sum(d.file.problem is not None for d in plan.decisions), **own)
            self._set("fits", int(plan.fits), **own)

    def applied(self, applied: Applied) -> None:
        """Note what was done."""
        name = applied.plan.dataset
        with self._lock:
            for outcome in applied.outcomes:
                if not isinstance(outcome.decision.action, Keep):
                    labels = {
                        "action": outcome.decision.action.name,
                        "dataset": name,
                        "outcome": outcome.state,
                    }
                    self._counters[("actions_total", tuple(sorted(labels.items())))] += 1
            own = (("dataset", name),)
            self._counters[("freed_bytes_total", own)] += max(applied.freed, 0)
            self._counters[("runs_total", own)] += 1
            self._set("bytes", applied.plan.bytes_before - applied.freed, dataset=name)
            self._set("last_run_seconds", applied.plan.now / 1e9, dataset=name)

    def text(self) -> str:
        """All of it, in the text format."""
        with self._lock:
            rows = {**self._gauges, **self._counters}
        return page("flowkeep_retain", _families(rows))

    def write(self, path: Path) -> None:
        """Write them as a file, in one step. Raises OutputError."""
        with Part(path) as part:
            part.part.write_text(self.text(), encoding="utf-8")
            part.sync()
            part.commit()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        if self.path not in ("/metrics", "/"):
            self.send_error(404)
            return
        body = self.server.metrics.text().encode()
        self.send_response(200)
        self.send_header("Content-Type", TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing about who asked."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], metrics: Metrics) -> None:
        super().__init__(address, _Handler)
        self.metrics = metrics


def serve(metrics: Metrics, port: int, host: str = "127.0.0.1") -> _Server:
    """Answer on a port of this machine, beside all else. Raises OSError."""
    server = _Server((host, port), metrics)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
