"""Flows that have a cutoff of their own, and flows that are never cut."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import _native
from .errors import UsageError
from .select.libpcap import compile_for_flows
from .select.tuples import COMMUNITY_ID
from .units import cutoff as size_text
from .units import parse_size

MAX_RULES = 254
"""Depths and locks of one trimming: the native core numbers them in a byte."""
_BPF = "bpf:"
_NETWORKS_AT_ONCE = 60
"""Networks that are joined to one filter: libpcap's time grows with the square of its length."""

Which = tuple[bytes, bool] | int | tuple[str, Sequence[str]]
Rule = tuple[Which, int | None, str]
"""Which flows, their cutoff (None: they are not cut), and what ledgers call the rule."""


@dataclass(frozen=True)
class Depth:
    """A cutoff for a class of flows. Exactly one of ``select`` and ``service`` is given."""

    cutoff: int | None
    """Bytes of a flow that are kept; None: all."""
    select: str | None = None
    """The flows that match this filter (BPF) in either direction."""
    service: str | None = None
    """The flows that speak this protocol, as ``flows --identify`` names it."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        if (self.select is None) == (self.service is None):
            raise UsageError("a depth is for a filter or for a service: give one of them")
        if self.cutoff is not None and self.cutoff < 0:
            raise UsageError("a depth is at least 0 bytes")
        if self.select is not None:
            compile_for_flows(self.select)
        elif self.service is not None and self.service.partition("/")[0] not in _labels():
            raise UsageError(
                f"depth {self.service!r}: there is no such protocol; flowkeep protocols lists them, "
                "and filters are written bpf:EXPRESSION=SIZE"
            )

    @classmethod
    def of(cls, text: Depth | str) -> Depth:
        """The depth of a text: ``tls=64kB``, ``dns=all``, ``bpf:host 10.0.0.5=1MB``. Raises UsageError."""
        if isinstance(text, Depth):
            return text
        what, equals, size = text.rpartition("=")
        if not equals or not what.strip():
            raise UsageError(
                f"depth {text!r}: write SERVICE=SIZE or bpf:EXPRESSION=SIZE, where SIZE may be all"
            )
        cutoff = None if size.strip().lower() == "all" else parse_size(size)
        if what.startswith(_BPF):
            return cls(cutoff, select=what.removeprefix(_BPF).strip())
        return cls(cutoff, service=what.strip())

    @property
    def name(self) -> str:
        """As it is written."""
        size = "all" if self.cutoff is None else size_text(self.cutoff)
        return f"{self.service or _BPF + (self.select or '')}={size}"

    def as_dict(self) -> dict[str, Any]:
        """As it stands in reports and ledgers."""
        return {"cutoff": self.cutoff, "select": self.select, "service": self.service}


@dataclass(frozen=True)
class Lock:
    """Flows that are never cut: those that one of the first three names."""

    filter: str | None = None
    """The flows that match this filter (BPF) in either direction."""
    community_ids: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    """Addresses and networks; flows with an end there."""
    reason: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        if self.filter is not None:
            compile_for_flows(self.filter)
        for text in self.community_ids:
            if not COMMUNITY_ID.fullmatch(text):
                raise UsageError(f"lock {text!r} is no Community ID: 1: and 28 characters")
        for text in self.hosts:
            _network(text)

    @classmethod
    def of(cls, text: Lock | str) -> Lock:
        """The lock of a text: a Community ID, an address, a network, or a filter. Raises UsageError."""
        if isinstance(text, Lock):
            return text
        if COMMUNITY_ID.fullmatch(text):
            return cls(community_ids=frozenset([text]))
        try:
            _network(text)
        except UsageError:
            return cls(filter=text.removeprefix(_BPF))
        return cls(hosts=frozenset([text]))

    @property
    def name(self) -> str:
        """What ledgers call it."""
        return f"lock: {self.reason or self.filter or 'flows named by a list'}"

    def as_dict(self) -> dict[str, Any]:
        """As it stands in reports and ledgers: of long lists how many entries, and their digest."""
        shown: dict[str, Any] = {"reason": self.reason}
        if self.filter is not None:
            shown["filter"] = self.filter
        for name, values in (("community_ids", self.community_ids), ("hosts", self.hosts)):
            if values:
                digest = hashlib.sha256("\n".join(sorted(values)).encode()).hexdigest()
                shown[name] = {"count": len(values), "sha256": digest}
        return shown


def _labels() -> frozenset[str]:
    return frozenset(row[1] for row in _native.protocols())


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise UsageError(f"lock {text!r} is no address and no network") from None


def _lock_rules(lock: Lock) -> Iterable[Rule]:
    if lock.filter is not None:
        yield compile_for_flows(lock.filter), None, lock.name
    if lock.community_ids:
        yield ("community", sorted(lock.community_ids)), None, lock.name
    networks = sorted((_network(text) for text in lock.hosts), key=str)
    hosts = [str(n.network_address) for n in networks if n.prefixlen == n.max_prefixlen]
    if hosts:
        yield ("host", hosts), None, lock.name
    wide = [f"net {n}" for n in networks if n.prefixlen < n.max_prefixlen]
    for at in range(0, len(wide), _NETWORKS_AT_ONCE):
        yield compile_for_flows(" or ".join(wide[at : at + _NETWORKS_AT_ONCE])), None, lock.name


def native(depths: Sequence[Depth], locks: Sequence[Lock]) -> dict[str, Any]:
    """Keyword arguments of the native trimmer: locks come first, then the depths in their order.

    Raises UsageError when there are too many.
    """
    rules = [rule for lock in locks for rule in _lock_rules(lock)]
    services: list[str] = []
    for depth in depths:
        if depth.select is not None:
            rules.append((compile_for_flows(depth.select), depth.cutoff, depth.name))
        elif depth.service is not None:
            if depth.service not in services:
                services.append(depth.service)
            rules.append((services.index(depth.service), depth.cutoff, depth.name))
    if len(rules) > MAX_RULES:
        raise UsageError(
            f"{len(rules)} depths and locks are given, {MAX_RULES} are the most: join filters with or"
        )
    if not rules:
        return {}
    return {"depths": rules, "services": services, "identify": bool(services)}
