"""A policy file (TOML): which files age together, through which tiers, within which budget.

``docs/guide/retain.md`` describes the keys. Every message names file, line and key.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from pathlib import Path
from typing import Any

from .. import _native
from ..cut import CutPolicy
from ..errors import UsageError
from ..text import safe
from ..units import cutoff as cutoff_text
from ..units import parse_seconds, parse_size
from .model import Budget, DataSet, Depth, Kind, Limits, Lock, Policy, Quiet, Tier
from .toml import Source, Table, nearest

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LAST: tuple[Kind, ...] = ("flows-only", "delete")
ANALYSES = ("flows", "streams:sha256", "services")
LADDER = tuple(Tier(None, n * 10**e) for e, n in ((6, 10), (6, 3), (6, 1), (5, 3), (5, 1), (4, 3), (4, 1)))
"""The tiers of a data set that has a budget and none of its own: 10 MB, 3 MB … 10 kB a flow."""
LARGEST = 1 << 20
"""Bytes of a policy file at most."""


def read_policy(path: str | os.PathLike[str]) -> Policy:
    """Read and check a policy file.

    Raises UsageError, with file, line and key; OSError.
    """
    place = Path(path)
    with place.open("rb") as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise UsageError(f"{safe(place)}: a policy of more than {LARGEST:,} bytes is none")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{safe(place)}:{line}: byte {error.start} is not UTF-8, which TOML is") from None
    return parse_policy(text, os.fspath(place))


def parse_policy(text: str, name: str = "policy.toml") -> Policy:
    """A policy from its text. Relative paths are looked up from the folder of the file.

    Raises UsageError.
    """
    source = Source(name, text)
    folder = Path(name).absolute().parent
    top = source.table()

    def placed(value: object) -> str:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError
        return os.path.normpath(folder / Path(value).expanduser())

    journal = top.read("journal", lambda v: placed(v), None, "the path of a file")
    inventory = top.read("inventory", lambda v: placed(v), None, "the path of a file")
    limits = _limits(top.inner("limits"))
    quiet = tuple(_quiet(table) for table in top.several("quiet"))
    sets = top.inner("dataset")
    if sets is None:
        top.done()
        top.wrong('there is no data set: write [dataset.NAME] with include = "/path/*.pcap"')
    datasets = []
    for key in sets.data:
        inner = sets.inner(key)
        assert inner is not None
        datasets.append(_dataset(key, inner, folder))
    if not datasets:
        sets.wrong("there is no data set in it: write [dataset.NAME]")
    top.done()
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Policy(name, digest, tuple(datasets), quiet, limits, journal, inventory)


def _limits(table: Table | None) -> Limits:
    if table is None:
        return Limits()
    plain = Limits()

    def rate(value: object) -> int:
        return _positive(parse_size(re.sub(r"\s*/\s*s\s*$", "", str(value))))

    found = Limits(
        rate=table.read("rate", rate, plain.rate, "a rate such as 100MB, in bytes a second"),
        ionice=table.choice("ionice", ("idle", "best-effort", "none"), plain.ionice),  # type: ignore[arg-type]
        nice=table.read("nice", lambda v: _within(v, 0, 19), plain.nice, "a number from 0 to 19"),
        jobs=table.read(
            "jobs", lambda v: _within(v, 0, 1024), plain.jobs, "a number of threads, 0: all cores"
        ),
        interval=table.read("interval", _interval, plain.interval, "a duration of at least a second"),
    )
    table.done()
    return found


def _interval(value: object) -> int:
    ns = _duration(value)
    if ns < 1_000_000_000:
        raise ValueError
    return ns


def _positive(n: int) -> int:
    if n <= 0:
        raise ValueError
    return n


def _within(value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError
    return value


def _duration(value: object) -> int:
    if not isinstance(value, str):
        raise UsageError(f'{value!r} is not a duration: write it with a unit, such as "3d", "12h", "90s"')
    try:
        return parse_seconds(value)
    except UsageError:
        raise UsageError(
            f'{safe(value)!r} is not a duration: write a number and s, min, h or d, such as "3d", "12h"'
        ) from None


def _size(value: object) -> int:
    if not isinstance(value, (str, int)):
        raise UsageError(f'{value!r} is not a size: write bytes such as 102400, "100kB", "1MB", "2TB"')
    return parse_size(value)


def _quiet(table: Table) -> Quiet:
    def time(value: object) -> int:
        found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)|24:00", str(value), re.ASCII)
        if not found:
            raise ValueError
        return (24 * 60 if found[1] is None else int(found[1]) * 60 + int(found[2])) * 60_000_000_000

    start = table.read("from", time, None, 'a time of day (UTC) such as "08:00"')
    end = table.read("to", time, None, 'a time of day (UTC) such as "18:00"')
    days = table.texts("days") or DAYS
    for day in days:
        if day not in DAYS:
            table.wrong(f"{day!r} is none of: {', '.join(DAYS)}{nearest(day, DAYS)}", "days")
    table.done()
    if start is None or end is None:
        table.wrong('quiet hours have a beginning and an end: write from = "08:00" and to = "18:00"')
    if start == end:
        table.wrong("quiet hours end when they begin: then nothing would ever be done, or always")
    return Quiet(start, end, tuple(sorted({DAYS.index(day) for day in days})))


def _dataset(name: str, table: Table, folder: Path) -> DataSet:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name, re.ASCII):
        table.wrong("the name of a data set is of letters, digits, _ . and -, 64 at most")
    include = tuple(os.path.normpath(folder / Path(g).expanduser()) for g in table.texts("include"))
    if not include:
        table.wrong('it names no files: write include = "/path/**/*.pcap"')
    exclude = tuple(os.path.normpath(folder / Path(g).expanduser()) for g in table.texts("exclude"))
    keep = table.texts("keep")
    for one in keep:
        if one not in ANALYSES:
            table.wrong(f"{safe(one)!r} is none of: {', '.join(ANALYSES)}{nearest(one, ANALYSES)}", "keep")
    settle = table.read("settle", _duration, DataSet.settle, "a duration")
    budget = _budget(table.inner("budget"))
    tiers = tuple(_tier(one) for one in table.several("tier"))
    _only_tighten(table, tiers)
    depths = _depths(table.inner("depth"))
    locks = tuple(_lock(one, folder) for one in table.several("lock"))
    table.done()
    if budget is None:
        for i, tier in enumerate(tiers):
            if tier.after is None:
                path = (*table.path, "tier", i)
                table.source.wrong(path, 'it says no age, and there is no budget: write after = "3d"')
        if not tiers:
            table.wrong("it has neither tiers nor a budget: nothing would ever be done")
    elif not any(tier.kind == "cut" and tier.cutoff is not None for tier in tiers):
        tiers = LADDER + tiers
    return DataSet(name, include, exclude, tiers, budget, depths, locks, keep, settle, table.line)


def _budget(table: Table | None) -> Budget | None:
    if table is None:
        return None
    disk = table.read("disk", lambda v: _positive(_size(v)), None, "a size above 0")
    free = table.raw("free", (str, int), 'a share such as "10%" or a size such as "50GB"')
    share = None
    if isinstance(free, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", free, re.ASCII)):
        share, free = float(found[1]) / 100, None
        if not 0 < share < 1:
            table.wrong("a share of the disk is more than 0 % and less than 100 %", "free")
    elif free is not None:
        free = table.read("free", lambda v: _positive(_size(v)), None, 'a share such as "10%" or a size')
    if (disk is None) == (free is None and share is None):
        table.wrong('a budget is disk = "2TB" or free = "10%", one of them')
    emergency = table.read("emergency", _size, Budget.emergency, "a size")
    headroom = table.read("headroom", _size, None, "a size")
    table.done()
    if disk is not None and headroom is not None and headroom >= disk:
        table.wrong("it is as large as the budget: nothing could be kept", "headroom")
    return Budget(disk, free, share, emergency, headroom, table.line)


def _tier(table: Table) -> Tier:
    after = table.read("after", _duration, None, "a duration")
    rest: str | None = table.raw("rest", (str,), "cut, headers or sample:K")
    if rest is not None:
        try:
            CutPolicy(0, rest=rest)
        except UsageError as error:
            table.wrong(str(error).removeprefix("--"), "rest")
    compress = table.choice("compress", ("zstd",), None)
    cutoff = table.read("cutoff", _size, None, "a size")
    kind: Kind = "cut"
    for word in _LAST:
        if table.raw(word, (bool,), "true or false"):
            if kind != "cut":
                table.wrong(f"this tier says twice what is kept: {kind} and {word}", word)
            kind = word
    table.done()
    if kind != "cut" and (cutoff is not None or rest is not None or compress is not None):
        table.wrong("a tier that keeps no packets has no cutoff, rest or compress")
    if rest is not None and cutoff is None:
        table.wrong(
            "it says what becomes of packets behind a cutoff, and there is none: write cutoff", "rest"
        )
    if kind == "cut" and cutoff is None and compress is None:
        table.wrong(
            'it does nothing: write cutoff = "1MB", compress = "zstd", flows-only = true or delete = true'
        )
    return Tier(after, cutoff, rest or "cut", kind, compress, table.line)  # type: ignore[arg-type]


def looseness(rest: str) -> tuple[int, int]:
    """Orders what becomes of packets behind a cutoff: the more is left, the greater."""
    if rest.startswith("sample:"):
        return 2, -int(rest.partition(":")[2])
    return ("cut", "headers").index(rest), 0


def _only_tighten(table: Table, tiers: tuple[Tier, ...]) -> None:
    kinds = ("cut", "flows-only", "delete")
    before: Tier | None = None
    cut: Tier | None = None
    age = -1
    for i, tier in enumerate(tiers):
        path = (*table.path, "tier", i)
        if before is not None and kinds.index(tier.kind) < kinds.index(before.kind):
            table.source.wrong(
                path, f"it comes after a tier that keeps less ({before.kind}, line {before.line})"
            )
        if before is not None and tier.kind != "cut" and tier.kind == before.kind:
            table.source.wrong(path, f"there is such a tier already, on line {before.line}")
        if tier.after is not None:
            if tier.after <= age:
                table.source.wrong(path, "tiers stand in order of age, each after the one before it")
            age = tier.after
        if tier.cutoff is not None:
            if cut is not None and cut.cutoff is not None:
                here = (tier.cutoff, looseness(tier.rest))
                there = (cut.cutoff, looseness(cut.rest))
                same = here == there and tier.compress and not cut.compress
                if tier.cutoff > cut.cutoff or (here >= there and not same):
                    table.source.wrong(
                        path,
                        f"{cutoff_text(tier.cutoff)} ({tier.rest}) is not tighter than "
                        f"{cutoff_text(cut.cutoff)} ({cut.rest}) on line {cut.line}: what is cut "
                        "does not come back",
                    )
            cut = tier
        before = tier


def _depths(table: Table | None) -> tuple[Depth, ...]:
    if table is None:
        return ()
    labels = {row[1] for row in _native.protocols()}
    found = []
    for key in table.data:
        cutoff = table.read(key, lambda v: None if v == "all" else _size(v), None, 'a size or "all"')
        line = table.source.line((*table.path, key))
        if key.lower() in labels:
            found.append(Depth(cutoff, service=key.lower(), line=line))
            continue
        if why := _no_filter(key):
            near = nearest(key, sorted(labels))
            table.wrong(f"it is no protocol (flowkeep protocols lists them) and no filter: {why}{near}", key)
        found.append(Depth(cutoff, select=key, line=line))
    return tuple(found)


def _no_filter(expression: str) -> str | None:
    """Why an expression cannot choose flows, None: it can."""
    from ..select.libpcap import compile_for_flows

    try:
        compile_for_flows(expression)
    except UsageError as error:
        return str(error)
    return None


def _lock(table: Table, folder: Path) -> Lock:
    expression = table.raw("filter", (str,), "a filter")
    ids, hosts = table.texts("community_id"), table.texts("host")
    log = table.raw("log", (str,), "the path of a log")
    kind = table.choice("kind", ("eve", "zeek", "text"), None)
    reason = table.raw("reason", (str,), "a text") or ""
    table.done()
    if sum(map(bool, (expression, ids, hosts, log))) != 1:
        table.wrong("a lock is one of filter, community_id, host and log")
    if kind is not None and not log:
        table.wrong("it says what a log is, and there is no log", "kind")
    if expression and (why := _no_filter(expression)):
        table.wrong(why, "filter")
    for one in ids:
        if not re.fullmatch(r"1:[A-Za-z0-9+/]{27}=", one):
            table.wrong(
                f"{safe(one)!r} is not a Community ID: it begins with 1: and ends with =", "community_id"
            )
    for one in hosts:
        try:
            ipaddress.ip_network(one, strict=False)
        except ValueError:
            table.wrong(f"{safe(one)!r} is neither an address nor a network", "host")
    if log:
        log = os.path.normpath(folder / Path(log).expanduser())
        if kind is None:
            kind = "eve" if "eve" in Path(log).name else "zeek" if Path(log).suffix == ".log" else "text"
    return Lock(expression or None, ids, hosts, log, kind or "text", reason, table.line)  # type: ignore[arg-type]
