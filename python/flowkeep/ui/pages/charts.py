"""Pages with pictures: protocols, time, what a cutoff would keep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nicegui import ui

from ...errors import FlowkeepError
from ...units import cutoff as as_cutoff
from ...units import size
from ..api import rows, trim
from ..view import Term
from .tab import Tab

_MOST_PROTOCOLS = 40
_BINS = 240


class _Lazy:
    """A page that is made when it is looked at, and again when the view has changed."""

    name = ""

    def __init__(self, tab: Tab) -> None:
        self.tab, self.stale = tab, True
        tab.watch_view(self.changed)

    def changed(self) -> None:
        """The view is another one."""
        self.stale = True
        if self.tab.page == self.name:
            with self.tab.client:
                ui.timer(0, self.look, once=True)

    async def look(self) -> None:
        """Make it, if it is not of this view."""
        table = self.tab.library.table
        if not self.stale or table is None:
            return
        self.stale = False
        try:
            await self.make()
        except (FlowkeepError, OSError) as error:
            self.tab.complain(error)

    async def make(self) -> None:
        """Draw."""
        raise NotImplementedError


class Protocols(_Lazy):
    """Which protocols, by bytes and flows."""

    name = "Protocols"

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        super().__init__(tab)
        with ui.row().classes("fk-fill no-wrap p-2 gap-2"):
            self.chart = ui.echart(_bars([], [], "bytes"), on_point_click=self.picked).classes("fk-fill grow")
            self.table = ui.table(
                columns=[
                    {"name": "protocol", "label": "Protocol", "field": "protocol", "align": "left",
                     "sortable": True},
                    {"name": "flows", "label": "Flows", "field": "flows", "sortable": True},
                    {"name": "bytes", "label": "Bytes", "field": "bytes", "sortable": True},
                    {"name": "share", "label": "Share", "field": "share"},
                ],
                rows=[], row_key="protocol", pagination=0,
            ).props("dense flat virtual-scroll").classes("w-96 h-full").mark("protocols")  # fmt: skip

    async def make(self) -> None:
        """Draw the shares of this view."""
        table = self.tab.library.table
        assert table is not None
        view = self.tab.view
        shares = await asyncio.to_thread(lambda: rows.shares(table, table.choose(view)))
        total = sum(row["bytes"] for row in shares) or 1
        self.table.rows = [
            {**row, "flows": f"{row['flows']:,}", "bytes": size(row["bytes"]),
             "share": f"{100 * row['bytes'] / total:.1f} %"} for row in shares
        ]  # fmt: skip
        self.table.update()
        top = shares[:_MOST_PROTOCOLS][::-1]
        options = _bars([row["protocol"] for row in top], [row["bytes"] for row in top], "bytes")
        self.chart.options.clear()
        self.chart.options.update(options)
        self.chart.update()

    async def picked(self, event: Any) -> None:
        """A bar is clicked: its flows alone."""
        name = str(event.name)
        if "(not identified)" not in name:
            await self.tab.only(Term("service", name))


def _bars(names: list[str], values: list[int], unit: str) -> dict[str, Any]:
    return {
        "animation": False, "grid": {"left": 150, "right": 40, "top": 10, "bottom": 30},
        "xAxis": {"type": "value", "axisLabel": {":formatter": "v => fk.bytes(v)"}},
        "yAxis": {"type": "category", "data": names, "axisLabel": {"width": 140, "overflow": "truncate"}},
        "tooltip": {":valueFormatter": f"v => fk.{unit}(v)"},
        "series": [{"type": "bar", "data": values, "itemStyle": {"color": "#7b3fb5"}}],
    }  # fmt: skip


class Timeline(_Lazy):
    """Bytes over time; a range of it becomes a filter."""

    name = "Timeline"

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        super().__init__(tab)
        self.start = self.step = 0
        self.steps = 0
        with ui.column().classes("fk-fill p-2 gap-1"):
            with ui.row().classes("items-center gap-3"):
                ui.label("Bytes over time. The bytes of a flow are spread evenly over its duration.").classes(
                    "text-caption"
                )
                ui.button("Show the flows of this range", icon="filter_alt", on_click=self.brushed).props(
                    "dense no-caps flat"
                ).mark("brush")
                ui.button("All of time", on_click=self.whole).props("dense no-caps flat")
            self.chart = ui.echart({"series": []}).classes("fk-fill grow").mark("timeline")

    async def make(self) -> None:
        """Draw the view, whatever range of time it has."""
        table = self.tab.library.table
        assert table is not None
        view = replace(self.tab.view, since_ns=None, until_ns=None)
        made = await asyncio.to_thread(lambda: rows.spread(table, table.choose(view), _BINS))
        self.start, self.step, self.steps = int(made["start_ns"]), int(made["step_ns"]), len(made["bytes"])
        self.chart.options.clear()
        begin = [(self.start + i * self.step) // 1_000_000 for i in range(self.steps)]
        zoom = {"start": 0.0, "end": 100.0}
        span = self.step * self.steps
        if span and self.tab.view.since_ns is not None:
            zoom["start"] = max(0.0, 100 * (self.tab.view.since_ns - self.start) / span)
        if span and self.tab.view.until_ns is not None:
            zoom["end"] = min(100.0, 100 * (self.tab.view.until_ns - self.start) / span)
        self.chart.options.update({
            "animation": False, "useUTC": True, "grid": {"left": 80, "right": 80, "top": 20, "bottom": 80},
            "tooltip": {"trigger": "axis"}, "legend": {"top": 0},
            "xAxis": {"type": "time"},
            "yAxis": [{"type": "value", "axisLabel": {":formatter": "v => fk.bytes(v)"}},
                      {"type": "value", "axisLabel": {":formatter": "v => fk.count(v)"},
                       "splitLine": {"show": False}}],
            "dataZoom": [{"type": "slider", "filterMode": "none", **zoom},
                         {"type": "inside", "filterMode": "none"}],
            "series": [
                {"name": "bytes", "type": "bar", "barWidth": "95%", "itemStyle": {"color": "#7b3fb5"},
                 "data": [list(pair) for pair in zip(begin, made["bytes"], strict=True)]},
                {"name": "flows that begin", "type": "line", "yAxisIndex": 1, "symbol": "none",
                 "data": [list(pair) for pair in zip(begin, made["flows"], strict=True)]},
            ],
        })  # fmt: skip
        self.chart.update()

    async def brushed(self) -> None:
        """The range that is looked at becomes a filter."""
        found = await self.chart.run_chart_method("getOption", timeout=5)
        zoom = (found or {}).get("dataZoom") or [{}]
        begin, end = float(zoom[0].get("start", 0)), float(zoom[0].get("end", 100))
        span = self.step * self.steps
        since, until = self.start + int(span * begin / 100), self.start + int(span * end / 100)
        await self.tab.show(replace(self.tab.view, since_ns=since, until_ns=until))

    async def whole(self) -> None:
        """Without a range of time."""
        await self.tab.show(replace(self.tab.view, since_ns=None, until_ns=None))
        self.stale = True
        await self.look()


class WhatIf(_Lazy):
    """The curve of cutoffs, and trimming from there."""

    name = "Trim"

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        super().__init__(tab)
        self.curve: list[dict[str, Any]] = []
        self.whole: dict[str, Any] = {}
        with ui.column().classes("fk-fill p-3 gap-2"):
            self.said = ui.label("").classes("text-h6").mark("what-if")
            with ui.row().classes("w-full items-center gap-4 no-wrap"):
                ui.label("Cutoff").classes("text-caption")
                self.slider = (
                    ui.slider(min=0, max=1, value=0, on_change=self.moved).props("snap").classes("grow")
                )
                self.chosen = ui.label("").classes("fk-mono").style("width: 80px")
                ui.button("Trim…", icon="content_cut", on_click=self.ask).props("no-caps unelevated").mark(
                    "trim"
                )
            self.chart = ui.echart({"series": []}, on_point_click=self.clicked).classes("fk-fill grow")

    def changed(self) -> None:
        """A filter does not change what a cutoff does to the captures; other captures do."""
        if self.tab.library.version != getattr(self, "version", -1):
            super().changed()

    async def make(self) -> None:
        """Read the captures once more, for every cutoff at the same time."""
        self.version = self.tab.library.version
        self.said.set_text("reading the captures …")
        self.whole = await asyncio.to_thread(lambda: trim.curve_of(self.tab.library))
        self.curve = self.whole["cutoffs"]
        if not self.curve:
            return
        kept = [[one["cutoff"], one["kept_bytes"]] for one in self.curve]
        whole = [[one["cutoff"], self.whole["flows"] - one["flows_cut"]] for one in self.curve]
        self.chart.options.clear()
        self.chart.options.update({
            "animation": False, "legend": {"top": 0},
            "grid": {"left": 90, "right": 90, "top": 40, "bottom": 50},
            "tooltip": {"trigger": "axis"},
            "xAxis": {"type": "log", "name": "cutoff", "axisLabel": {":formatter": "v => fk.bytes(v)"}},
            "yAxis": [
                {"type": "value", "name": "bytes kept", "min": 0,
                 "axisLabel": {":formatter": "v => fk.bytes(v)"}},
                {"type": "value", "name": "flows whole", "min": 0, "splitLine": {"show": False},
                 "axisLabel": {":formatter": "v => fk.count(v)"}},
            ],
            "series": [
                {"name": "bytes kept", "type": "line", "data": kept, "color": "#7b3fb5",
                 "tooltip": {":valueFormatter": "v => fk.bytes(v)"}},
                {"name": "flows whole", "type": "line", "data": whole, "yAxisIndex": 1, "color": "#1d8a7a",
                 "tooltip": {":valueFormatter": "v => fk.count(v)"}},
            ],
        })  # fmt: skip
        self.chart.update()
        self.slider.props(f"max={len(self.curve) - 1}")
        near = min(range(len(self.curve)), key=lambda i: abs(self.curve[i]["cutoff"] - 100_000))
        self.slider.set_value(near)
        self.moved()

    def moved(self) -> None:
        """Say what this cutoff would do."""
        if not self.curve:
            return
        one = self.curve[min(int(self.slider.value or 0), len(self.curve) - 1)]
        self.chosen.set_text(as_cutoff(one["cutoff"]))
        saved = 100 * (1 - one["kept_bytes"] / max(self.whole["bytes"], 1))
        self.said.set_text(
            f"{as_cutoff(one['cutoff'])} would turn {size(self.whole['bytes'])} into "
            f"{size(one['kept_bytes'])} "
            f"({saved:.1f} % less) and leave {self.whole['flows'] - one['flows_cut']:,} of "
            f"{self.whole['flows']:,} flows whole"
        )

    def clicked(self, event: Any) -> None:
        """A point of the curve."""
        self.slider.set_value(int(event.data_index))

    def ask(self) -> None:
        """Where to, and yes or no."""
        if not self.curve:
            return
        root = self.tab.library.roots[0] if self.tab.library.roots else None
        with ui.dialog() as dialog, ui.card().classes("w-96"):
            ui.label("Trim into a folder").classes("text-h6")
            ui.label(
                "The captures that are open stay as they are. A ledger beside each result says what was cut."
            )
            amount = ui.input("Cutoff", value=self.chosen.text).classes("w-full").mark("cutoff")
            folder = (
                ui.input("Folder", value=f"{root}/trimmed" if root else "")
                .classes("w-full fk-mono")
                .mark("folder")
            )
            with ui.row().classes("w-full justify-end"):
                ui.button("Cancel", on_click=dialog.close).props("flat no-caps")
                ui.button(
                    "Trim", on_click=lambda: self._trim(dialog.close, amount.value, folder.value)
                ).props("no-caps unelevated").mark("trim-now")
        dialog.open()

    async def _trim(self, close: Callable[[], object], amount: str, folder: str) -> None:
        close()
        self.tab.say("trimming …")
        try:
            report = await asyncio.to_thread(
                lambda: trim.cut_into(self.tab.library, amount, folder, ledger=True)
            )
        except (FlowkeepError, OSError) as error:
            self.tab.complain(str(error))
            return
        self.tab.say(f"{size(report.total('size'))} became {size(report.total('out_bytes'))} in {folder}")
