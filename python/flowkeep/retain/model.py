"""What a policy says, what an archive holds, and what is decided about it.

Frozen values without behaviour. Sizes are bytes, times nanoseconds since the epoch (UTC), durations
nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["cut", "flows-only", "delete"]
LogKind = Literal["eve", "zeek", "text"]


@dataclass(frozen=True)
class Tier:
    """What is left of a file from an age on."""

    after: int | None
    """Age from which it holds; None: only when the budget asks for it."""
    cutoff: int | None = None
    """Bytes kept of each flow; None: all (a tier that only compresses)."""
    rest: str = "cut"
    """What becomes of packets behind the cutoff: ``cut``, ``headers`` or ``sample:K``, as in CutPolicy."""
    kind: Kind = "cut"
    """``flows-only`` keeps the ledger and removes the capture, ``delete`` removes both."""
    compress: Literal["zstd"] | None = None
    line: int = 0
    """Line of the policy, 0: not from a file."""


@dataclass(frozen=True)
class Depth:
    """An allowance of its own for a class of flows; the first that fits a flow counts."""

    cutoff: int | None
    """Bytes kept of each flow of the class; None: all."""
    select: str | None = None
    """The class: flows that match this filter (BPF) in either direction,"""
    service: str | None = None
    """or flows that speak this protocol, as ``flows --identify`` names it."""
    line: int = 0


@dataclass(frozen=True)
class Lock:
    """Flows that are never cut, and whose files are never deleted. Exactly one of the first four is given."""

    filter: str | None = None
    community_ids: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Addresses or networks; flows with an end there."""
    log: str | None = None
    """A log that grows and names flows."""
    kind: LogKind = "text"
    """What the log is."""
    reason: str = ""
    line: int = 0


@dataclass(frozen=True)
class Budget:
    """Room for a data set. Exactly one of ``disk``, ``free`` and ``free_share`` is given."""

    disk: int | None = None
    """Bytes of the data set at most, ledgers included."""
    free: int | None = None
    """Bytes that stay free on its file system,"""
    free_share: float | None = None
    """or this share of it (0.1 is 10 %)."""
    emergency: int = 1_000
    """Bytes kept of each flow by the step before the first file is deleted."""
    headroom: int | None = None
    """Bytes of it that stay unused, for what is written meanwhile; None: twice the largest of the newest
    files, a quarter of the budget at most."""
    line: int = 0


@dataclass(frozen=True)
class DataSet:
    """Files that age together."""

    name: str
    include: tuple[str, ...]
    """Globs; ``**`` is any number of folders. Absolute."""
    exclude: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = ()
    """From gentle to tight."""
    budget: Budget | None = None
    depths: tuple[Depth, ...] = ()
    locks: tuple[Lock, ...] = ()
    keep: tuple[str, ...] = ()
    """Analyses written beside a file before it is first cut: ``flows``, ``streams:sha256``, ``services``."""
    settle: int = 60_000_000_000
    """A file is left alone until so long after its last change."""
    line: int = 0


@dataclass(frozen=True)
class Quiet:
    """A time of day (UTC) in which nothing is rewritten; an end before its start is on the next day."""

    start: int
    """Nanoseconds since midnight."""
    end: int
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    """Days on which it starts, 0 is Monday."""


@dataclass(frozen=True)
class Limits:
    """What the work may take of the machine."""

    rate: int | None = None
    """Bytes read a second at most."""
    ionice: Literal["idle", "best-effort", "none"] = "idle"
    nice: int = 10
    jobs: int = 1
    """Threads; 0: one per core."""
    interval: int = 60_000_000_000
    """How often the daemon plans anew."""


@dataclass(frozen=True)
class Policy:
    """A policy file."""

    path: str
    digest: str
    """SHA-256 of its text, hex."""
    datasets: tuple[DataSet, ...]
    quiet: tuple[Quiet, ...] = ()
    limits: Limits = field(default_factory=Limits)
    journal: str | None = None
    """Where actions are written down; None: ``flowkeep-retain.jsonl`` beside the policy."""
    inventory: str | None = None
    """Where what is known of the files is kept between runs; None: a folder of the user's cache."""


