"""What a person looks at: filters, what is hidden, the order. It fits into a URL, so a view can be shared,
undone and asked for by a script; the server remembers none."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from ..errors import UsageError
from ..text import safe
from ..units import parse_time

Kind = Literal["host", "port", "proto", "service", "network", "domain", "talk", "flow"]
KINDS: tuple[Kind, ...] = ("host", "port", "proto", "service", "network", "domain", "talk", "flow")
MOST_TERMS = 1000


@dataclass(frozen=True)
class Term:
    """Flows that are hidden: ``host:10.0.0.1``, ``port:443/tcp``, ``proto:icmp``, ``service:dns``,
    ``network:10.0.0.0/8``, ``domain:example.com`` (with all names below it), ``talk:CLIENT,SERVER,443/tcp``,
    ``flow:1,4,7-9``."""

    kind: Kind
    value: str

    @classmethod
    def parse(cls, text: str) -> Term:
        """Raise UsageError for what is no term."""
        kind, colon, value = text.partition(":")
        if not colon or kind not in KINDS or not value:
            raise UsageError(
                f"{safe(text)!r} says nothing to hide: write one of {', '.join(KINDS)}, a colon, a value"
            )
        term = cls(kind, value.strip())
        term.check()
        return term

    def check(self) -> None:
        """Raise UsageError when the value cannot be meant."""
        try:
            if self.kind == "host":
                ipaddress.ip_address(self.value)
            elif self.kind == "network":
                ipaddress.ip_network(self.value, strict=False)
            elif self.kind == "port":
                self.port()
            elif self.kind == "talk":
                client, server, _ = self.value.split(",")
                ipaddress.ip_address(client)
                ipaddress.ip_address(server)
                self.port()
            elif self.kind == "flow":
                list(self.ranges())
        except ValueError:
            raise UsageError(f"{safe(self.value)!r} is no {self.kind}") from None

    def port(self) -> tuple[int, str | None]:
        """Number and protocol. Raises ValueError."""
        number, _, proto = self.value.rpartition(",")[2].partition("/")
        if not number.isascii() or not number.isdigit() or int(number) > 65535:
            raise ValueError(number)
        return int(number), proto.lower() or None

    def ranges(self) -> Iterable[tuple[int, int]]:
        """First and last ``flow_id`` of each range. Raises ValueError."""
        for part in self.value.split(","):
            first, dash, last = part.partition("-")
            yield int(first), int(last) if dash else int(first)

    def __str__(self) -> str:
        """As :meth:`parse` reads it."""
        return f"{self.kind}:{self.value}"


def flow_term(ids: Iterable[int]) -> Term:
    """The term of these flows, ranges joined."""
    parts: list[str] = []
    first = last = -2
    for flow in [*sorted(set(ids)), -1]:
        if flow == last + 1 and flow >= 0:
            last = flow
            continue
        if first >= 0:
            parts.append(str(first) if first == last else f"{first}-{last}")
        first = last = flow
    return Term("flow", ",".join(parts))


@dataclass(frozen=True)
class Sort:
    """Order by a column."""

    column: str
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> Sort:
        """``-bytes`` is descending."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    def __str__(self) -> str:
        """As :meth:`parse` reads it."""
        return f"{'-' if self.descending else ''}{self.column}"


@dataclass(frozen=True)
class View:
    """Filters are joined by AND. The names of the fields in a URL are those of :meth:`query`."""

    filter: str = ""
    """Expression of pcap-filter(7) about addresses, ports, protocol and VLAN."""
    where: str = ""
    """SQL over the columns of the flow table."""
    keyword: str = ""
    """Text in any column that holds text, without regard to case; ``/…/`` is a regular expression."""
    since_ns: int | None = None
    """Flows still seen at this time or later, nanoseconds since the epoch."""
    until_ns: int | None = None
    """Flows already seen at this time or earlier."""
    hidden: tuple[Term, ...] = ()
    invert: bool = False
    """Show what is hidden, and hide the rest."""
    sort: Sort | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, query: Mapping[str, Any]) -> View:
        """From the fields of a URL; ``hide`` may come several times (``getlist``). Raises UsageError."""
        many = getattr(query, "getlist", None)
        hide = many("hide") if many else query.get("hide", ())
        terms = [Term.parse(text) for text in ([hide] if isinstance(hide, str) else hide)]
        if len(terms) > MOST_TERMS:
            raise UsageError(f"{len(terms)} things are hidden: {MOST_TERMS} at most")

        def time(name: str) -> int | None:
            text = str(query.get(name) or "")
            return parse_time(text) if text else None

        sort = str(query.get("sort") or "")
        return cls(
            str(query.get("filter") or "").strip(),
            str(query.get("where") or "").strip(),
            str(query.get("keyword") or "").strip(),
            time("since"),
            time("until"),
            tuple(dict.fromkeys(terms)),
            str(query.get("invert") or "") in ("1", "true"),
            Sort.parse(sort) if sort else None,
        )

    def query(self) -> list[tuple[str, str]]:
        """The fields of a URL, those alone that say something."""
        fields = [("filter", self.filter), ("where", self.where), ("keyword", self.keyword)]
        for name, ns in (("since", self.since_ns), ("until", self.until_ns)):
            if ns is not None:
                seconds = datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
                fields.append((name, f"{seconds}.{ns % 1_000_000_000:09}Z"))
        fields += [("hide", str(term)) for term in self.hidden]
        fields += [("invert", "1" if self.invert else ""), ("sort", str(self.sort or ""))]
        return [(name, value) for name, value in fields if value]

    def url(self) -> str:
        """The fields of a URL as text."""
        return urlencode(self.query())
