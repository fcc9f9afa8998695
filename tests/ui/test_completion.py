"""What a filter could go on with."""

from __future__ import annotations

import flowkeep as fk
import pytest
from flowkeep.ui.completion import Completions, Words, complete
from flowkeep.ui.table import FlowTable
from flowkeep.ui.view import View

from tests import wire


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Words:
    hello = b"GET / HTTP/1.1\r\nHost: o'hara.example\r\n\r\n"
    path = tmp_path_factory.mktemp("completion") / "some.pcap"
    path.write_bytes(wire.pcap(wire.merged(
        *(wire.udp_dialogue(client=f"10.0.0.{n}:5000{n}", server="10.0.1.53:53") for n in range(1, 5)),
        wire.tcp_session(client="10.0.0.1:40000", server="192.0.2.80:8080",
                         script=[("c", hello), ("s", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]),
        wire.tcp_session(client="10.0.0.1:40001", server="192.0.2.81:80", script=[
            ("c", b"GET / HTTP/1.1\r\nHost: \x1b[31mevil\r\n\r\n"), ("s", b"HTTP/1.1 200 OK\r\n\r\n")]),
    )))  # fmt: skip
    return Words(FlowTable(fk.open(path).flows(identify=True, details=True)), lambda key, make: make())


def texts(made: Completions) -> list[str]:
    return [item.text for item in made.items]


def test_addresses_stand_behind_host_most_flows_first(words: Words) -> None:
    made = complete(words, "filter", "tcp and host 10.0")
    assert made.begin == len("tcp and host ")
    assert texts(made) == ["10.0.1.53", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert [item.note for item in made.items[:2]] == ["4 flows", "3 flows"]


def test_a_bare_address_gets_its_word(words: Words) -> None:
    assert texts(complete(words, "filter", "192.0.2.8")) == ["host 192.0.2.80", "host 192.0.2.81"]


def test_ports_and_networks(words: Words) -> None:
    assert texts(complete(words, "filter", "port 80"))[:1] == ["8080"]
    assert texts(complete(words, "filter", "net 10.")) == ["10.0.0.0/24", "10.0.1.0/24"]


def test_words_of_the_languages(words: Words) -> None:
    assert texts(complete(words, "filter", "not po")) == ["port", "portrange"]
    assert "server_bytes" in texts(complete(words, "where", "server_b"))
    assert texts(complete(words, "where", "bytes > 1 an")) == ["AND"]


def test_values_of_a_column_stand_between_quotes_as_sql_wants_them(words: Words) -> None:
    made = complete(words, "where", "proto = 'tcp' AND server_name = 'o")
    assert texts(made) == ["o''hara.example'"]
    where = "proto = 'tcp' AND server_name = 'o"[: made.begin] + made.items[0].text
    assert len(words._table.choose(View(where=where)).rows) == 1
    assert texts(complete(words, "where", "proto in ('udp', 't")) == ["tcp'"]
    assert texts(complete(words, "where", "server_name LIKE '%hara")) == ["%o''hara.example%'"]


def test_no_words_inside_of_a_quoted_text_of_something_unknown(words: Words) -> None:
    assert texts(complete(words, "where", "nope = 'serv")) == []
    assert texts(complete(words, "where", "'serv")) == []


def test_keywords_are_names_services_and_addresses(words: Words) -> None:
    assert texts(complete(words, "keyword", "hara")) == ["o'hara.example"]
    assert texts(complete(words, "keyword", "htt")) == ["http"]
    assert texts(complete(words, "keyword", "192.0.2.81")) == []
    assert texts(complete(words, "keyword", "/ht")) == []


def test_what_a_capture_holds_is_harmless(words: Words) -> None:
    made = complete(words, "keyword", "evil").items
    assert [item.shown for item in made] == ["\\x1b[31mevil"]


@pytest.mark.parametrize("field", ["filter", "where", "keyword"])
@pytest.mark.parametrize(
    "text", ["", " ", "(", "'", "host", "host ", "\x00", "((((" * 500, "ü" * 100, "a\\", "x = '%", "net zz"]
)
def test_any_text_is_answered(words: Words, field: str, text: str) -> None:
    made = complete(words, field, text)  # type: ignore[arg-type]
    assert 0 <= made.begin <= len(text)
    assert len(made.items) <= 12
