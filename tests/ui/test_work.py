"""What one does with the tables: complete, select by keyboard, hide, search, keep columns, share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest

from tests import wire
from tests.ui.conftest import Looked, Served
from tests.ui.test_browser import typed

LONG = b"".join(b"line %06d of the long answer\n" % n for n in range(9000))
"""More than four pages of a transcript."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    start = wire.talk.START_NS
    asked = [
        wire.udp_dialogue(client=f"10.0.{n % 3}.{n}:{50000 + n}", server="10.0.0.53:53", start_ns=start + n * 10**9)
        for n in range(1, 21)
    ]  # fmt: skip
    header = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LONG)
    asked.append(wire.tcp_session(
        client="10.0.0.7:40000", server="192.0.2.80:80", start_ns=start + 5 * 10**9,
        script=[("c", b"GET /long HTTP/1.1\r\nHost: www.shop.example.co.uk\r\n\r\n"), ("s", header + LONG)],
    ))  # fmt: skip
    path = tmp_path_factory.mktemp("work") / "work.pcap"
    path.write_bytes(wire.pcap(wire.merged(*asked)))
    return path


@pytest.fixture(scope="module")
def served(capture: Path) -> Iterator[Served]:
    made = Served(capture)
    yield made
    made.stop()


@pytest.fixture
def look(served: Served, chromium: Any) -> Iterator[Looked]:
    made = Looked(chromium, served.url)
    made.shown("21 of 21 flows")
    yield made
    made.close()


def settled(look: Looked, text: str) -> None:
    """Wait until a menu with this text is there."""
    look.page.wait_for_selector(f"[role=menuitem]:has-text('{text}')")


def test_addresses_services_and_names_are_completed_by_keyboard(look: Looked) -> None:
    page = look.page
    page.keyboard.press("b")
    page.keyboard.type("host 192")
    page.wait_for_selector("#fk-complete li:has-text('192.0.2.80')")
    assert page.locator("#fk-filter").get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    look.picture("completion")
    active = page.locator("#fk-filter").get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#fk-filter').value === 'host 192.0.2.80'")
    look.shown("21 of 21 flows")  # Return took the completion, and applied nothing yet
    page.keyboard.press("Enter")
    look.shown("1 of 21 flows")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    look.shown("21 of 21 flows")
    page.keyboard.press("/")
    page.keyboard.type("shop")
    page.locator("#fk-complete li", has_text="www.shop.example.co.uk").click()
    page.keyboard.press("Enter")
    look.shown("1 of 21 flows")


def test_a_wrong_filter_is_marked_where_it_stands(look: Looked) -> None:
    field = look.page.locator("#fk-where")
    typed(look, "s", "nope > 1")
    look.page.wait_for_selector("#fk-where[aria-invalid=true]")
    field.fill("bytes > 0")
    look.page.wait_for_selector("#fk-where[aria-invalid=false]")
    field.press("Enter")
    look.page.wait_for_function("location.search.includes('where=')")
    look.shown("21 of 21 flows")


