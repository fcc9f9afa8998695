"""What a service is to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..select import compile_filter
from .curve import Curve
from .pcap_over_ip import Face
from .place import Endpoint


@dataclass(frozen=True)
class Plan:
    """What a service does."""

    socket: Path
    memory: int
    """Bytes for packets and all that is known of them."""
    curve: Curve
    interfaces: tuple[str, ...] | None = None
    """Network interfaces that are captured; None: all."""
    read: tuple[str, ...] = ()
    """Captures to read, ``-`` is standard input."""
    listen: tuple[Endpoint, ...] = ()
    """Where captures are taken in over TCP."""
    connect: tuple[Endpoint, ...] = ()
    """From where they are fetched."""
    filter: str | None = None
    promiscuous: bool = False
    ring: int = 64 << 20
    """Bytes of the buffer between the kernel and the store, for each interface."""
    snap_length: int = 262_144
    user: str | None = None
    """Who to be once everything is open."""
    allow: tuple[str, ...] = ()
    """Users who may ask, besides that one and root."""
    save: Path | None = None
    """Where the store is kept from one run to the next."""
    spill: Path | None = None
    disk: int | None = None
    pcap_over_ip: Face | None = None
    metrics: Endpoint | None = None
    """Where numbers are given out, on this machine."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant, a wrong filter included."""
        if self.metrics is not None and not self.metrics.loopback:
            raise UsageError(
                f"{self.metrics} can be reached from other machines: numbers are given out on 127.0.0.1"
            )
        for endpoint in self.listen:
            if not endpoint.loopback:
                raise UsageError(
                    f"{endpoint} can be reached from other machines, and who sends packets there is asked "
                    "nothing: take 127.0.0.1, and a tunnel such as that of ssh"
                )
        if self.filter is not None:
            compile_filter(self.filter)
