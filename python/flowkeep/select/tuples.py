"""Finds addresses with ports, and Community IDs, in the text of logs, alerts and lists.

Understood are Zeek's conn.log (both forms), Suricata's EVE and fast.log, Snort alerts, iptables, nfdump and
other CSV with a header, ``flowkeep flows``, conversation lists of tshark, lines of tcpdump, and plain text
such as ``10.0.0.1:40000 -> 192.0.2.1:443``. Each line stands for itself, but for names of columns before it.
"""

from __future__ import annotations

import csv
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..errors import UsageError

MAX_TUPLES = 1_000_000
"""Different tuples and Community IDs of one list."""

Ends = tuple[str, int | None, str, int | None, str | None]
"""Address, port, address, port, protocol; None where it is not said."""

COMMUNITY_ID = re.compile(r"(?<![\w+/:])1:[A-Za-z0-9+/]{27}=", re.ASCII)

_COLUMNS = {
    "a": "sa srcip srcaddr srcaddress sourceip sourceaddress sourceipaddress source src ipsrc ipv6src "
         "clientip idorigh origh saddr ipv4srcaddr ipv6srcaddr srcipaddr sourceipv4address "
         "sourceipv6address addressa",
    "b": "da dstip destip dstaddr dstaddress destaddr destinationip destinationaddress destinationipaddress "
         "destination dest dst ipdst ipv6dst serverip idresph resph daddr ipv4dstaddr ipv6dstaddr dstipaddr "
         "destinationipv4address destinationipv6address addressb",
    "ap": "sp srcport sport sourceport spt l4srcport tcpsrcport udpsrcport clientport idorigp origp srcpt "
          "sourcetransportport porta",
    "bp": "dp dstport destport dport destinationport dpt l4dstport tcpdstport udpdstport serverport idrespp "
          "respp dstpt destinationtransportport portb",
    "proto": "pr proto protocol ipproto prot protocolidentifier",
    "community": "communityid",
}  # fmt: skip
_NAMES = {name: what for what, names in _COLUMNS.items() for name in names.split()}
_PROTOCOLS = {
    "1": "icmp", "2": "igmp", "4": "ipip", "6": "tcp", "17": "udp", "41": "ipv6", "47": "gre", "50": "esp",
    "51": "ah", "58": "icmp6", "89": "ospf", "103": "pim", "112": "vrrp", "132": "sctp", "136": "udplite",
    "icmpv6": "icmp6", "ipv6-icmp": "icmp6", "udp-lite": "udplite",
}  # fmt: skip
_KNOWN = frozenset(_PROTOCOLS.values())
_WITH_PORTS = frozenset(("tcp", "udp", "sctp", "udplite"))
_SAID = _WITH_PORTS | {"icmp", "icmp6", "icmpv6", "ipv6-icmp"}
"""Protocols as they stand beside addresses; others may be words of the language."""

_V6 = r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?::\d{1,3}(?:\.\d{1,3}){3}|(?::\d{1,5})?)"
_END = re.compile(
    rf"""\[(?P<boxed>[0-9A-Fa-f:.]{{2,45}})(?:%[\w.-]{{1,20}})?\](?::(?P<boxed_port>\d{{1,5}})(?!\d))?
      | (?<![\w:.])(?P<four>\d{{1,3}}(?:\.\d{{1,3}}){{3}})(?:[:.](?P<four_port>\d{{1,5}}))?(?![\w]|\.\d)
      | (?<![\w:.])(?P<six>{_V6})(?:%[\w-]{{1,20}})?(?:\.(?P<six_port>\d{{1,5}}))?(?!\w|:[\w:]|\.\d)""",
    re.VERBOSE | re.ASCII,
)
_KEYED = re.compile(
    r"(?<![\w.-])(srcip|dstip|srcport|dstport|src|dst|spt|dpt|sport|dport|proto)=\"?([0-9A-Za-z:.-]{1,45})"
    r"(?![\w:.-])",
    re.ASCII | re.I,
)
_PORT = re.compile(r"\s*(?:[\s,;|]|\bport\b)\s*(\d{1,5})(?![\w.:])", re.ASCII)
_BRACED = re.compile(r"\{([\w-]{1,16})\}", re.ASCII)
_CONVERSATIONS = re.compile(r"(\w{1,10}) Conversations", re.ASCII)
_APART = 40
"""Characters between two addresses that belong together, at most."""


