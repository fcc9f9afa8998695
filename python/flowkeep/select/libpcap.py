"""Compiles filter expressions with libpcap.

libpcap is asked for a program as it would run it over a capture *file* of each link type (a file header is
all it needs for that), so an expression means here what it means to ``tcpdump -r``. In particular what only
a live capture knows (``inbound``, ``ifindex``) is refused by libpcap itself, the numbers of link types in
files are translated by it, and the address families of BSD loopback are those of all systems.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import _native
from ..errors import UsageError
from ..text import safe
from .names import names_to_look_up, words_of

Rule = str | bytes | tuple[bytes, bytes]
"""What is done with packets of a link type: a reason for refusing them, a program, or one for each byte order
of the address family that is their header."""

MAX_LENGTH = 1 << 12
"""Characters of an expression: libpcap's time grows with the square of its length."""
_LONG = 500
"""Characters from which on only the usual link types are compiled for, and not optimised."""

_LAST_LINK = 400
"""Link types above are not defined."""
_USUAL = (
    0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 119, 127, 163, 166, 178, 179, 181, 192, 204, 205, 228,
    229, 274, 276,
)  # fmt: skip
"""Link types whose packets have flows."""
_FAMILY = (0, 109)
"""Link types whose header is an address family in the byte order of the writer (NULL, ENC)."""
_AS_RAW = 14
"""Raw IP as OpenBSD numbers it; libpcap reads this number on each system as what that system means by it."""
_SNAPLEN = 262_144
_INSTRUCTION = struct.Struct("<HBBI")
_NOTHING = _INSTRUCTION.pack(6, 0, 0, 0)
"""The program that no packet matches."""


@dataclass(frozen=True)
class PacketFilter:
    """A filter expression, compiled."""

    expression: str
    rules: tuple[tuple[int, Rule], ...]
    """What is done with packets of each link type (the LINKTYPE registry's numbers) that libpcap knows."""

    def __repr__(self) -> str:
        """The expression."""
        return f"PacketFilter({self.expression!r})"


def _header(link: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAPLEN, link)


class _Compiler:
    """Has libpcap compile an expression for link types, over a file that holds their header."""

    def __init__(self, expression: str, file: Any) -> None:
        try:
            import cypcap
        except ImportError as error:
            raise UsageError(
                "filters are compiled by libpcap, which the package cypcap brings; "
                f"it cannot be loaded: {error}"
            ) from None
        self._cypcap: Any = cypcap
        self._expression = expression
        self._file = file
        self.long = len(expression) >= _LONG

    def program(self, link: int, order: str = "<") -> bytes:
        """The program for a link type. Raises :class:`_RefusedError`."""
        self._file.seek(0)
        self._file.write(_header(link, order))
        try:
            with self._cypcap.open_offline(self._file.name) as capture:
                # As tcpdump -r does: optimised, and with no netmask known.
                code = list(capture.compile(self._expression, not self.long, 0))
        except self._cypcap.Error as error:
            raise _RefusedError(str(error.args[-1])) from None
        program = b"".join(_INSTRUCTION.pack(c, jt, jf, k & 0xFFFFFFFF) for c, jt, jf, k in code)
        problem = _native.program_problem(program)
        if problem:
            raise _RefusedError(problem)
        return program

    def rule(self, link: int) -> Rule | None:
        """The rule for a link type; None if libpcap does not know it."""
        try:
            if link in _FAMILY:
                return self.program(link, "<"), self.program(link, ">")
            return self.program(12 if link == _AS_RAW else link)
        except _RefusedError as error:
            why = str(error)
            if why.startswith("unknown data link type"):
                return None
            # libpcap has seen that no packet of this kind can match.
            return _NOTHING if "rejects all packets" in why else why


class _RefusedError(Exception):
    """libpcap does not compile the expression for a link type."""


def _rules(compiler: _Compiler) -> Iterator[tuple[int, Rule]]:
    for link in _USUAL if compiler.long else range(_LAST_LINK + 1):
        rule = compiler.rule(link)
        if rule is not None:
            yield link, rule


def _check(expression: str, look_up: bool) -> None:
    if len(expression) > MAX_LENGTH:
        raise UsageError(
            f"the filter has {len(expression)} characters, {MAX_LENGTH} are the most: write networks "
            "instead of hosts, or port ranges instead of ports"
        )
    if "\0" in expression:
        raise UsageError("the filter has a zero byte in it; write plain text")
    if not look_up:
        names = names_to_look_up(expression)
        if names:
            raise UsageError(
                f"filter {safe(expression)!r}: {safe(names[0])} is no word of the filter language, "
                "and names are not looked up, so that no name server learns of them: write an address"
            )


@lru_cache(maxsize=16)
def compile_filter(expression: str, *, look_up: bool = False) -> PacketFilter:
    """Compile an expression (pcap-filter(7)) for every link type that libpcap knows.

    Host and network names are refused unless ``look_up``: libpcap would ask the name servers for them. Raises
    UsageError for an expression that is wrong for all link types. One that is wrong for some of them is
    not: packets of those match nothing, and are counted.
    """
    _check(expression, look_up)
    # One file for all headers, written over each time: making a new one costs more than compiling.
    with tempfile.NamedTemporaryFile(prefix="flowkeep-", suffix=".pcap", buffering=0) as file:
        compiler = _Compiler(expression, file)
        # What is wrong for Ethernet is nearly always wrong for all: then its message is the clearest.
        try:
            compiler.program(1)
        except _RefusedError as error:
            why = str(error)
        else:
            why = ""
        if "syntax error" in why:
            raise _wrong(expression, why)
        rules = tuple(_rules(compiler))
    if all(isinstance(rule, str) or rule == _NOTHING or rule == (_NOTHING, _NOTHING) for _, rule in rules):
        raise _wrong(expression, why)
    return PacketFilter(expression, rules)


_NOT_OF_FLOWS = {
    "mpls": "labels", "pppoed": "PPPoE", "pppoes": "PPPoE", "geneve": "what is around a tunnel",
    "vxlan": "what is around a tunnel",
}  # fmt: skip


@lru_cache(maxsize=16)
def compile_for_flows(expression: str) -> tuple[bytes, bool]:
    """Compile an expression for flows: the program for Ethernet, and whether it looks at VLAN tags.

    Raises UsageError for one that is wrong, or that speaks of what a flow does not have.
    """
    _check(expression, look_up=False)
    words = set(words_of(expression))
    for word, what in _NOT_OF_FLOWS.items():
        if word in words:
            raise UsageError(
                f"flow filter {safe(expression)!r}: {word} asks for {what}, of which a flow table "
                "knows nothing: use --filter, which looks at packets, or --where with the column tunnel"
            )
    with tempfile.NamedTemporaryFile(prefix="flowkeep-", suffix=".pcap", buffering=0) as file:
        rule = _Compiler(expression, file).rule(1)
    if not isinstance(rule, bytes):
        raise _wrong(expression, str(rule))
    return rule, "vlan" in words


def _wrong(expression: str, why: str) -> UsageError:
    return UsageError(
        f"filter {safe(expression)!r}: libpcap says: {safe(why)}; expressions are those of tcpdump, "
        "see docs/guide/filter.md or man pcap-filter"
    )


def read_expression(path: Path) -> str:
    """The expression in a file, as ``tcpdump -F`` reads it: ``#`` begins a comment that ends with its line.

    Raises OSError, UsageError.
    """
    data = path.read_bytes()
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{safe(path)}: byte {error.start} is not UTF-8; a filter file is plain text"
        ) from None
    return "\n".join(line.partition("#")[0].rstrip() for line in lines).strip()
