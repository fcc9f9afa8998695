"""Everybody can use it: names, keyboard, contrast, quiet; measured in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ui.conftest import Looked, Served
from tests.ui.test_browser import traffic

PAGES = ("Files", "Flows", "Hosts", "Services", "Protocols", "Timeline", "Trim", "Cache", "Retain")

NAMELESS = """() => {
  const text = (e) => {
    const named = e.getAttribute("aria-labelledby");
    if (named) return named.split(" ").map((id) => document.getElementById(id)?.innerText || "").join("");
    const icons = e.cloneNode(true);
    icons.querySelectorAll(".q-icon, [aria-hidden=true]").forEach((i) => i.remove());
    return e.getAttribute("aria-label") || e.labels?.[0]?.innerText || e.title || icons.textContent.trim();
  };
  return [...document.querySelectorAll("button, a, input, select, textarea, [role=button], [role=tab], [role=checkbox], " +
      "[role=slider], [role=combobox], [role=menuitem], [role=img], [role=grid], [role=progressbar], iframe")]
    .filter((e) => e.checkVisibility() && e.type !== "hidden" && !e.closest(".ag-root-wrapper") && !text(e))
    .map((e) => e.outerHTML.slice(0, 200));
}"""

CONTRAST = """(least) => {
  const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number);
    if (text.startsWith("color(srgb")) n.splice(0, 3, ...n.slice(0, 3).map((v) => v * 255));
    return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => {
    const c = [r, g, b].map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
  };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
  const behind = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) {
      const back = parse(getComputedStyle(e).backgroundColor);
      if (back[3] > 0) layers.push(back);
      if (back[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const poor = [];
  let looked = 0;
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || e.placeholder;
    // What cannot be used now may be pale; what is cut off by a scrolled box is measured when it is seen.
    if (!own || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (e.closest(":disabled, [aria-disabled=true], .disabled, option, script, style")) continue;
    const style = getComputedStyle(e, e.placeholder && !e.value ? "::placeholder" : null);
    const back = behind(e);
    let color = parse(style.color);
    for (let p = e; p; p = p.parentElement) color[3] *= Number(getComputedStyle(p).opacity);
    const front = over(color, back), [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    looked++;
    if ((a + 0.05) / (b + 0.05) < least) {
      poor.push(`${((a + 0.05) / (b + 0.05)).toFixed(2)} ${style.color} on ${back.map(Math.round)}: ${e.className} ${(e.innerText || e.placeholder).slice(0, 40)}`);
    }
  }
  return { looked, poor: [...new Set(poor)] };
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(traffic(tmp_path_factory.mktemp("access")))
    yield made
    made.stop()


def visit(look: Looked, name: str) -> None:
    look.page.get_by_role("tab", name=name, exact=True).click()
    if name == "Trim":
        look.page.wait_for_selector("text=/would turn .* into/")
    if name == "Flows":
        look.page.locator(".ag-row").first.dblclick()
        look.page.wait_for_selector(".fk-mark:has-text('flow 0')")
    look.page.mouse.move(640, 5)
    look.page.wait_for_function(
        "document.getAnimations().every((a) => a.playState !== 'running' || a.effect.getTiming().iterations === Infinity)"
    )


@pytest.mark.parametrize("size", [(1280, 720), (3840, 2160)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_and_nothing_is_cut_off(
    served: Served, chromium: Any, theme: str, size: tuple[int, int]
) -> None:
    look = Looked(chromium, served.url, color_scheme=theme, size=size)
    look.shown("32 of 32 flows")
    for name in PAGES:
        visit(look, name)
        found = look.page.evaluate(CONTRAST, 4.5)
        assert found["looked"] > 10
        assert not found["poor"], (name, theme)
        wide = look.page.evaluate(
            "[document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
        )
        assert wide == [0, 0], name
        look.picture(f"{theme}-{size[0]}-{name.lower()}")
    visit(look, "Flows")
    for open_ in ("row", "packets", "columns", "keys"):
        if open_ == "row":
            look.page.locator(".ag-row").first.click(button="right")
        elif open_ == "keys":
            look.page.keyboard.press("?")
        else:
            look.page.locator(".fk-capture" if open_ == "packets" else "[aria-label=Columns]:visible").click()
        look.page.wait_for_selector(".q-menu, .q-dialog__inner")
        look.picture(f"{theme}-{size[0]}-{open_}")  # which waits until it has faded in
        assert not look.page.evaluate(CONTRAST, 4.5)["poor"], open_
        assert not look.page.evaluate(NAMELESS), open_
        look.page.keyboard.press("Escape")
        look.page.wait_for_selector(".q-menu, .q-dialog__inner", state="detached")
    look.close()


def test_all_that_can_be_used_has_a_name(served: Served, chromium: Any) -> None:
    look = Looked(chromium, served.url)
    look.shown("32 of 32 flows")
    for name in PAGES:
        visit(look, name)
        assert look.page.evaluate(NAMELESS) == [], name
    visit(look, "Flows")
    for name in ("Anomalies", "Details"):
        look.page.get_by_role("tab", name=name).click()
        assert look.page.evaluate(NAMELESS) == [], name
    look.close()


def test_every_page_is_walked_by_tab_with_a_focus_that_is_seen(served: Served, chromium: Any) -> None:
    look = Looked(chromium, served.url)
    look.shown("32 of 32 flows")
    page = look.page
    for name in PAGES:
        visit(look, name)
        page.evaluate(
            "document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')"
        )
        seen, dull = [], []
        for _ in range(60):
            page.keyboard.press("Tab")
            now = page.evaluate("""() => {
                const e = document.activeElement;
                if (!e || e === document.body) return null;
                const ring = [e, e.closest(".q-field__control, .q-field, .ag-header-cell, .q-checkbox, .q-slider"), ...e.children]
                    .filter(Boolean).some((r) => {
                    const s = getComputedStyle(r), after = getComputedStyle(r, "::after");
                    return (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none" ||
                        parseFloat(after.borderTopWidth) >= 1 && after.content !== "none" || (r.matches(".q-focus-helper") && Number(s.opacity) > 0);
                });
                return { what: e.getAttribute("aria-label") || e.closest("[role=slider]")?.getAttribute("aria-label") || e.labels?.[0]?.innerText.split(/\\W/)[0] || e.innerText?.slice(0, 30) || e.tagName, ring };
            }""")
            if now is None:
                break
            seen.append(now["what"])
            if not now["ring"]:
                dull.append(now["what"])
        assert not dull, (name, dull)
        wanted = {
            "Flows": ["SQL: bytes > 1MB AND service = 'tls'", "Columns", "Search in the transcript", "Encoding", "Save"],
            "Files": ["Path of a capture, a folder, or a glob", "Captures to upload"],
            "Timeline": ["From: a time, UTC", "To: a time, UTC"], "Trim": ["Cutoff"],
            "Cache": ["Socket of the cache"], "Retain": ["Policy"],
        }.get(name, [])  # fmt: skip
        assert not [each for each in wanted if each not in seen], (name, seen)
        # In the order in which they are read: header, filters, page.
        if name == "Flows":
            assert seen.index("Keys") < seen.index(wanted[0]) < seen.index("Columns") < seen.index("Save")
    look.close()


def test_progress_is_said_and_nothing_moves_for_those_who_do_not_want_it(
    served: Served, chromium: Any
) -> None:
    look = Looked(chromium, served.url, reduced_motion="reduce")
    look.shown("32 of 32 flows")
    page = look.page
    live = page.evaluate("[...document.querySelectorAll('[aria-live=polite]')].map((e) => e.className)")
    assert any("fk-shown" in each for each in live) and len(live) >= 3
    visit(look, "Trim")
    assert page.locator("[aria-live=polite]", has_text="would turn").count() == 1
    longest = page.evaluate("""() => Math.max(...[...document.querySelectorAll("*")].flatMap((e) => {
        const s = getComputedStyle(e);
        return [s.transitionDuration, s.animationDuration].flatMap((t) => t.split(",").map(parseFloat));
    }))""")
    assert longest <= 0.001
    look.close()


def test_the_page_says_its_language_and_what_it_is(served: Served, chromium: Any) -> None:
    look = Looked(chromium, served.url)
    page = look.page
    assert page.evaluate("document.documentElement.lang")
    assert page.title() == "flowkeep"
    assert page.get_by_role("heading", name="flowkeep").count() == 1
    assert page.get_by_role("tablist", name="Pages").count() == 1
    look.close()


def test_pictures_of_charts_follow_the_theme(served: Served, chromium: Any) -> None:
    look = Looked(chromium, served.url, color_scheme="light")
    look.shown("32 of 32 flows")
    visit(look, "Protocols")
    ink = "getElement(document.querySelector('.nicegui-echart:has(canvas)').id.slice(1)).chart.getOption()?.legend?.[0]?.textStyle?.color"
    look.page.wait_for_function(f"{ink} === '#333b47'")
    look.page.get_by_label("Dark or light").click()
    look.page.wait_for_function(f"{ink} === '#d5d9e0'")
    look.close()