@dataclass
class Wanted:
    """What was found in a list."""

    source: str = "the list"
    lines: list[int] = field(default_factory=list)
    """For each find the line, from 1. What is found again on a later line is no new find."""
    ends: dict[Ends, int] = field(default_factory=dict)
    """Tuples, each with the number of its find. A find may have several: readings of one text."""
    communities: dict[str, int] = field(default_factory=dict)
    """Community IDs, likewise."""
    read: int = 0
    """Lines."""
    skipped: int = 0
    """Lines that were too long, or no text."""

    def add(self, line: int, ends: Iterable[Ends], communities: Iterable[str]) -> None:
        """Take in a find. Raises UsageError for too many."""
        number, new = len(self.lines), False
        for tuple_ in ends:
            new |= self.ends.setdefault(tuple_, number) == number
        for community in communities:
            new |= self.communities.setdefault(community, number) == number
        if new:
            self.lines.append(line)
        if new and number >= MAX_TUPLES:
            raise UsageError(
                f"line {line}: {MAX_TUPLES:,} different tuples are the most that are looked for at once; "
                "split the list, or write a condition with --where or --network"
            )


def find_tuples(lines: Iterable[str], source: str = "the list") -> Wanted:
    """All tuples and Community IDs in lines of text. Raises UsageError for more than :data:`MAX_TUPLES`."""
    wanted, reader = Wanted(source), _Reader()
    for number, line in enumerate(lines, 1):
        wanted.read = number
        if "\0" in line:
            wanted.skipped += 1
            continue
        for ends, communities in reader.finds(line.strip(" \r\n\ufeff")):
            wanted.add(number, ends, communities)
    return wanted


class _Reader:
    """Reads lines, and remembers the columns that a header named."""

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
        self._separator = ","
        self._proto: str | None = None

    def finds(self, line: str) -> Iterator[tuple[list[Ends], list[str]]]:
        if line.startswith(("{", "[{")):
            found = _of_json(line.strip("[],"))
            if found is not None:
                yield found
                return
        if self._is_header(line):
            return
        if self._columns:
            found = self._of_row(line)
            if found is not None:
                yield found
                return
        keyed = _of_keys(line)
        if keyed is not None:
            yield [keyed], []
            return
        communities = COMMUNITY_ID.findall(line)
        pairs = list(_pairs(line, self._proto))
        if len(pairs) == len(communities) == 1:
            yield pairs[0], communities
            return
        yield from ((pair, []) for pair in pairs)
        yield from (([], [community]) for community in communities)

    def _is_header(self, line: str) -> bool:
        if line.startswith("#fields"):
            self._columns, self._separator = _named(line.split("\t")[1:]), "\t"
            return True
        if line.startswith("#") and self._separator == "\t":
            return True
        title = _CONVERSATIONS.match(line)
        if title:
            self._proto = title[1].lower() if title[1].lower() in _WITH_PORTS else None
            return True
        if len(line) < 5000 and not re.search(r"\d\.\d|::", line):
            for separator in ",;\t|":
                columns = _named(line.split(separator))
                if "community" in columns or ("a" in columns and "b" in columns):
                    self._columns, self._separator = columns, separator
                    return True
        return False

    def _of_row(self, line: str) -> tuple[list[Ends], list[str]] | None:
        try:
            cells = (
                next(csv.reader([line], delimiter=self._separator), [])
                if self._separator != "\t"
                else line.split("\t")
            )
        except csv.Error:
            return None
        return _of_fields({what: cells[at].strip() for what, at in self._columns.items() if at < len(cells)})


