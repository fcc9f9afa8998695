"""The pages of the services in a real browser: a running cache, and what a retention policy would do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flowkeep.units import size

from tests import wire
from tests.cache.service import Service, running
from tests.retain import archive
from tests.ui.conftest import Looked, Served

EVIL = "<img src=x onerror=window.pwned=1>\x1b[31m\u202e"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def cache(folder: Path) -> Iterator[Service]:
    talks = [wire.udp_dialogue(client=f"10.0.0.{n}:5000", server="10.0.0.53:53") for n in range(1, 8)]
    talks.append(wire.tcp_session(client="10.0.0.9:4000", server="192.0.2.80:80", script=[("c", b"hello")]))
    (folder / "seen.pcap").write_bytes(wire.pcap(wire.merged(*talks)))
    place = folder / "cache"
    place.mkdir()
    with running(place, "--read", folder / "seen.pcap") as service:
        yield service


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    made = Served("--root", folder)
    yield made
    made.stop()


@pytest.fixture
def look(served: Served, chromium: Any) -> Iterator[Looked]:
    made = Looked(chromium, served.url)
    yield made
    made.close()


def test_a_cache_says_what_it_holds_and_is_read_into_the_table(look: Looked, cache: Service) -> None:
    page = look.page
    page.get_by_role("tab", name="Cache").click()
    page.wait_for_selector("text=not connected")
    page.get_by_label("Socket of the cache").fill(str(cache.socket.parent / "nobody.sock"))
    page.get_by_role("button", name="Connect").click()
    page.wait_for_selector("text=/not connected: .*nobody.sock/")
    page.get_by_label("Socket of the cache").fill(str(cache.socket))
    page.get_by_role("button", name="Connect").click()
    held = cache.status()["cache"]
    said = f"{size(held['used']['total'])} of {size(held['bound'])} in use, 8 flows, looks back"
    page.wait_for_selector(f"text={said}")
    page.get_by_placeholder("Packets, as tcpdump filters").fill("udp port 53")
    look.picture("cache")
    page.get_by_role("button", name="Read and open").click()
    page.wait_for_selector("text=/^14 packets/")
    page.get_by_role("tab", name="Flows").click()
    look.shown("7 of 7 flows")


def test_what_a_cache_refuses_is_said(look: Looked, cache: Service) -> None:
    page = look.page
    page.get_by_role("tab", name="Cache").click()
    page.get_by_label("Socket of the cache").fill(str(cache.socket))
    page.get_by_role("button", name="Connect").click()
    page.wait_for_selector("text=/in use, 8 flows/")
    page.get_by_placeholder("Packets, as tcpdump filters").fill("host <b>")
    page.get_by_role("button", name="Read and open").click()
    page.wait_for_selector(".q-notification:has-text('<b>')")


@pytest.fixture(scope="module")
def policy(folder: Path) -> Path:
    # Days before now, as the page plans for now.
    late = int((time.time_ns() - archive.START_NS) / archive.DAY)
    for n in (late - 40, late - 8, late - 1):
        archive.write_day(folder, n)
    return archive.write_policy(folder)


def test_a_plan_stands_with_its_reasons_and_a_forecast_with_its_pictures(look: Looked, policy: Path) -> None:
    page = look.page
    before = archive.content(policy.parent)
    page.get_by_role("tab", name="Retain").click()
    page.get_by_label("Policy").fill(str(policy))
    page.get_by_role("button", name="Plan").click()
    page.wait_for_selector("text=/nsm: .* would become/")
    rows = page.locator(".q-table tbody tr:visible").filter(has_text=".pcap").all_inner_texts()
    assert len(rows) == 3, rows
    assert all(len(row.split("\t")[-1].strip()) > 5 for row in rows), "each has a reason"
    look.picture("retain-plan")
    page.get_by_role("button", name="Forecast").click()
    shown = page.frame_locator("iframe[title=Forecast]")
    shown.locator("svg").first.wait_for()
    assert shown.locator("svg path, svg rect, svg polyline, svg polygon").count() > 3
    look.picture("retain-forecast")
    assert archive.content(policy.parent) == before, "nothing is carried out"


def test_a_hostile_policy_is_shown_harmless(look: Looked, folder: Path, policy: Path) -> None:
    page = look.page
    hostile = folder / f"{EVIL.replace('/', '')}.toml"
    quoted = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in EVIL)
    hostile.write_text(f'[dataset.nsm]\ninclude = "{folder}/nsm/*.pcap"\n"{quoted}" = 1\n')
    page.get_by_role("tab", name="Retain").click()
    for path, said in (
        (str(hostile), "onerror"),
        ("/etc/passwd", "outside of what this server may touch"),
        (str(folder / "nothing.toml"), "nothing.toml"),
    ):
        page.get_by_label("Policy").fill(path)
        page.get_by_role("button", name="Plan").click()
        page.locator(".q-notification", has_text=said).first.wait_for()
    look.picture("retain-hostile")
    # The name of the file stands in the list of the folder, too.
    page.reload()
    page.get_by_role("tab", name="Files").click()
    page.get_by_role("button", name="onerror").first.wait_for()
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    text = page.evaluate("document.body.innerText")
    assert "\x1b" not in text and "\u202e" not in text
