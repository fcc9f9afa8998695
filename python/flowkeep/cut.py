"""What is kept of each flow."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, Literal

from .depths import Depth, Lock, native
from .errors import UsageError
from .units import parse_size

Count = Literal["frame", "wire", "payload"]


@dataclass(frozen=True)
class CutPolicy:
    """What is kept of each flow.

    A packet is kept if the flow's total up to and including it is at most ``cutoff`` bytes. All packets
    of the flow count, kept or cut. TCP packets with SYN, FIN or RST stay anyway.
    """

    cutoff: int
    """Bytes of a flow, both directions together; text such as ``"100kB"`` is read as bytes."""
    count: Count = "frame"
    """What is counted: captured frame bytes, original (wire) bytes, or transport payload."""
    per_direction: bool = False
    """Each direction of a flow has an allowance of its own."""
    control: Literal["keep", "drop"] = "keep"
    """Whether TCP SYN, FIN and RST are kept behind the cutoff."""
    rest: str = "cut"
    """What becomes of packets behind the cutoff: ``cut``, ``headers`` (kept as header-only records
    with their true original length) or ``sample:K`` (every K-th is kept whole)."""
    tail: int = 0
    """Also keep the last bytes of each flow."""
    compat: Literal["trimpcap"] | None = None
    """``trimpcap``: decide packet for packet as TrimPCAP 1.3."""
    depths: tuple[Depth, ...] = ()
    """Classes of flows with a cutoff of their own; the first that fits a flow counts."""
    locks: tuple[Lock, ...] = ()
    """Flows that are not cut at all; they come before the depths."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        for name in ("cutoff", "tail"):
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, parse_size(getattr(self, name)))
        if self.cutoff < 0 or self.tail < 0:
            raise UsageError("a cutoff and a tail are at least 0 bytes")
        _sample(self.rest)
        others = (self.count, self.per_direction, self.control, self.rest, self.tail, self.depths, self.locks)
        if self.compat and others != ("frame", False, "keep", "cut", 0, (), ()):
            raise UsageError("--compat trimpcap has its own rules: it goes with no other option of the cut")
        if self.tail and self.rest != "cut":
            raise UsageError("--tail goes with --rest cut only")

    @property
    def sample(self) -> int:
        """K of ``sample:K``, 0 for the other rests."""
        return _sample(self.rest)

    @classmethod
    def of(cls, cutoff: CutPolicy | int | str) -> CutPolicy:
        """The policy itself, or the plain policy of a cutoff such as ``"100kB"``."""
        return cutoff if isinstance(cutoff, CutPolicy) else cls(parse_size(cutoff))

    @property
    def identifies(self) -> bool:
        """Whether it must be known what the flows speak."""
        return any(depth.service is not None for depth in self.depths)

    def native(self) -> dict[str, Any]:
        """Arguments of the native trimmer about depths and locks."""
        return native(self.depths, self.locks)

    def as_dict(self) -> dict[str, Any]:
        """The policy as it stands in reports; depths and locks only when there are any."""
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("depths", "locks"):
            rules = shown.pop(name)
            if rules:
                shown[name] = [rule.as_dict() for rule in rules]
        return shown

    def as_json(self) -> str:
        """The policy as it stands in ledgers."""
        return json.dumps(self.as_dict(), sort_keys=True)


def _sample(rest: str) -> int:
    if rest in ("cut", "headers"):
        return 0
    kind, _, k = rest.partition(":")
    if kind != "sample" or not k.isdecimal() or not 1 <= int(k) < 1 << 63:
        raise UsageError(f"--rest {rest!r} is none of: cut, headers, sample:K (K at least 1)")
    return int(k)
