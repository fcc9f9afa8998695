"""``flowkeep retain apply`` and ``verify``: carry a policy out, and check an archive against its journal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..errors import UsageError
from ..flow import ReadOptions
from ..paths import find
from ..retain import system
from ..retain.apply import Applied, Applier, hurried, only_removals
from ..retain.journal import Journal
from ..retain.locks import LockBook
from ..retain.model import DataSet, Plan, Policy
from ..retain.plan import plan as make_plan
from ..retain.steps import ANALYSES
from ..retain.verify import VerifyReport
from ..retain.verify import verify as verify_journal
from ..sink.atomic import Part
from . import retain_plan

JOURNAL = "flowkeep-retain.jsonl"
Progress = Callable[[int, int], None]


@dataclass
class ApplyReport:
    """What was done about an archive."""

    applied: list[Applied] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    """Actions that an earlier process had begun, and how they ended."""
    warnings: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing failed, was left or is odd."""
        return not self.warnings and all(a.clean and not a.plan.warnings for a in self.applied)


def journal_path(policy: Policy) -> Path:
    """Where the journal of a policy is."""
    if policy.journal is not None:
        return Path(policy.journal)
    return Path(policy.path).absolute().with_name(JOURNAL)


def locks_path(journal: Path) -> Path:
    """Where it is kept which flows logs have named."""
    return journal.with_name(journal.name + ".locks")


class Keeper:
    """Keeps an archive by a policy: plans and applies, as often as it is asked to."""

    def __init__(
        self,
        policy: Policy,
        *,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Take the journal, and see how what was begun has ended.

        Raises BusyError, DamagedError, OutputError."""
        self.policy, self.clock, self.stop = policy, clock, stop
        self.journal = Journal(journal_path(policy), clock=clock)
        try:
            self.applier = Applier(self.journal, limits=policy.limits, analyse=analyse, stop=stop)
            self.locks = LockBook(locks_path(self.journal.path))
            self.recovered = self.applier.recover()
        except BaseException:
            self.journal.close()
            raise

    def change(self, policy: Policy) -> None:
        """Go on by another policy. Raises UsageError when its journal is another one."""
        if journal_path(policy) != self.journal.path:
            raise UsageError("the journal cannot be changed while it is being written: start anew")
        self.policy, self.applier.limits = policy, policy.limits

    def plan(self, dataset: DataSet, progress: Progress | None = None) -> Plan:
        """What is to be done now about a data set. Files are read only when a budget needs to know them."""
        now = self.clock()
        scan = dataset.budget is not None
        found = retain_plan.look(self.policy, dataset, now=now, scan=scan, progress=progress)
        return make_plan(
            dataset, found.files, now, policy_digest=self.policy.digest,
            room=retain_plan.room_for(dataset), warnings=found.warnings,
        )  # fmt: skip

    def apply(self, dataset: DataSet, plan: Plan, progress: Progress | None = None) -> Applied:
        """Carry a plan out; in quiet hours only what removes files, unless the budget presses."""
        if system.is_quiet(self.policy.quiet, plan.now) and not hurried(plan):
            plan = only_removals(plan)
        locks = self.locks.of(dataset)
        applied = self.applier.apply(dataset, plan, locks, progress=progress)
        applied.warnings += self.locks.warnings
        self.locks.warnings = []
        self.journal.replenish()
        return applied

    def close(self) -> None:
        """Let others have the journal."""
        self.journal.close()


def apply_policy(
    policy: Policy | str | os.PathLike[str],
    names: Sequence[str] = (),
    *,
    now: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    reading: Progress | None = None,
    progress: Progress | None = None,
) -> ApplyReport:
    """Plan the data sets of a policy and carry the plans out. ``now`` in nanoseconds since the epoch.

    Raises UsageError, BusyError when another process works on the archive, DamagedError for a journal that
    was changed, OutputError when it cannot be written.
    """
    policy = retain_plan.load(policy)
    datasets = retain_plan.chosen(policy, names)
    report = ApplyReport(warnings=system.lower(policy.limits))
    keeper = Keeper(policy, stop=stop, clock=time.time_ns if now is None else lambda: now)
    try:
        report.recovered = keeper.recovered
        for dataset in datasets:
            if stop():
                break
            made = keeper.plan(dataset, reading)
            report.applied.append(keeper.apply(dataset, made, progress))
    finally:
        keeper.close()
    return report


def analyse(path: Path, what: str) -> None:
    """Write an analysis beside a capture as Parquet, unless it is there. Raises FlowkeepError, OSError."""
    target = path.with_name(path.name + ANALYSES[what])
    if target.exists():
        return
    from ..sink.tables import write_parquet
    from .flows import list_flows
    from .services import list_services

    found = find([path])
    write: Callable[[IO[bytes]], object]
    if what == "flows":
        flows = list_flows(found, ReadOptions(), identify=True)
        write = lambda out: write_parquet(flows, out)  # noqa: E731
    elif what == "services":
        services = list_services(found, ReadOptions())
        write = lambda out: write_parquet(services, out)  # noqa: E731
    else:
        frame = _stream_digests(path)
        write = lambda out: frame.write_parquet(out)  # type: ignore[attr-defined]  # noqa: E731
    with Part(target) as part:
        with part.part.open("wb") as out:
            write(out)
        part.sync()
        part.commit()


def _stream_digests(path: Path) -> object:
    """The SHA-256 of every stream of a capture, as a data frame."""
    import json
    import tempfile

    import polars as pl

    from ..select.query import FlowQuery
    from .streams import StreamsPlan, streams

    # Beside the capture: the streams are about as large as it is, and /tmp may be memory.
    with tempfile.TemporaryDirectory(prefix=".flowkeep-streams-", dir=path.parent) as folder:
        out = Path(folder) / "streams"
        streams(find([path]), FlowQuery(), StreamsPlan(out))
        manifest = json.loads((out / "streams.json").read_text(encoding="utf-8"))
    rows = [
        (flow["flow_id"], flow["community_id"], way, piece["offset"], piece["bytes"], piece["sha256"])
        for flow in manifest["flows"]
        for way in ("client", "server")
        for piece in (flow.get(way) or {}).get("files", ())
    ]
    schema = {
        "flow_id": pl.UInt64, "community_id": pl.String, "from": pl.String, "offset": pl.UInt64,
        "bytes": pl.UInt64, "sha256": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def verify(
    policy: Policy | str | os.PathLike[str], *, digests: bool = True, progress: Progress | None = None
) -> VerifyReport:
    """Check the archive of a policy against its journal. Raises UsageError, OSError."""
    return verify_journal(journal_path(retain_plan.load(policy)), digests=digests, progress=progress)