def test_rows_are_selected_hidden_and_followed_without_a_mouse(look: Looked) -> None:
    page = look.page
    page.locator(".ag-row").nth(1).locator(".ag-cell").first.click()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    page.wait_for_selector(".fk-capture:has-text('3 flows')")
    page.keyboard.press("Shift+ArrowUp")
    page.wait_for_selector(".fk-capture:has-text('2 flows')")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.wait_for_selector(".fk-capture:has-text('3 flows')")
    # The menu of the row, its items by arrows.
    page.keyboard.press("m")
    page.wait_for_selector("[role=menuitem]:has-text('Hide these 3 flows')")
    page.wait_for_selector("[role=menuitem]:has-text('Hide these 4 hosts')")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.innerText").startswith("Follow")
    page.keyboard.press("Escape")
    page.wait_for_selector("[role=menuitem]", state="detached")
    page.locator(".ag-row").first.locator(".ag-cell").first.click()
    page.keyboard.press("Escape")
    page.wait_for_selector(".fk-capture:has-text('all 21 flows')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".fk-mark:has-text('flow 0')")


def test_hosts_of_many_rows_are_hidden_or_shown_alone(look: Looked) -> None:
    page = look.page
    page.locator(".ag-row").nth(0).click()
    page.locator(".ag-row").nth(1).click(modifiers=["Shift"])
    page.wait_for_selector(".fk-capture:has-text('2 flows')")
    page.locator(".ag-row").nth(1).click(button="right")
    settled(look, "Hide these 3 hosts")
    look.picture("row-menu-many")
    page.get_by_role("button", name="Show these 3 hosts alone").click()
    page.wait_for_selector("text=shown alone:")
    look.shown("20 of 21 flows")  # all that speak with 10.0.0.53
    page.keyboard.press("u")
    look.shown("21 of 21 flows")


def test_a_domain_is_none_under_which_others_register(look: Looked) -> None:
    page = look.page
    page.locator(".ag-row", has_text="192.0.2.80").click(button="right")
    page.wait_for_selector("[role=menuitem]:has-text('Hide domain example.co.uk')")
    assert page.get_by_text("Hide domain co.uk", exact=True).count() == 0
    page.get_by_text("Hide domain shop.example.co.uk").click()
    look.shown("20 of 21 flows")


def test_a_transcript_is_searched_through_all_its_pages(look: Looked) -> None:
    page = look.page
    page.locator(".ag-row", has_text="192.0.2.80").dblclick()
    page.wait_for_selector(".fk-client:has-text('GET /long')")
    page.get_by_label("Search in the transcript").fill("LINE 008123")
    page.keyboard.press("Enter")
    page.wait_for_selector("mark.fk-now:text-is('line 008123')")
    look.picture("transcript-search")
    page.wait_for_selector("text=1 of 1 here")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=no further place")
    page.get_by_label("Search in the transcript").fill("line 000001")
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector("mark.fk-now:text-is('line 000001')")
    page.get_by_label("Search in the transcript").fill("long")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=/2 of \\d+ here/")


def test_every_byte_of_a_page_is_shown_as_hex(look: Looked, served: Served, capture: Path) -> None:
    flow = next(r["flow_id"] for r in fk.open(capture).flows().to_dicts() if r["server_ip"] == "192.0.2.80")
    answer = served.ask(f"api/flows/{flow}/transcript?show=hex")
    assert not answer["cut"]
    assert answer["next"] == 65536
    dumped = "".join(
        "".join(re.findall(r"^\s*[0-9a-f]+  ((?:[0-9a-f]{2} +)+)", line["text"]))
        for line in answer["lines"]
        if line["who"]
    )
    assert len(dumped.split()) == 65536


@pytest.mark.parametrize(("tab", "name", "title"), [
    ("Flows", "vlan", "VLAN"), ("Hosts", "mss", "MSS"), ("Services", "jitter", "Jitter"),
])  # fmt: skip
def test_columns_that_are_chosen_are_kept(look: Looked, tab: str, name: str, title: str) -> None:
    page = look.page
    page.get_by_role("tab", name=tab, exact=True).click()
    before = name != "vlan"
    header = page.locator(f".ag-header-cell[col-id={name}]")
    page.get_by_label("Columns").locator("visible=true").click()
    box = page.get_by_role("checkbox", name=title, exact=True)
    assert box.get_attribute("aria-checked") == str(before).lower()
    box.click()
    page.reload()
    page.get_by_role("tab", name=tab, exact=True).click()
    page.get_by_label("Columns").locator("visible=true").click()
    page.wait_for_selector(f"[role=checkbox][aria-checked={str(not before).lower()}] >> text='{title}'")
    if before:
        assert header.count() == 0
    page.get_by_text("As at first").click()
    page.wait_for_selector(f"[role=checkbox][aria-checked={str(before).lower()}] >> text='{title}'")


def test_the_order_and_the_flow_are_part_of_the_url(look: Looked, served: Served, chromium: Any) -> None:
    page = look.page
    page.locator(".ag-header-cell[col-id=bytes]").click()
    page.wait_for_selector(".ag-row[row-index='0']:has-text('192.0.2.80')")
    page.wait_for_function("location.search.includes('sort=-bytes')")
    page.locator(".ag-row[row-index='0']").dblclick()
    page.wait_for_function("location.search.includes('follow=')")
    typed(look, "s", "bytes > 0")
    look.page.wait_for_function(
        "location.search.includes('where=') && location.search.includes('sort=-bytes')"
    )
    other = Looked(chromium, served.url)
    other.page.goto(page.url)
    other.page.wait_for_selector(".ag-row[row-index='0']:has-text('192.0.2.80')")
    other.page.wait_for_selector(".fk-client:has-text('GET /long')")
    other.close()


def test_a_range_is_drawn_over_the_timeline(look: Looked) -> None:
    page = look.page
    page.get_by_role("tab", name="Timeline").click()
    page.wait_for_selector(".nicegui-echart canvas >> visible=true")
    page.wait_for_function(
        "getElement(document.querySelector('.nicegui-echart:has(canvas)').id.slice(1)).chart.getOption().series?.length === 2"
    )
    area = page.locator(".nicegui-echart canvas").locator("visible=true").bounding_box()
    assert area is not None
    across = area["x"] + 80, area["width"] - 160
    y = area["y"] + area["height"] / 2
    page.wait_for_timeout(300)  # the brush is switched on behind the drawing
    page.mouse.move(across[0] + 0.52 * across[1], y)
    page.mouse.down()
    page.mouse.move(across[0] + 0.75 * across[1], y, steps=5)
    page.mouse.up()
    page.wait_for_selector("text='time range'")
    look.picture("timeline-brush")
    counted = page.inner_text(".fk-shown")
    assert 0 < int(counted.split()[0]) < 12
    page.get_by_text("All of time").click()
    look.shown("21 of 21 flows")
    # The same by keyboard.
    page.get_by_label("From: a time, UTC").fill("2023-11-14T22:13:35Z")
    page.keyboard.press("Enter")
    look.shown("6 of 21 flows")


def test_protocols_lead_to_their_flows(look: Looked) -> None:
    page = look.page
    page.get_by_role("tab", name="Protocols").click()
    page.get_by_role("cell", name="http", exact=True).click()
    look.shown("1 of 21 flows")
    page.keyboard.press("u")
    look.shown("21 of 21 flows")
    page.get_by_role("cell", name="udp (not identified)").click()
    look.shown("20 of 21 flows")


def test_a_host_leads_to_its_flows(look: Looked) -> None:
    page = look.page
    page.get_by_role("tab", name="Hosts").click()
    page.locator(".ag-row:visible", has_text="192.0.2.80").dblclick()
    look.shown("1 of 21 flows")
    page.wait_for_selector("[role=tab][aria-selected=true]:has-text('Flows')")


def test_theme_and_times_are_kept(look: Looked) -> None:
    page = look.page
    dark = page.evaluate("document.body.classList.contains('body--dark')")
    page.get_by_label("Dark or light").click()
    page.get_by_text("UTC", exact=True).click()
    page.wait_for_selector("button:has-text('Local')")
    page.reload()
    look.shown("21 of 21 flows")
    page.wait_for_function(f"document.body.classList.contains('body--dark') === {str(not dark).lower()}")
    page.wait_for_selector("button:has-text('Local')")
    assert page.evaluate("fk.state.utc") is False


def test_packets_lie_in_a_file_whose_path_is_copied(served: Served, chromium: Any, capture: Path) -> None:
    look = Looked(chromium, served.url, permissions=["clipboard-read", "clipboard-write"])
    look.shown("21 of 21 flows")
    page = look.page
    page.locator(".ag-row", has_text="192.0.2.80").click()
    page.wait_for_selector(".fk-capture:has-text('1 flow')")
    page.locator(".fk-capture").click()
    settled(look, "Copy path of a file")
    look.picture("packets-menu")
    page.get_by_text("Copy path of a file").click()
    page.wait_for_selector(".q-notification:has-text('path copied')")
    path = Path(page.evaluate("navigator.clipboard.readText()"))
    assert [row["server_ip"] for row in fk.open(path).flows().to_dicts()] == ["192.0.2.80"]
    look.close()


def test_the_capture_icon_carries_a_link_that_gives_the_packets(look: Looked, tmp_path: Path) -> None:
    page = look.page
    page.locator(".ag-row", has_text="192.0.2.80").click()
    page.wait_for_selector(".fk-capture:has-text('1 flow')")
    page.wait_for_function("fk.state.link && fk.state.link.name.startsWith('flow-')")
    carried = page.evaluate("""() => {
        const transfer = new DataTransfer();
        document.querySelector('.fk-capture').dispatchEvent(new DragEvent('dragstart', { dataTransfer: transfer, bubbles: true }));
        return Object.fromEntries([...transfer.types].map((t) => [t, transfer.getData(t)]));
    }""")
    kind, name, url = carried["downloadurl"].split(":", 2)
    assert (kind, name[-7:]) == ("application/vnd.tcpdump.pcap", ".pcapng")
    assert carried["text/uri-list"] == url
    # As another program fetches it: without a cookie.
    import urllib.request

    got = tmp_path / name
    got.write_bytes(urllib.request.urlopen(url).read())
    assert [row["server_ip"] for row in fk.open(got).flows().to_dicts()] == ["192.0.2.80"]
    assert "Linux hands over a link and no file" in page.evaluate(
        "new Promise((r) => { document.querySelector('.fk-capture').dispatchEvent(new MouseEvent('mouseenter')); setTimeout(() => r(document.body.innerText), 900); })"
    )


def test_empty_pages_say_why(chromium: Any, tmp_path: Path) -> None:
    served = Served("--root", tmp_path)
    look = Looked(chromium, served.url)
    page = look.page
    page.wait_for_selector("text=no capture is open")
    for tab, text in (
        ("Flows", "No capture is open. Add one"), ("Hosts", "No capture is open. Add one"), ("Trim", "No capture is open"),
        ("Cache", "flowkeep cache run"), ("Retain", "A policy says"),
    ):  # fmt: skip
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_selector(f"text={text} >> visible=true")
    look.picture("empty")
    assert page.locator(".q-notification").count() == 0
    look.close()
    served.stop()


def test_filters_that_leave_nothing_say_so(look: Looked) -> None:
    typed(look, "s", "bytes < 0")
    look.shown("0 of 21 flows")
    look.page.wait_for_selector("text=These filters leave nothing >> visible=true")
    look.page.keyboard.press("u")
    look.shown("21 of 21 flows")
    look.page.wait_for_selector("text=These filters leave nothing", state="hidden")


def test_keys_are_listed(look: Looked) -> None:
    look.page.keyboard.press("?")
    dialog = look.page.get_by_role("dialog")
    for text in ("invert hiding", "select more rows", "menu of the row", "save the packets"):
        dialog.get_by_text(text, exact=True).wait_for()
    look.picture("keys")
    look.page.keyboard.press("h")  # not for the table behind it
    look.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    look.shown("21 of 21 flows")


def test_as_json(served: Served) -> None:
    made = served.ask("api/complete?field=where&text=server_b")
    assert made["begin"] == 0
    assert "server_bytes" in [item["text"] for item in made["items"]]
    assert json.dumps(made)
