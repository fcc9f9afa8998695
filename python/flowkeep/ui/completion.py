"""What a filter could go on with: its language, and what there is in the table."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .table import FlowTable

if TYPE_CHECKING:
    import polars as pl

Field = Literal["filter", "where", "keyword"]
MOST = 12
"""Completions of one answer."""
_MOST_VALUES = 50_000
"""Values of a column that are remembered, those with most flows."""

_BPF = {
    "host": "either end", "net": "network, 10.0.0.0/8", "port": "either end", "portrange": "6000-6008",
    "src host": "sender", "dst host": "receiver", "src net": "sender", "dst net": "receiver",
    "src port": "sender", "dst port": "receiver",
    "tcp": "", "udp": "", "icmp": "", "icmp6": "", "ip": "IPv4", "ip6": "IPv6", "vlan": "number",
    "not": "", "and": "", "or": "",
}  # fmt: skip
_SQL = ("AND", "OR", "NOT", "LIKE '%", "IN ('", "BETWEEN", "IS NULL", "IS NOT NULL", "true", "false")
_KEYWORD_COLUMNS = ("server_name", "service", "proto", "state")
_QUOTED = re.compile(
    r"(\w+)\s*(?:=|==|!=|<>|(?:NOT\s+)?I?LIKE|(?:NOT\s+)?IN\s*\((?:\s*'[^']*'\s*,)*)\s*'([^']*)$", re.I
)
_ENDS = ("client_ip", "server_ip")


@dataclass(frozen=True)
class Completion:
    """One of the ways to go on."""

    text: str
    """What replaces the text from :attr:`Completions.begin` on."""
    shown: str
    note: str = ""


@dataclass(frozen=True)
class Completions:
    """All of them."""

    begin: int
    items: tuple[Completion, ...]


class Words:
    """The values in a table, counted once each column."""

    def __init__(self, table: FlowTable, keep: Callable[[Any, Callable[[], Any]], Any]) -> None:
        """``keep``: remembers what was made of the table, as :meth:`Recent.get` does."""
        self._table, self._keep = table, keep

    def columns(self) -> dict[str, str]:
        """Names of columns, and what is in them."""
        return {name: kind.lower() for name, kind in self._table.kinds().items()}

    def values(self, *columns: str) -> pl.DataFrame:
        """``value`` and ``n``, flows with it, most first; columns that are not there are left out."""

        def make() -> pl.DataFrame:
            import polars as pl

            frame = self._table.frame
            there = [name for name in columns if name in frame.columns]
            if not there:
                return pl.DataFrame({"value": [], "n": []}, schema={"value": pl.String, "n": pl.UInt32})
            counts = [frame[name].drop_nulls().rename("value").value_counts(name="n") for name in there]
            whole = pl.concat([count.with_columns(pl.col("value").cast(pl.String)) for count in counts])
            counted = whole.group_by("value").agg(pl.col("n").sum())
            return counted.sort("n", "value", descending=[True, False]).head(_MOST_VALUES)

        made: pl.DataFrame = self._keep(("words", columns), make)
        return made

    def starting(self, begin: str, *columns: str, inside: bool = False) -> list[tuple[str, int]]:
        """Values that start with a text, or have it inside, in any case."""
        import polars as pl

        if begin:
            folded = pl.col("value").str.to_lowercase()
            text = begin.lower()
            hit = folded.str.contains(text, literal=True) if inside else folded.str.starts_with(text)
            found = self.values(*columns).filter(hit)
        else:
            found = self.values(*columns)
        rows = found.head(4 * MOST).iter_rows()
        # What cannot be shown as it is could not be typed either.
        return [(value, n) for value, n in rows if value.isprintable() and value != begin][:MOST]


def complete(words: Words, field: Field, text: str) -> Completions:
    """Ways to go on behind this text, which ends where the caret is."""
    return {"filter": _bpf, "where": _sql, "keyword": _keyword}[field](words, text)


def _made(begin: int, items: Iterable[Completion]) -> Completions:
    return Completions(begin, tuple(items)[:MOST])


def _counted(n: int) -> str:
    return "1 flow" if n == 1 else f"{n:,} flows"


def _bpf(words: Words, text: str) -> Completions:
    word = re.search(r"[\w.:/]*$", text).group()  # type: ignore[union-attr]
    begin = len(text) - len(word)
    before = text[:begin].split()
    last = before[-1].lower() if before else ""
    if last in ("host", "src", "dst"):
        found = _values(words.starting(word, *_ENDS))
        names = ("host", "net", "port") if last != "host" else ()
        return _made(begin, [*(Completion(n, n) for n in names if word and n.startswith(word)), *found])
    if last in ("port", "portrange"):
        return _made(begin, _values(words.starting(word, "server_port", "client_port")))
    if last == "net":
        return _made(begin, _networks(words, word))
    if not word:
        return Completions(begin, ())
    starts = [
        Completion(each, each, note)
        for each, note in _BPF.items()
        if each.startswith(word.lower()) and each != word.lower()
    ]
    if re.match(r"[0-9a-f:]*[0-9:.][0-9a-f:.]*$", word, re.I):
        # A bare address is none to pcap-filter(7): the word before it is completed too.
        starts += [
            Completion(f"host {value}", value, _counted(n)) for value, n in words.starting(word, *_ENDS)
        ]
    return _made(begin, starts)


def _values(found: list[tuple[str, int]]) -> list[Completion]:
    return [Completion(value, value, _counted(n)) for value, n in found]


def _networks(words: Words, word: str) -> list[Completion]:
    counts: dict[str, int] = {}
    for value, n in words.values(*_ENDS).head(5000).iter_rows():
        network = str(ipaddress.ip_network(f"{value}/{64 if ':' in value else 24}", strict=False))
        counts[network] = counts.get(network, 0) + n
    best = sorted(counts.items(), key=lambda item: -item[1])
    return [Completion(net, net, f"{n:,} ends") for net, n in best if net.startswith(word) and net != word]


def _sql(words: Words, text: str) -> Completions:
    quoted = _QUOTED.search(text)
    if quoted:
        column, start = quoted[1].lower(), quoted[2]
        like = start.startswith("%")
        if column not in words.columns():
            return Completions(len(text), ())
        found = words.starting(start.lstrip("%"), column, inside=like)
        begin = len(text) - len(start)
        close = "%'" if like else "'"
        return _made(begin, [
            Completion(("%" if like else "") + value.replace("'", "''") + close, value, _counted(n))
            for value, n in found
        ])  # fmt: skip
    if text.count("'") % 2:
        return Completions(len(text), ())
    word = re.search(r"\w*$", text).group()  # type: ignore[union-attr]
    begin = len(text) - len(word)
    if not word:
        return Completions(begin, ())
    columns = [
        Completion(name, name, kind)
        for name, kind in words.columns().items()
        if name.startswith(word.lower()) and name != word.lower()
    ]
    if word[0].isdigit():
        return Completions(begin, ())
    return _made(
        begin,
        [*columns, *(Completion(w, w) for w in _SQL if w.lower().startswith(word.lower()) and w != word)],
    )


def _keyword(words: Words, text: str) -> Completions:
    if not text.strip() or text.startswith("/"):
        return Completions(0, ())
    names = words.starting(text, *_KEYWORD_COLUMNS, inside=True)
    return _made(0, _values([*names, *words.starting(text, *_ENDS)]))
