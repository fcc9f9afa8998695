"""What all use cases check of the captures they have read."""

from __future__ import annotations

from collections.abc import Iterable

from .. import _native
from ..errors import UsageError
from ..text import safe


def check_filter(scans: Iterable[_native.FileScan]) -> None:
    """Raise UsageError when the filter makes no sense for any packet that was met."""
    refused: dict[str, str] = {}
    for scan in scans:
        refused |= {link: refusal["reason"] for link, refusal in scan["filter_refused"].items()}
        met = scan["packets_filtered"] + sum(scan["link_types"].values())
        if met > sum(refusal["packets"] for refusal in scan["filter_refused"].values()):
            return
    if refused:
        reasons = "; ".join(f"{link}: {safe(why)}" for link, why in refused.items())
        raise UsageError(
            f"the filter makes no sense for any link type of these captures ({reasons}); "
            "write one that does, see docs/guide/filter.md"
        )
