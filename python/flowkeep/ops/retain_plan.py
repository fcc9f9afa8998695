"""``flowkeep retain plan``: what would be done about an archive."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..retain import inventory as stores
from ..retain.archive import Survey, survey
from ..retain.model import DataSet, Decision, Plan, Policy
from ..retain.plan import Room, plan
from ..retain.policy import read_policy
from ..retain.toml import nearest
from ..retain.walk import root

Progress = Callable[[int, int], None]


def load(policy: Policy | str | os.PathLike[str]) -> Policy:
    """A policy, or the one in a file. Raises UsageError, OSError."""
    return policy if isinstance(policy, Policy) else read_policy(policy)


def chosen(policy: Policy, names: Sequence[str]) -> list[DataSet]:
    """The data sets with these names, all without any. Raises UsageError for one there is not."""
    have = [dataset.name for dataset in policy.datasets]
    for name in names:
        if name not in have:
            raise UsageError(
                f"there is no data set {name!r} in the policy{nearest(name, have) or ': ' + ', '.join(have)}"
            )
    return [dataset for dataset in policy.datasets if not names or dataset.name in names]


def room_for(dataset: DataSet) -> Room | None:
    """The file system that a budget of free space is about: that of the first glob."""
    if dataset.budget is None or dataset.budget.disk is not None:
        return None
    place = Path(root(dataset.include[0]))
    while not place.exists() and place != place.parent:
        place = place.parent
    info = os.statvfs(place)
    return Room(info.f_bavail * info.f_frsize, info.f_blocks * info.f_frsize)


def look(
    policy: Policy,
    dataset: DataSet,
    *,
    now: int,
    scan: bool = True,
    keep: bool = True,
    progress: Progress | None = None,
) -> Survey:
    """The files of a data set; what had to be read is noted in the inventory, if ``keep``."""
    store = stores.Inventory(stores.default_path(policy) if keep else None)
    try:
        return survey(dataset, now=now, inventory=store, scan=scan, progress=progress)
    finally:
        store.close()


def plan_archive(
    policy: Policy | str | os.PathLike[str],
    names: Sequence[str] = (),
    *,
    now: int | None = None,
    scan: bool = True,
    keep: bool = True,
    progress: Progress | None = None,
) -> list[Plan]:
    """Plan the data sets of a policy; nothing in the archive is changed.

    ``now`` in nanoseconds since the epoch. Without ``scan`` no whole capture is read, and what is neither in
    a ledger nor in the inventory is taken to stay as large as it is. Raises UsageError, OSError.
    """
    policy = load(policy)
    now = time.time_ns() if now is None else now
    plans = []
    for dataset in chosen(policy, names):
        found = look(policy, dataset, now=now, scan=scan, keep=keep, progress=progress)
        plans.append(
            plan(
                dataset,
                found.files,
                now,
                policy_digest=policy.digest,
                room=room_for(dataset),
                warnings=found.warnings,
            )
        )
    return plans


def action_fields(decision: Decision) -> dict[str, Any]:
    """What is to be done, as it stands in JSON."""
    action = decision.action
    fields: dict[str, Any] = {"action": action.name}
    for name in ("cutoff", "rest", "compress", "emergency"):
        value = getattr(action, name, None)
        if value is not None and value is not False:
            fields[name] = value
    if depths := getattr(action, "depths", ()):
        fields["depths"] = [{"class": d.select or d.service, "cutoff": d.cutoff} for d in depths]
    return fields


def as_dict(made: Plan) -> dict[str, Any]:
    """A plan as JSON has it."""
    return {
        "dataset": made.dataset,
        "now": made.now,
        "policy": made.policy_digest,
        "bytes_before": made.bytes_before,
        "bytes_after": made.bytes_after,
        "allowed": made.allowed,
        "fits": made.fits,
        "hasten": made.hasten,
        "warnings": list(made.warnings),
        "files": [
            {
                "path": d.file.path,
                **action_fields(d),
                "reason": d.reason,
                "first_ts": d.file.first_ts,
                "last_ts": d.file.last_ts,
                "bytes_before": d.bytes_before,
                "bytes_after": d.bytes_after_estimate,
            }
            for d in made.decisions
        ],
    }
