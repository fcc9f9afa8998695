"""The bar of filters: three languages, what is hidden, and how much is left behind each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nicegui import ui

from ..view import View
from .tab import Tab

_BPF = [
    "host ",
    "net ",
    "port ",
    "portrange ",
    "tcp",
    "udp",
    "icmp",
    "ip6",
    "src host ",
    "dst host ",
    "vlan ",
    "not ",
    "and ",
    "or ",
]
_SQL = ["AND ", "OR ", "NOT ", "LIKE '%", "IS NULL", "IS NOT NULL", "IN ("]
_NAMES = {
    "all": "all flows",
    "hidden": "not hidden",
    "time": "in time",
    "filter": "filter",
    "where": "SQL",
    "keyword": "keyword",
}


def last_word(text: str) -> str:
    """What is being typed."""
    return text[len(text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.")) :]


def completions(text: str, words: list[str]) -> list[str]:
    """Whole texts with the last word completed."""
    word = last_word(text)
    if not word:
        return []
    stem = text[: len(text) - len(word)]
    return [stem + each for each in words if each.lower().startswith(word.lower()) and each != word][:12]


def _changed(view: View, name: str, text: str) -> View:
    if name == "filter":
        return replace(view, filter=text)
    return replace(view, where=text) if name == "where" else replace(view, keyword=text)


class FilterBar:
    """Three fields and what follows from them."""

    def __init__(self, tab: Tab) -> None:
        """Draw it."""
        self.tab = tab
        with ui.row().classes("w-full items-center gap-2 px-2 pt-1 no-wrap"):
            self.bpf = self._field(
                "filter", "Filter as tcpdump: net 10.0.0.0/8 and not port 53", lambda: _BPF
            )
            self.sql = self._field("where", "SQL: bytes > 1MB AND service = 'tls'", self._sql_words)
            self.keyword = self._field("keyword", "Keyword or /regex/", lambda: [])
            self.undo = (
                ui.button(icon="undo", on_click=tab.back)
                .props('flat dense aria-label="Undo"')
                .tooltip("Undo (U)")
            )
            self.redo = (
                ui.button(icon="redo", on_click=tab.forth)
                .props('flat dense aria-label="Redo"')
                .tooltip("Redo (Ctrl+Shift+Z)")
            )
            self.clear = ui.button(icon="filter_alt_off", on_click=lambda: tab.show(View())).props(
                'flat dense aria-label="Clear all filters"'
            ).tooltip("Clear all filters")  # fmt: skip
        with ui.row().classes("w-full items-end gap-3 px-3 no-wrap"):
            self.steps = ui.element("div").classes("fk-steps").mark("steps")
            self.chips = ui.row().classes("gap-1 items-center")
        tab.watch_view(self.refresh)
        self.refresh()

    def _field(self, name: str, label: str, words: Callable[[], list[str]]) -> ui.input:
        field = (
            ui.input(placeholder=label, value=getattr(self.tab.view, name)).classes("grow fk-mono").mark(name)
        )
        field.props(
            "dense outlined clearable debounce=0 spellcheck=false autocomplete=off "
            f'aria-label="{label}" for="fk-{name}"'
        )
        with field:
            menu = ui.menu().props("no-focus no-parent-event fit").classes("fk-mono")

        async def apply(event: Any) -> None:
            menu.close()
            # What stands in the field: the last letters may not have come here yet.
            text = event.args if isinstance(event.args, str) else ""
            await self.tab.show(_changed(self.tab.view, name, text.strip()))

        def offer() -> None:
            text = field.value or ""
            found = completions(text, words())
            menu.clear()
            if not found or text == getattr(self.tab.view, name):
                menu.close()
                return
            with menu:
                for each in found:
                    ui.menu_item(each, on_click=lambda each=each: field.set_value(each), auto_close=False)
            menu.open()

        field.on("keydown.enter", apply, js_handler="(e) => emit(e.target.value)")
        field.on("clear", apply, js_handler="() => emit('')")
        if name != "keyword":
            field.on_value_change(offer)
        return field

    def _sql_words(self) -> list[str]:
        table = self.tab.library.table
        return [*(table.frame.columns if table is not None else []), *_SQL]

    def refresh(self) -> None:
        """Show the view as it is."""
        view = self.tab.view
        for field, name in ((self.bpf, "filter"), (self.sql, "where"), (self.keyword, "keyword")):
            if (field.value or "") != getattr(view, name):
                field.set_value(getattr(view, name))
        self.undo.set_enabled(bool(self.tab.past))
        self.redo.set_enabled(bool(self.tab.future))
        self.chips.clear()
        with self.chips:
            if view.hidden:
                ui.label("shown:" if view.invert else "hidden:").classes("text-caption")
                for term in view.hidden[:12]:
                    words = str(term) if len(str(term)) < 40 else f"{str(term)[:38]} …"
                    chip = ui.chip(words, removable=True).props("dense outline").classes("fk-mono")
                    chip.on("remove", lambda term=term: self._without(term))
                if len(view.hidden) > 12:
                    ui.label(f"and {len(view.hidden) - 12} more").classes("text-caption")
                ui.button("Invert hiding", icon="swap_horiz", on_click=self.invert).props(
                    "flat dense no-caps size=sm"
                ).tooltip("I")
            if view.since_ns is not None or view.until_ns is not None:
                chip = ui.chip("time range", removable=True, icon="schedule").props("dense outline")
                chip.on("remove", lambda: self.tab.show(replace(self.tab.view, since_ns=None, until_ns=None)))

    async def _without(self, term: Any) -> None:
        view = self.tab.view
        hidden = tuple(each for each in view.hidden if each != term)
        await self.tab.show(replace(view, hidden=hidden, invert=view.invert and bool(hidden)))

    async def invert(self) -> None:
        """Show what is hidden, and hide the rest."""
        if self.tab.view.hidden:
            await self.tab.show(replace(self.tab.view, invert=not self.tab.view.invert))

    def left(self, steps: list[dict[str, Any]]) -> None:
        """A bar for each filter: how many flows and bytes it leaves."""
        self.steps.clear()
        if not steps:
            return
        total = max(int(steps[0].get("rows", 0)), 1)
        with self.steps:
            for step in steps:
                rows, size = int(step.get("rows", 0)), int(step.get("bytes", 0))
                with ui.element("div").classes("fk-step"):
                    ui.label(f"{_NAMES.get(str(step.get('name')), '')}: {rows:,}")
                    with ui.element("div").classes("fk-track"):
                        ui.element("div").classes("fk-left").style(f"width: {100 * rows / total:.2f}%")
                    ui.tooltip(f"{rows:,} flows, {size:,} bytes")
