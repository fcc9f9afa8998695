"""The whole loop in a real browser: load, hide what is normal, look, take it out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest

from tests import wire
from tests.ui.conftest import Looked, Served

REQUEST = b"GET /secret HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe cargo"


def traffic(folder: Path) -> Path:
    talks = [
        wire.udp_dialogue(client=f"10.0.0.{n}:{50000 + n}", server="10.0.0.53:53", start_ns=wire.talk.START_NS + n * 10**9)
        for n in range(1, 31)
    ]  # fmt: skip
    talks.append(wire.tcp_session(client="10.0.0.7:40000", server="192.0.2.80:80", script=[("c", REQUEST), ("s", ANSWER)],
                                  start_ns=wire.talk.START_NS + 5 * 10**9))  # fmt: skip
    talks.append(wire.tcp_session(client="10.0.0.8:40001", server="192.0.2.81:4444",
                                  script=[("c", b"\x90\x90shell"), ("s", bytes(200_000))]))  # fmt: skip
    path = folder / "traffic.pcap"
    path.write_bytes(wire.pcap(wire.merged(*talks)))
    return path


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traffic(tmp_path_factory.mktemp("captures"))


@pytest.fixture(scope="module")
def served(capture: Path) -> Iterator[Served]:
    made = Served(capture)
    yield made
    made.stop()


@pytest.fixture
def look(served: Served, chromium: Any) -> Iterator[Looked]:
    made = Looked(chromium, served.url)
    made.shown("32 of 32 flows")
    yield made
    made.close()


def typed(look: Looked, key: str, text: str) -> None:
    look.page.keyboard.press(key)
    look.page.keyboard.type(text)
    look.page.keyboard.press("Enter")
    look.page.keyboard.press("Escape")


def saved(look: Looked, click: Any) -> Path:
    with look.page.expect_download() as waiting:
        click()
    return Path(waiting.value.path())


def test_the_loop(look: Looked, capture: Path) -> None:
    page = look.page
    look.picture("flows")
    # Hide what is normal: with the menu of a row, then by a filter.
    page.get_by_text("10.0.0.53").first.click(button="right")
    page.wait_for_selector("text=Copy as text")
    look.picture("row-menu")
    page.get_by_text("Hide port 53/udp").click()
    look.shown("2 of 32 flows")
    page.keyboard.press("i")
    look.shown("30 of 32 flows")
    page.keyboard.press("u")
    look.shown("2 of 32 flows")
    typed(look, "s", "server_port = 80")
    look.shown("1 of 32 flows")
    look.picture("what-is-left")
    # Look.
    page.locator(".ag-row").first.dblclick()
    page.wait_for_selector(".fk-client:has-text('GET /secret')")
    page.wait_for_selector(".fk-server:has-text('the cargo')")
    look.picture("transcript")
    page.get_by_text("hex", exact=True).click()
    page.wait_for_selector(".fk-client:has-text('47 45 54 20')")
    # Take it out.
    page.keyboard.press("Escape")
    taken = saved(look, lambda: page.keyboard.press("e"))
    assert [row["server_ip"] for row in fk.open(taken).flows().to_dicts()] == ["192.0.2.80"]
    there = [packet.data for packet in wire.read(capture.read_bytes()).records]
    got = [packet.data for packet in wire.read(taken.read_bytes()).records]
    assert len(got) == 10 and all(data in there for data in got)
    page.get_by_label("Save", exact=True).click()
    assert saved(look, lambda: page.get_by_text("Save server bytes").click()).read_bytes() == ANSWER


def test_a_view_is_shared_by_its_url_and_tabs_do_not_see_each_other(
    look: Looked, served: Served, chromium: Any
) -> None:
    typed(look, "b", "host 192.0.2.80")
    look.shown("1 of 32 flows")
    page = look.page
    page.wait_for_function("location.search.includes('filter=host')")
    other = Looked(chromium, served.url)
    other.shown("32 of 32 flows")
    other.page.goto(page.url)
    other.shown("1 of 32 flows")
    other.close()
    look.shown("1 of 32 flows")


@pytest.mark.parametrize(("key", "text", "said"), [
    ("b", "host", "filter"), ("s", "nope > 1", "unable to find column"), ("/", "/(/", "regular expression"),
])  # fmt: skip
def test_what_cannot_be_meant_is_said_and_changes_nothing(
    look: Looked, key: str, text: str, said: str
) -> None:
    typed(look, key, text)
    look.page.wait_for_selector(f".q-notification:has-text('{said}')")
    look.shown("32 of 32 flows")


def test_completion(look: Looked) -> None:
    look.page.keyboard.press("s")
    look.page.keyboard.type("server_b")
    look.page.get_by_text("server_bytes", exact=True).last.click()
    look.page.wait_for_function("document.querySelector('#fk-where').value === 'server_bytes'")
    look.page.keyboard.type(" > 100kB")
    look.page.keyboard.press("Enter")
    look.shown("1 of 32 flows")


def test_rows_are_selected_by_keyboard(look: Looked) -> None:
    page = look.page
    page.locator(".ag-row").nth(2).click()
    page.keyboard.down("Shift")
    page.locator(".ag-row").nth(5).click()
    page.keyboard.up("Shift")
    page.wait_for_selector(".fk-capture:has-text('4')")
    page.keyboard.press("h")
    look.shown("28 of 32 flows")


@pytest.mark.parametrize(("page", "text"), [
    ("Files", "traffic.pcap"), ("Hosts", "192.0.2.80"), ("Services", "10.0.0.53"), ("Protocols", "http"),
    ("Timeline", "Drag across the picture"), ("Trim", "would turn"),
])  # fmt: skip
def test_each_page(look: Looked, page: str, text: str) -> None:
    look.page.get_by_role("tab", name=page).click()
    look.page.wait_for_selector(f"text={text} >> visible=true")
    if page == "Trim":
        look.page.wait_for_selector("text=/would turn .* into/")
    look.page.get_by_label("Dark or light").click()
    look.picture(page.lower())


def test_a_cutoff_is_tried_and_carried_out(look: Looked, capture: Path) -> None:
    page = look.page
    page.get_by_role("tab", name="Trim").click()
    page.wait_for_selector("text=/would turn .* into/")
    page.get_by_text("Trim…").click()
    page.get_by_role("textbox", name="Cutoff").fill("10kB")
    page.get_by_label("Folder").fill(str(capture.parent / "small"))
    look.picture("trim-dialog")
    page.get_by_role("button", name="Trim", exact=True).click()
    page.wait_for_selector("text=/became/")
    trimmed = capture.parent / "small" / capture.name
    assert trimmed.stat().st_size < 30_000 < capture.stat().st_size
    assert max(row["client_bytes"] for row in fk.open(capture).flows().to_dicts()) > 0


def test_upload_append_and_leave_away(chromium: Any, capture: Path, tmp_path: Path) -> None:
    served = Served("--root", tmp_path)
    look = Looked(chromium, served.url)
    page = look.page
    page.wait_for_selector("text=no capture is open")
    page.set_input_files("input[type=file]", str(capture))
    page.wait_for_selector("text=traffic.pcap: uploaded")
    page.get_by_role("tab", name="Flows").click()
    look.shown("32 of 32 flows")
    (tmp_path / "more.pcap").write_bytes(
        wire.pcap(wire.udp_dialogue(client="10.9.9.9:1000", server="10.9.9.8:2000"))
    )
    page.get_by_role("tab", name="Files").click()
    page.get_by_placeholder("Path of a capture").fill(str(tmp_path / "more.pcap"))
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Flows").click()
    look.shown("33 of 33 flows")
    page.get_by_role("tab", name="Files").click()
    page.get_by_placeholder("Path of a capture").fill("/etc/passwd")
    page.keyboard.press("Enter")
    page.wait_for_selector(".q-notification:has-text('outside of what this server may touch')")
    page.get_by_role("row", name=re.compile("traffic")).get_by_role("checkbox").click()
    page.get_by_text("Leave away").click()
    page.get_by_role("tab", name="Flows").click()
    look.shown("1 of 1 flows")
    look.close()
    served.stop()
