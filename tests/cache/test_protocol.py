"""Requests are understood in full or refused."""

from __future__ import annotations

import json

import pytest
from flowkeep.cache.protocol import MAX_REQUEST, Request, header, parse_header, parse_request, refusal
from flowkeep.errors import BusyError, CacheError, UsageError
from flowkeep.units import Moment
from hypothesis import given
from hypothesis import strategies as st

REQUESTS = [
    Request("status"),
    Request("read", filter="tcp port 80\nand ip6", since=-5, until=Moment("end", 7), flows=3, follow=True),
    Request("read", since=Moment("start", 0), format="pcap", frames=False, token="x" * 20),
    Request("flows", community_seed=65535, networks=("10.0.0.0/8", "::1"), flow_filter="udp"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.ask)
def test_what_is_asked_is_understood(request_: Request) -> None:
    assert parse_request(request_.line()) == request_


GOOD = {"flowkeep_cache": 1, "ask": "read"}
REFUSED = {
    "nothing": b"",
    "garbage": b"\x00\xff\xfe\x80",
    "a word": b'"read"',
    "a list": b"[1]",
    "deep": b"[" * 60_000,
    "long number": b'{"since": ' + b"9" * 60_000 + b"}",
    "no version": json.dumps({"ask": "read"}).encode(),
    "other version": json.dumps(GOOD | {"flowkeep_cache": 2}).encode(),
    "no question": json.dumps({"flowkeep_cache": 1}).encode(),
    **{
        f"{name}={value!r}": json.dumps(GOOD | {name: value}).encode()
        for name, value in [
            ("ask", "stop"), ("ask", ["read"]), ("filter", 1), ("filter", "a\x00b"), ("filter", "\x1b[2J"),
            ("since", None), ("since", True), ("since", 1.5), ("since", 1 << 64), ("since", {"end": -1}),
            ("until", {"end": 1, "start": 2}), ("until", {"middle": 1}), ("flows", -1), ("flows", True),
            ("flows", 1 << 40), ("follow", 1), ("format", "csv"), ("frames", 0), ("community_seed", 65536),
            ("networks", "10.0.0.0/8"), ("networks", [1]), ("flow_filter", {}), ("token", 5), ("filtre", "tcp"),
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_is_refused(line: bytes) -> None:
    with pytest.raises(UsageError) as refused:
        parse_request(line + b"\n")
    assert str(refused.value).isprintable()


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(line: bytes) -> None:
    with pytest.raises(UsageError):
        parse_request(line)


@given(
    st.dictionaries(
        st.sampled_from(["ask", "since", "flows", "filter", "x"]), st.from_type(object) | st.integers()
    )
)
def test_objects_of_any_kind_are_understood_or_refused(said: dict[str, object]) -> None:
    try:
        line = json.dumps({"flowkeep_cache": 1, **said}).encode()
    except (TypeError, ValueError):
        return
    try:
        parse_request(line)
    except UsageError as error:
        assert str(error).isprintable()


def test_a_question_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(UsageError, match="the most"):
        Request("read", filter="x" * MAX_REQUEST).line()


@pytest.mark.parametrize(
    "error", [UsageError("why"), BusyError("why"), CacheError("why")], ids=lambda e: type(e).__name__
)
def test_a_refusal_arrives_as_the_error_it_was(error: CacheError) -> None:
    with pytest.raises(type(error), match=r"^place: why$"):
        parse_header(refusal(error), "place")


@pytest.mark.parametrize(
    "line", [b"", b"HTTP/1.1 400 Bad Request\r\n", b'{"ok": true}\n', b"[]\n", b"\xd4\xc3\xb2\xa1\n"]
)
def test_another_program_at_the_other_end_is_noticed(line: bytes) -> None:
    with pytest.raises(CacheError, match="no flowkeep cache"):
        parse_header(line, "place")


def test_a_hostile_service_cannot_reach_the_terminal() -> None:
    with pytest.raises(CacheError) as told:
        parse_header(refusal(CacheError("\x1b[2J\u202e")), "place")
    assert str(told.value).isprintable()


def test_a_header_carries_what_is_said() -> None:
    assert parse_header(header(status={"a": 1}), "place")["status"] == {"a": 1}