@dataclass(frozen=True)
class Stage:
    """How far a file has aged."""

    kind: Literal["whole", "cut", "flows-only"] = "whole"
    cutoff: int | None = None
    """Smallest cutoff it was ever trimmed by; None: never, or not comparable."""
    rest: str = "cut"
    depths: tuple[Depth, ...] = ()
    """As its last trimming said; lines are 0."""
    compression: str | None = None
    """``gzip``, ``zstd`` …; None: plain."""


@dataclass(frozen=True)
class Sizes:
    """What a file holds, and what each cutoff would leave of it."""

    packets: int
    held: int
    """Captured bytes that are there."""
    flows: int
    original_packets: int
    original_held: int
    """Captured bytes before it was ever trimmed."""
    curve: bytes
    """Captured bytes, packets and whole flows at each cutoff, packed: see :mod:`flowkeep.retain.sizes`."""
    classes: tuple[tuple[int, int, bytes], ...] = ()
    """Of the flows in each class of the depths, and last of the locked ones: bytes, packets, curve. They are
    a part of the curve above."""


@dataclass(frozen=True)
class FileState:
    """One file of an archive as it stands now."""

    path: str
    """Of the capture, also when only its ledger is left."""
    device: int = 0
    inode: int = 0
    size: int = 0
    """Bytes of the capture; 0 when only its ledger is left."""
    mtime_ns: int = 0
    first_ts: int | None = None
    """Time of its first packet; None: it never had one, or it is not known (see ``problem``)."""
    last_ts: int | None = None
    stage: Stage = field(default_factory=Stage)
    ledger: str | None = None
    ledger_size: int = 0
    growing: bool = False
    problem: str | None = None
    """Why nothing can be decided about it: it is no capture, cannot be read, lies outside …"""
    sizes: Sizes | None = None
    """None: not known yet; its bytes are then taken to stay."""


@dataclass(frozen=True)
class Keep:
    """The file stays as it is."""

    name: Literal["keep"] = "keep"


@dataclass(frozen=True)
class Cut:
    """Each flow is cut to its first bytes, but for the locked ones."""

    cutoff: int
    rest: str = "cut"
    depths: tuple[Depth, ...] = ()
    compress: Literal["zstd"] | None = None
    """None: compressed as it is."""
    emergency: bool = False
    name: Literal["cut"] = "cut"


@dataclass(frozen=True)
class FlowsOnly:
    """The capture goes, its ledger stays (it is made first where there is none)."""

    name: Literal["flows-only"] = "flows-only"


@dataclass(frozen=True)
class Compress:
    """The same packets, compressed."""

    compress: Literal["zstd"] = "zstd"
    name: Literal["compress"] = "compress"


@dataclass(frozen=True)
class Delete:
    """Capture and ledger go. Whoever carries it out looks for locked flows first."""

    emergency: bool = False
    name: Literal["delete"] = "delete"


Action = Keep | Cut | FlowsOnly | Compress | Delete


@dataclass(frozen=True)
class Decision:
    """What is to become of a file, and why."""

    file: FileState
    action: Action
    reason: str
    bytes_before: int
    """Capture and ledger."""
    bytes_after_estimate: int


@dataclass(frozen=True)
class Plan:
    """What is to be done about a data set at a moment.

    Decisions stand in order of the files' first packets, oldest first; they are carried out in this order.
    """

    now: int
    policy_digest: str
    dataset: str
    decisions: tuple[Decision, ...]
    bytes_before: int
    bytes_after: int
    warnings: tuple[str, ...] = ()
    allowed: int | None = None
    """The budget in bytes at this moment; None: there is none."""
    hasten: float | None = None
    """The ages of the tiers were multiplied by this to fit the budget; None: as the policy says."""
    fits: bool = True
