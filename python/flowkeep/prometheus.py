"""Numbers in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable

TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The Content-Type of a page."""

Sample = tuple[dict[str, str], float]
"""Labels and a number."""


def page(prefix: str, families: Iterable[tuple[str, str, str, Iterable[Sample]]]) -> str:
    """The page of some families: name behind the prefix, kind (``gauge``, ``counter``), meaning, samples."""
    lines = []
    for name, kind, says, samples in families:
        full = f"{prefix}_{name}"
        lines += [f"# HELP {full} {says}", f"# TYPE {full} {kind}"]
        for labels, value in samples:
            inside = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
            lines.append(f"{full}{{{inside}}} {value}" if inside else f"{full} {value}")
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
