"""The use case behind ``flowkeep cache run``: a service that captures and remembers."""

from __future__ import annotations

from collections.abc import Callable

from ..cache.lean import without_tls
from ..cache.pcap_over_ip import Face as Face
from ..cache.pcap_over_ip import Outside as Outside
from ..cache.plan import Plan as Plan


def run_cache(plan: Plan, say: Callable[[str], None]) -> None:
    """Capture and answer until SIGTERM or SIGINT; ``say`` is told what happens, a line at a time.

    Raises FlowkeepError and OSError when it cannot begin, and when the cache cannot be saved."""
    if plan.pcap_over_ip is None or plan.pcap_over_ip.outside is None:
        without_tls()
    from ..cache.daemon import Daemon

    Daemon(plan, say).run()