def _named(cells: list[str]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for at, cell in enumerate(cells):
        what = _NAMES.get(re.sub(r"[^a-z0-9]", "", cell.lower()))
        if what is not None:
            columns.setdefault(what, at)
    return columns


def _of_json(line: str) -> tuple[list[Ends], list[str]] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    fields: dict[str, Any] = {}
    inner = record.get("id")
    for prefix, part in (("", record), ("id", inner if isinstance(inner, dict) else {})):
        for name, value in part.items():
            what = _NAMES.get(re.sub(r"[^a-z0-9]", "", prefix + name.lower()))
            if what is not None and isinstance(value, str | int) and len(str(value)) < 64:
                fields.setdefault(what, str(value))
    return _of_fields(fields) or ([], [])


def _of_fields(fields: Mapping[str, str]) -> tuple[list[Ends], list[str]] | None:
    a, b = _address(fields.get("a", "")), _address(fields.get("b", ""))
    community = fields.get("community", "")
    communities = [community] if COMMUNITY_ID.fullmatch(community) else []
    if a is not None and b is not None:
        proto = _protocol(fields.get("proto", ""), a)
        return [_ends(a, _port(fields.get("ap")), b, _port(fields.get("bp")), proto)], communities
    return ([], communities) if communities else None


def _of_keys(line: str) -> Ends | None:
    fields: dict[str, str] = {}
    for name, value in _KEYED.findall(line):
        fields.setdefault(_NAMES[name.lower()], value)
    found = _of_fields(fields)
    return found[0][0] if found is not None and found[0] else None


def _pairs(line: str, proto: str | None) -> Iterator[list[Ends]]:
    """Two addresses that stand near each other, as they may be read."""
    before: re.Match[str] | None = None
    for end in _END.finditer(line):
        readings = _readings(end)
        if not readings:
            continue
        if before is None or end.start() - before.end() > _APART:
            before = end
            continue
        gap, rest = line[before.end() : end.start()], line[end.end() : end.end() + _APART]
        said = proto or _near(line[max(before.start() - _APART, 0) : before.start()], rest)
        far = (_PORT.match(gap), _PORT.match(rest))
        found = []
        for (a, ap), (b, bp) in _alike(_readings(before), readings):
            if ap is None and bp is None and far[0] and far[1]:
                ap, bp = _port(far[0][1]), _port(far[1][1])
            found.append(_ends(a, ap, b, bp, None if said is None else _protocol(said, a)))
        if found:
            yield found
        before = None


End = tuple[str, int | None]


def _alike(first: list[End], second: list[End]) -> list[tuple[End, End]]:
    """Readings of two ends that go together: of one IP version, if possible both with a port or neither."""
    same = [(a, b) for a in first for b in second if (":" in a[0]) == (":" in b[0])]
    return [(a, b) for a, b in same if (a[1] is None) == (b[1] is None)] or same


def _near(before: str, after: str) -> str | None:
    """The protocol that is named right beside a pair."""
    braced = _BRACED.findall(before)
    if braced:
        return str(braced[-1])
    for text in (re.split(r"[\s,;|]+", before.rstrip(" \t,;|"))[-1:], re.split(r"[\s,;|]+", after)[:3]):
        for word in text:
            if word.lower() in _SAID:
                return word
    return None


def _readings(end: re.Match[str]) -> list[End]:
    text = end["boxed"] or end["four"] or end["six"]
    if text == "::" and not end["boxed"]:
        return []
    port = end["boxed_port"] or end["four_port"] or end["six_port"]
    address = _address(text)
    if port is not None and _port(port) is None:
        return []
    found = [] if address is None else [(address, _port(port))]
    # 2001:db8::1:443 may be an address, or one with a port.
    head, _, tail = text.rpartition(":")
    if end["six"] and port is None and tail.isdigit() and _port(tail) is not None:
        other = _address(head)
        if other is not None:
            found.append((other, _port(tail)))
    return found


@lru_cache(maxsize=1 << 14)
def _address(text: str) -> str | None:
    """An address as the flow table writes it (RFC 5952)."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return f"::ffff:{address.ipv4_mapped}"
    return str(address)


def _port(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > 65535:
        return None
    return int(text)


def _protocol(text: str, address: str) -> str | None:
    name = text.strip().lower()
    name = _PROTOCOLS.get(name, name)
    if name == "icmp" and ":" in address:
        return "icmp6"
    return name if name in _KNOWN else None


def _ends(a: str, ap: int | None, b: str, bp: int | None, proto: str | None) -> Ends:
    # Where others write type and code of ICMP, flows have no ports.
    return (a, ap, b, bp, proto) if proto is None or proto in _WITH_PORTS else (a, None, b, None, proto)
