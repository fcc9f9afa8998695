"""Finds the words of a filter expression that libpcap would ask a name server about.

libpcap looks a word up while it compiles, where one stands that is no keyword, number or address. Which kind
of name it is says the last word before it that speaks of kinds (``port``, ``proto`` …): ports and protocols
are in tables of the system, hosts and networks may be anywhere. This errs on the safe side.
"""

from __future__ import annotations

import ipaddress
import re

_WORD = re.compile(
    r"""(?P<escaped>\\[^\s!()]+)
      | (?P<colons>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)
      | (?P<word>[^\W_][-_.\w]*(?::[0-9A-Fa-f:.]*)?)
      | (?P<arcnet>\$[0-9A-Fa-f]+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\d+(?:\.\d+){0,3}", re.ASCII)
_MAC = re.compile(
    r"[0-9a-f]{1,2}(?:[:.-][0-9a-f]{1,2}){5}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}|[0-9a-f]{12}", re.I | re.ASCII
)
_RANGE = re.compile(r"\d+-\d+", re.ASCII)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words of the grammar (pcap-filter(7)). After those of _LOCAL stand names that nobody is asked for.
_LOCAL = _words(
    """port portrange proto protochain type subtype dir direction on ifname rnr rulenum rset ruleset reason
    action srnr subrulenum"""
)
_KINDS = _words("host net gateway src dst ra ta addr1 addr2 addr3 addr4 addr")
_PROTOCOLS = _words(
    """ether link ppp slip fddi tr wlan radio arp rarp ip ip6 sctp tcp udp icmp icmp6 igmp igrp pim vrrp carp
    ah esp atalk aarp decnet lat sca moprc mopdl iso esis es-is isis is-is l1 l2 iih lsp snp csnp psnp clnp
    stp ipx netbeui pppoed pppoes geneve vxlan llc vlan mpls lane"""
)
_PLAIN = _words(
    """and or not len length less greater byte cbyte broadcast multicast mask ifindex inbound outbound random
    vpi vci metac bcc oam oamf4 oamf4ec oamf4sc sc ilmic metaconnect connectmsg fisu lssu lsu msu hfisu hlssu
    hmsu sio opc dpc sls hsio hopc hdpc hsls oamf4s"""
)
_FIELD = re.compile(r"(?:icmp6?-|tcp-)[a-z0-9-]+|icmp6?type|icmp6?code|tcpflags")


def names_to_look_up(expression: str) -> list[str]:
    """Words that may be host or network names, in order."""
    found, local, brackets = [], False, 0
    for token in _WORD.finditer(expression):
        text = token[0]
        if text in "[]":
            brackets = max(brackets + (1 if text == "[" else -1), 0)
        if token.lastgroup == "other" or token.lastgroup == "arcnet":
            continue
        if brackets or _is_number_or_address(text):
            continue  # between brackets stands arithmetic, in which there are no names
        if text in _LOCAL:
            local = True
        elif text in _KINDS or text in _PROTOCOLS:
            local = False
        elif text not in _PLAIN and not _FIELD.fullmatch(text) and not local:
            found.append(text)
    return found


def words_of(expression: str) -> list[str]:
    """The words of an expression that are not escaped."""
    return [token[0] for token in _WORD.finditer(expression) if token.lastgroup == "word"]


def _is_number_or_address(text: str) -> bool:
    if _NUMBER.fullmatch(text) or _MAC.fullmatch(text) or _RANGE.fullmatch(text):
        return True
    if ":" not in text:
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
