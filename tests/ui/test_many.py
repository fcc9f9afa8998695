"""Many tabs and scripts at once: none sees what another looks at, and what is kept for all stays within a bound."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import flowkeep as fk
import pytest
from flowkeep.paths import Found
from flowkeep.ui.api.take import Grants
from flowkeep.ui.library import Library
from flowkeep.ui.table import FlowTable
from flowkeep.ui.view import Term, View

from tests import wire
from tests.ui.conftest import Looked, Served

TABS = 20


def talks(first: int, n: int) -> list[wire.Packet]:
    return wire.merged(*(
        wire.udp_dialogue(client=f"10.0.{k % 20}.{k // 20 + 1}:{40000 + k}", server="10.1.0.1:53",
                          start_ns=wire.talk.START_NS + k * 10**6) for k in range(first, first + n)
    ))  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    (folder / "a.pcap").write_bytes(wire.pcap(talks(0, 400)))
    (folder / "b.pcap").write_bytes(wire.pcap(talks(400, 100)))
    return folder


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    made = Served(folder / "a.pcap")
    yield made
    made.stop()


def test_twenty_tabs_do_not_see_each_other(served: Served, chromium: Any) -> None:
    tabs = []
    for n in range(TABS):
        query = urlencode({"filter": f"net 10.0.{n}.0/24"})
        tabs.append(Looked(chromium, f"{served.url}&{query}"))
    for tab in tabs:
        tab.shown("20 of 400 flows")
    # Each selects as many rows as no other does, and hides them.
    for n, tab in enumerate(tabs[:6]):
        tab.page.locator(".ag-row").first.click()
        for _ in range(n):
            tab.page.keyboard.press("Shift+ArrowDown")
    for n, tab in enumerate(tabs[:6]):
        tab.page.wait_for_selector(f".fk-capture:has-text('{n + 1}')")
        tab.page.keyboard.press("h")
    for n, tab in enumerate(tabs):
        tab.shown(f"{19 - n if n < 6 else 20} of 400 flows")
        shown = tab.page.locator(".ag-row [col-id=client_ip]").all_inner_texts()
        assert shown and all(ip.startswith(f"10.0.{n}.") for ip in shown if ip)
    for tab in tabs:
        tab.close()


def test_scripts_at_once_get_what_each_asked_for_while_captures_come(served: Served, folder: Path) -> None:
    """Every answer is one of a whole table, sorted, whichever was open."""
    stop = threading.Event()

    def ask(n: int) -> int:
        answers = 0
        while not stop.is_set() or not answers:
            sort = ("client_port", "-client_port", "community_id", "-duration")[n % 4]
            column = sort.removeprefix("-")
            query = urlencode({"filter": f"net 10.0.{n}.0/24", "sort": sort, "limit": 100})
            answer = served.ask(f"api/flows?{query}")
            rows = answer["rows"]
            assert answer["total"] == len(rows) in (20, 25)
            assert all(row["client_ip"].startswith(f"10.0.{n}.") for row in rows)
            values = [row[column] for row in rows]
            assert values == sorted(values, reverse=sort[0] == "-")
            answers += 1
        return answers

    with ThreadPoolExecutor(TABS) as pool:
        asking = [pool.submit(ask, n) for n in range(TABS)]
        try:
            for _ in range(3):
                served.ask("api/files", {"paths": [str(folder / "b.pcap")]})
                served.wait()
                served.ask(f"api/files?{urlencode({'path': folder / 'b.pcap'})}", method="DELETE")
                served.wait()
        finally:
            stop.set()
        assert all(each.result() for each in asking)


def test_a_link_ends_with_the_captures_it_was_for(served: Served, folder: Path) -> None:
    link = served.ask("api/extract/link", {"flows": [0, 1]})
    with urllib.request.urlopen(served.base + link["path"].lstrip("/"), timeout=60) as answer:
        assert len(wire.read(answer.read()).records) == 4
    served.ask("api/files", {"paths": [str(folder / "b.pcap")]})
    served.wait()
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(served.base + link["path"].lstrip("/"), timeout=60)
    with caught.value:
        assert b"other captures" in caught.value.read()


def test_reading_that_is_stopped_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library([folder])
    library.open([folder / "a.pcap"])
    library.wait()
    before, version = library.table, library.version
    assert before is not None
    reached, go = threading.Event(), threading.Event()
    from flowkeep.ui import library as module

    real = module.list_flows

    def slowly(*args: Any, progress: Any, **rest: Any) -> Any:
        reached.set()
        assert go.wait(60)
        progress(1, 2)  # as the scanner tells it between two pieces of a file
        return real(*args, progress=progress, **rest)

    monkeypatch.setattr(module, "list_flows", slowly)
    library.open([folder / "b.pcap"])
    assert reached.wait(60)
    # Who sorts meanwhile sorts the table that was there, and takes packets out of its captures.
    assert before.rows(None, None, 0, 5).to_list() == [0, 1, 2, 3, 4]
    assert before.found is not library.found
    stopping = threading.Thread(target=library.cancel)
    stopping.start()
    while not library._stop.is_set():
        pass
    go.set()
    stopping.join(60)
    assert (library.table, library.version) == (before, version)
    assert (library.reading.state, library.reading.error) == ("idle", "stopped")
    library.shut()


def test_what_is_kept_for_many_views_stays_within_a_bound(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowkeep.ui.table._MASK_BYTES", 500)
    table = FlowTable(fk.open(folder / "a.pcap").flows(details=True, identify=True))
    for n in range(200):
        host = f"10.0.{n % 20}.{n // 20 + 1}"
        assert table.choose(View(hidden=(Term("host", host),))).count == len(table) - 1
    assert 0 < table._masks.bytes <= 500 and 0 < table._choices.bytes <= 500


def test_links_stay_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowkeep.ui.api.take._MOST_GRANTED", 100)
    grants, found = Grants(), Found()
    keys = [grants.add(found, list(range(30)), "auto", "x") for _ in range(10)]
    assert (len(grants), grants.flows) == (3, 90)
    assert [grants.get(key) is not None for key in keys] == [False] * 7 + [True] * 3
    assert grants.get(grants.add(found, list(range(500)), "auto", "x")) is not None and len(grants) == 1
