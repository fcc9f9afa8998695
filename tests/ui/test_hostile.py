"""A capture that attacks whoever looks at it: names, payloads and file names with HTML, scripts, terminal escapes and
marks that turn text around. Every page, menu, tooltip, title and download name is visited; nothing of it comes alive."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import wire
from tests.ui.conftest import Looked, Served

EVIL = "<img src=x onerror=window.pwned=1>\x1b[31m\u202e</script><script>window.pwned=2</script>'\"`${window.pwned=3}{{window.pwned=4}}"
PLAIN = "<b onclick=x>plain</b>"
"""Without a sign that is made harmless: it is offered as a completion."""
FILE = "<img src=x onerror=window.pwned=5>\u202e\x1b[31m'`{{7*7}}.pcap"


def _name(text: bytes) -> bytes:
    return bytes([len(text)]) + text + b"\x03com\x00"


def capture_into(folder: Path) -> Path:
    """HTTP with hostile headers, DNS with hostile names, a TLS hello with a hostile SNI, a conflict, a gap."""
    request = f"GET /{EVIL} HTTP/1.1\r\nHost: {EVIL}\r\nUser-Agent: {EVIL}\r\n\r\n".encode()
    answer = f"HTTP/1.1 200 {EVIL}\r\nServer: {EVIL}\r\nContent-Type: text/html\r\n\r\n<html>{EVIL}</html>".encode()
    name = _name(b"<b onclick=x>'{{7*7}}\x1b[31m evil")
    asked = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1"
    told = (
        b"\x12\x34\x81\x80\0\1\0\1\0\0\0\0" + name + b"\0\1\0\1" + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x0a\0\0\2"
    )
    shown = f"GET / HTTP/1.1\r\nHost: {PLAIN}\r\n\r\n".encode()
    path = folder / FILE
    path.write_bytes(wire.pcap(wire.merged(
        wire.tcp_session(script=[("c", request), ("s", answer)], server="10.0.0.2:80"),
        wire.udp_dialogue(script=[("c", asked), ("s", told)], server="10.0.0.53:53"),
        wire.tcp_session(
            script=[("c", b"\x00" + EVIL.encode()), ("s", EVIL.encode("utf-16-le"))], server="10.0.0.2:4444"
        ),
        wire.tcp_session(script=[("c", shown), ("s", answer)], server="10.0.0.2:80", client="10.0.0.9:4000"),
    )))  # fmt: skip
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    made = Served(
        capture_into(folder), "--open-with", f"true {EVIL.replace(chr(39), '').replace(chr(34), '')}"
    )
    yield made
    made.stop()


def harmless(look: Looked, where: str) -> None:
    page = look.page
    assert page.evaluate("window.pwned") is None, where
    assert page.evaluate("document.querySelectorAll('img[src=x], b[onclick]').length") == 0, where
    seen = page.evaluate("""() => document.body.innerText + document.title + [...document.querySelectorAll("*")].flatMap((e) =>
        [...e.attributes].filter((a) => /^(title|aria-label|alt|placeholder|value|download|href)$/.test(a.name)).map((a) => a.value)).join("|")
        + [...document.querySelectorAll("input")].map((e) => e.value).join("|")""")
    for sign in ("\x1b", "\u202e", "\x00"):
        assert sign not in seen, (where, sign)
    # {{7*7}} of a template is no 49.
    assert not re.search(r"evil49|'49\.pcap", seen), where


def test_nothing_of_it_comes_alive_on_any_page(served: Served, chromium: Any) -> None:
    look = Looked(chromium, served.url)
    look.shown("4 of 4 flows")
    page = look.page
    for name in ("Files", "Hosts", "Services", "Protocols", "Timeline", "Trim", "Cache", "Retain", "Flows"):
        page.get_by_role("tab", name=name, exact=True).click()
        if name == "Trim":
            page.wait_for_selector("text=/would turn .* into/")
            page.get_by_text("Trim…").click()
            page.get_by_role("textbox", name="Folder").wait_for()
            harmless(look, "the dialog of Trim")
            page.get_by_role("button", name="Cancel").click()
        if name in ("Hosts", "Services"):
            page.locator(".ag-row:visible").first.click(button="right")
            page.wait_for_selector("[role=menuitem]:has-text('Show its flows')")
            harmless(look, f"the menu of {name}")
            page.keyboard.press("Escape")
        page.wait_for_timeout(300)
        harmless(look, name)
    look.close()


def test_transcripts_details_menus_and_tooltips_are_text(served: Served, chromium: Any) -> None:
    look = Looked(chromium, served.url, permissions=["clipboard-read", "clipboard-write"])
    look.shown("4 of 4 flows")
    page = look.page
    # All columns, so that each name is drawn.
    for column in ("sni", "http_host", "service_evidence", "community_id"):
        page.evaluate(f"fk.showColumn('flows', '{column}', true)")
    for row in (0, 1, 2):
        page.locator(f".ag-row[row-index='{row}'] [col-id=proto]").dblclick()
        page.wait_for_selector(f".fk-mark:has-text('flow {row}')")
        harmless(look, f"transcript {row}")
        for encoding in ("utf-16-le", "latin-1", "utf-8"):
            page.locator("label:has(.fk-away)").click()
            page.get_by_role("option", name=encoding, exact=True).click()
            page.wait_for_selector(f".fk-mark:has-text('flow {row}')")
            harmless(look, f"{encoding} {row}")
        for below in ("Anomalies", "Details", "Transcript"):
            page.get_by_role("tab", name=below).click()
            page.wait_for_timeout(200)
            harmless(look, f"{below} {row}")
        name = page.locator(f".ag-row[row-index='{row}'] [col-id=server_name]")
        name.scroll_into_view_if_needed()
        name.hover()
        page.wait_for_timeout(700)
        harmless(look, f"tooltip {row}")
        name.click(button="right")
        page.wait_for_selector("text=Copy as text")
        harmless(look, f"menu {row}")
        page.get_by_text("Copy as text").click()
        assert "\x1b" not in page.evaluate("navigator.clipboard.readText()")
        page.wait_for_selector("text=Copy as text", state="hidden")
    page.locator(".fk-capture").click()
    page.wait_for_selector("text=Open with true")
    harmless(look, "packets")
    look.picture("hostile")
    look.close()


def test_what_is_completed_hidden_and_complained_about_is_text(served: Served, chromium: Any) -> None:
    look = Looked(chromium, served.url)
    look.shown("4 of 4 flows")
    page = look.page
    page.keyboard.press("/")
    page.keyboard.type("onclick")
    page.wait_for_selector("#fk-complete li:has-text('plain')")
    harmless(look, "completion")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    look.shown("1 of 4 flows")
    harmless(look, "keyword")
    page.keyboard.press("Escape")
    # As somebody's link would have it.
    wicked = urllib.parse.quote(EVIL)
    for query in (f"where={wicked}", f"filter={wicked}", f"keyword=/({wicked}/", f"hide={wicked}", f"hide=domain:{wicked}",
                  f"hide=service:{wicked}", f"sort={wicked}", f"since={wicked}", f"page={wicked}", f"follow={wicked}"):  # fmt: skip
        page.goto(f"{look.base}?{query}")
        # What cannot be meant is complained about; the table is there all the same.
        page.wait_for_selector(".fk-shown:text-matches('of 4 flows')")
        page.wait_for_timeout(300)
        assert page.evaluate("window.pwned") is None, query
        assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0, query
    look.context.close()  # the server said no to some of these, and the console says so


def test_names_of_downloads_are_ours(served: Served, chromium: Any) -> None:
    look = Looked(chromium, served.url)
    look.shown("4 of 4 flows")
    with look.page.expect_download() as waiting:
        look.page.keyboard.press("e")
    assert waiting.value.suggested_filename in ("4-flows.pcapng", "4-flows.pcap")
    look.page.locator(".ag-row").first.dblclick()
    look.page.wait_for_selector(".fk-client:has-text('onerror')")
    look.page.get_by_label("Save", exact=True).click()
    with look.page.expect_download() as waiting:
        look.page.get_by_text("Save client bytes").click()
    assert re.fullmatch(r"[A-Za-z0-9._-]+", waiting.value.suggested_filename)
    look.close()


def test_answers_of_the_api_hold_no_sign_that_a_terminal_obeys(served: Served) -> None:
    for path in ("api/flows", "api/hosts", "api/services", "api/protocols", "api/files", "api/files/browse",
                 "api/flows/0/transcript", "api/flows/2/transcript?encoding=utf-16-le", "api/flows/1/anomalies",
                 "api/complete?field=keyword&text=e"):  # fmt: skip
        text = str(served.ask(path))
        assert "\x1b" not in text and "\u202e" not in text, path
    assert "onerror" in str(served.ask("api/flows/0/transcript"))
