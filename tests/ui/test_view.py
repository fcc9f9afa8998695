"""A view goes into a URL and comes out of it as it was; what is no view is refused."""

from __future__ import annotations

import itertools
from urllib.parse import parse_qsl

import flowkeep as fk
import pytest
from flowkeep.ui.view import Sort, Term, View, flow_term
from hypothesis import given
from hypothesis import strategies as st


class Fields(dict[str, str]):
    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def getlist(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


TERMS = st.sampled_from([
    "host:10.0.0.1", "host:2001:db8::1", "port:443/tcp", "port:53", "proto:icmp", "service:tls/smtp",
    "network:10.0.0.0/8", "domain:example.com", "talk:10.0.0.1,10.0.0.2,80/tcp", "flow:1,4,7-9",
])  # fmt: skip
TEXT = st.text(max_size=30).map(str.strip)


@given(
    TEXT, TEXT, TEXT, st.none() | st.integers(0, 2**63 - 1), st.none() | st.integers(0, 2**63 - 1),
    st.lists(TERMS, max_size=4, unique=True), st.booleans(), st.sampled_from(["", "bytes", "-bytes"]),
)  # fmt: skip
def test_there_and_back(
    filter: str, where: str, keyword: str, since: int | None, until: int | None, hidden: list[str],
    invert: bool, sort: str,
) -> None:  # fmt: skip
    terms = tuple(Term.parse(text) for text in hidden)
    order = Sort.parse(sort) if sort else None
    view = View(filter, where, keyword, since, until, terms, invert, order)
    back = View.parse(Fields(parse_qsl(view.url(), keep_blank_values=True)))
    assert (back, back.sort) == (view, order)


@pytest.mark.parametrize("text", [
    "host:10.0.0.1.2", "host:example.com", "port:65536", "port:-1", "port:٣", "network:10.0.0.0/33", "talk:1,2",
    "talk:10.0.0.1,10.0.0.2,x", "flow:a", "flow:1-2-3", "proto", "proto:", "nothing:1", "",
])  # fmt: skip
def test_what_is_no_term_is_refused(text: str) -> None:
    with pytest.raises(fk.UsageError):
        Term.parse(text)


def test_too_many_things_hidden_are_refused() -> None:
    with pytest.raises(fk.UsageError, match="1000 at most"):
        View.parse(Fields([("hide", f"port:{n}") for n in range(1001)]))


@given(st.sets(st.integers(0, 60), min_size=1))
def test_flows_are_named_by_ranges(ids: set[int]) -> None:
    term = Term.parse(str(flow_term(ids)))
    ranges = list(term.ranges())
    assert {n for first, last in ranges for n in range(first, last + 1)} == ids
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(ranges))
