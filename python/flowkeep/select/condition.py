"""What people write in ``--where``, made plain SQL: sizes, durations, values as flows have them."""

from __future__ import annotations

import ipaddress
import re
from fractions import Fraction

from ..errors import UsageError
from ..text import safe
from ..units import parse_seconds, parse_size

SECONDS = ("duration", "rtt", "rtt_client", "rtt_server")
"""Columns that are seconds in a condition, and nanoseconds in the table."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<text>'(?:[^']|'')*')
    |(?P<name>"[^"]*"|`[^`]*`|[^\W\d]\w*)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+(?!\w))?)
     (?:(?P<unit>\w+)|[ ]+(?P<apart>(?i:[kmgt]i?b|[bkmgt]|ms|min|[shd]))\b)?
    |(?P<sign><=|>=|<>|!=|==|&&|\|\||.)""",
    re.X | re.S,
)
_SIZE = {"b", *(prefix + tail for prefix in "kmgt" for tail in ("b", "ib")), "k", "g", "t"}
_TIME = {"s", "ms", "min", "h", "d"}
_LOWER = ("proto", "state", "service")
_COMPARED = ("=", "==", "<>", "!=")
_WORDS = {"and", "or", "not", "in", "is", "null", "like", "ilike", "between", "interval", "timestamp"}


def plain(text: str) -> str:
    """The condition as SQL that Polars reads; what it would misread is refused. Raises UsageError.

    ``1MB`` becomes ``1000000``, ``5min`` becomes ``300``; literals compared with ``proto``, ``state`` and
    ``service`` become lower case, numbers compared with ``vlan`` text, IPv6 addresses the short form.
    """
    out: list[str] = []
    column = before = ""  # the last name that may be a column, and what stands directly before
    named = set()
    listed = False  # inside the parentheses of an IN
    for token in _TOKEN.finditer(text):
        piece = token[0]
        if token["skip"] is not None:
            out.append(piece)
            continue
        listed = (listed or (piece == "(" and before == "in")) and piece != ")"
        compared = listed or before in _COMPARED
        if token["text"] is not None:
            piece = _literal(text, piece, column, compared, before)
        elif token["number"] is not None:
            piece = _number(text, token)
            if column == "vlan" and compared and piece.isdigit():
                piece = f"'{piece}'"
        elif token["name"] is not None:
            word = piece.strip('"`').lower()
            named.add(word)
            if word not in _WORDS:
                column = word
        elif piece in ("&&", "||"):
            raise _wrong(text, f"{piece} is written {'AND' if piece == '&&' else 'OR'} here")
        before = token[0].strip('"`').lower()
        out.append(piece)
    if "interval" in named and (named & {*SECONDS} or not named & {"first_ts", "last_ts"}):
        raise _wrong(text, "durations are numbers of seconds here: write duration > 10s, without interval")
    return "".join(out)


def _number(text: str, token: re.Match[str]) -> str:
    number, unit, apart = token["number"], token["unit"], token["apart"]
    word = (unit or apart or "").lower()
    if word == "m":
        raise _wrong(text, f"{safe(token[0])} may be megabytes or minutes: write {number}MB or {number}min")
    if word in _SIZE:
        return str(parse_size(number + word))
    if word in _TIME:
        seconds = Fraction(parse_seconds(number + word), 1_000_000_000)
        return str(seconds.numerator) if seconds.denominator == 1 else repr(float(seconds))
    if unit is not None:
        raise _wrong(
            text,
            f"{safe(token[0])} is no number: units are "
            "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB and ms, s, min, h, d",
        )
    return token[0]


def _literal(text: str, piece: str, column: str, compared: bool, before: str) -> str:
    if column in _LOWER and (compared or before in ("like", "ilike")):
        return piece.lower()
    if column == "conn_state" and compared:
        return piece.upper()
    if column in ("client_ip", "server_ip") and compared:
        if "/" in piece:
            raise _wrong(text, f"an address is compared with a network: use --network {safe(piece[1:-1])}")
        try:
            address = ipaddress.ip_address(piece[1:-1])
        except ValueError:
            return piece
        return piece if "." in piece else f"'{address.compressed}'"
    return piece


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f"--where {safe(text)!r}: {why}")
