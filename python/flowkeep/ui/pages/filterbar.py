"""The bar of filters: three languages, what is hidden, and how much is left behind each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nicegui import ui

from ...units import size
from ..view import View
from .tab import Tab

_NAMES = {
    "all": "all flows",
    "hidden": "not hidden",
    "time": "in time",
    "filter": "filter",
    "where": "SQL",
    "keyword": "keyword",
}
_MOST_CHIPS = 12


def _changed(view: View, name: str, text: str) -> View:
    if name == "filter":
        return replace(view, filter=text)
    return replace(view, where=text) if name == "where" else replace(view, keyword=text)


class FilterBar:
    """Three fields and what follows from them."""

    def __init__(self, tab: Tab) -> None:
        """Draw it."""
        self.tab = tab
        self.wrong: set[ui.input] = set()
        with ui.column().classes("w-full gap-0 fk-bar") as self.whole:
            with ui.row().classes("w-full items-center gap-2 px-2 pt-2 no-wrap"):
                self.bpf = self._field("filter", "Filter as tcpdump: net 10.0.0.0/8 and not port 53", "B")
                self.sql = self._field("where", "SQL: bytes > 1MB AND service = 'tls'", "S")
                self.keyword = self._field("keyword", "Keyword or /regex/", "/")
                self.undo = _button("undo", "Undo (U)", tab.back)
                self.redo = _button("redo", "Redo (Ctrl+Shift+Z)", tab.forth)
                self.clear = _button("filter_alt_off", "Clear all filters", lambda: tab.show(View()))
            with ui.row().classes("w-full items-center gap-4 px-3 no-wrap fk-summary"):
                self.shown = ui.label("").classes("fk-shown fk-num").props("role=status aria-live=polite")
                self.steps = ui.element("div").classes("fk-steps").mark("steps")
                self.chips = ui.row().classes("gap-1 items-center fk-chips")
                ui.space()
                self.tools = ui.row().classes("gap-1 items-center no-wrap")
        tab.watch_view(self.refresh)
        self.refresh()

    def _field(self, name: str, label: str, key: str) -> ui.input:
        field = (
            ui.input(placeholder=label, value=getattr(self.tab.view, name)).classes("grow fk-mono").mark(name)
        )
        field.props(
            "dense outlined clearable debounce=0 spellcheck=false autocomplete=off no-error-icon "
            "hide-bottom-space "
            f'aria-label="{label}" for="fk-{name}"'
        )
        with field:
            ui.tooltip(f"{label}. Return applies it ({key})").props("delay=900")

        async def apply(event: Any) -> None:
            # What stands in the field: the last letters may not have come here yet.
            text = event.args if isinstance(event.args, str) else ""
            wrong = not await self.tab.show(_changed(self.tab.view, name, text.strip()))
            self._mark(field, wrong)

        field.on("keydown.enter", apply, js_handler="(e) => emit(e.target.value)")
        field.on_value_change(lambda: self._mark(field, False))
        field.on("clear", apply, js_handler="() => emit('')")
        return field

    def _mark(self, field: ui.input, wrong: bool) -> None:
        if (field in self.wrong) != wrong:
            (self.wrong.add if wrong else self.wrong.discard)(field)
            field.props["error"] = wrong
            field.update()
            self.tab.run(f"fk.invalid('{field.props['for']}', {str(wrong).lower()})")

    def visible(self, wanted: bool) -> None:
        """Pages that do not look at flows have no filters."""
        self.whole.set_visibility(wanted)

    def refresh(self) -> None:
        """Show the view as it is."""
        view = self.tab.view
        for field, name in ((self.bpf, "filter"), (self.sql, "where"), (self.keyword, "keyword")):
            self._mark(field, False)
            if (field.value or "") != getattr(view, name):
                field.set_value(getattr(view, name))
        self.undo.set_enabled(bool(self.tab.past))
        self.redo.set_enabled(bool(self.tab.future))
        self.clear.set_enabled(view != View())
        if self.tab.library.table is None:
            self.shown.set_text("no flows")
            self.steps.clear()
        self.chips.clear()
        with self.chips:
            if view.hidden:
                ui.label("shown alone:" if view.invert else "hidden:").classes("fk-hint")
                for term in view.hidden[:_MOST_CHIPS]:
                    words = str(term) if len(str(term)) < 40 else f"{str(term)[:38]} …"
                    self._chip(words, lambda term=term: self._without(term))
                if len(view.hidden) > _MOST_CHIPS:
                    ui.label(f"and {len(view.hidden) - _MOST_CHIPS} more").classes("fk-hint")
                ui.button("Invert hiding", icon="swap_horiz", on_click=self.invert).props(
                    "flat dense no-caps no-wrap size=sm"
                ).tooltip("I")
            if view.since_ns is not None or view.until_ns is not None:
                self._chip(
                    "time range", lambda: self.tab.show(replace(self.tab.view, since_ns=None, until_ns=None))
                )

    def _chip(self, words: str, gone: Any) -> None:
        chip = ui.chip(words, removable=True).props("dense outline square").classes("fk-mono")
        chip.props["remove-aria-label"] = f"Do not hide {words}"
        chip.on("remove", gone)

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
        shown, amount = int(steps[-1]["rows"]), float(steps[-1]["bytes"])
        self.shown.set_text(f"{shown:,} of {int(steps[0]['rows']):,} flows, {size(amount)}")
        if len(steps) < 2:
            return
        with self.steps:
            for step in steps:
                rows, amount = int(step.get("rows", 0)), int(step.get("bytes", 0))
                with ui.element("div").classes("fk-step"):
                    ui.label(f"{_NAMES.get(str(step.get('name')), '')}: {rows:,}")
                    with ui.element("div").classes("fk-track"):
                        ui.element("div").classes("fk-left").style(f"width: {100 * rows / total:.2f}%")
                    ui.tooltip(f"{rows:,} flows, {amount:,} bytes")


def _button(icon: str, words: str, do: Any) -> ui.button:
    return ui.button(icon=icon, on_click=do).props(f'flat dense aria-label="{words}"').tooltip(words)
