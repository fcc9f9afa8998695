"""What a cutoff would keep, and trimming from there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nicegui import ui

from ...errors import FlowkeepError
from ...units import cutoff as as_cutoff
from ...units import size
from ..api import trim
from .charts import Ink, Lazy, draw
from .tab import Tab


class WhatIf(Lazy):
    """The curve of cutoffs against kept bytes and flows."""

    name = "Trim"

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        super().__init__(tab)
        self.curve: list[dict[str, Any]] = []
        self.whole: dict[str, Any] = {}
        self.version = -1
        with ui.column().classes("fk-fill p-3 gap-2"):
            self.said = (
                ui.label("No capture is open: add one on the page Files.").classes("text-h6").mark("what-if")
            )
            self.said.props("aria-live=polite")
            with ui.element("div").classes("fk-kept").props("aria-hidden=true") as self.bar:
                self.part = ui.element("div").classes("fk-kept-part")
            with ui.row().classes("w-full items-center gap-4 no-wrap"):
                ui.label("Cutoff").classes("fk-hint")
                self.slider = (
                    ui.slider(min=0, max=1, value=0, on_change=self.moved)
                    .props('snap markers aria-label="Cutoff"')
                    .classes("grow")
                )
                self.chosen = ui.label("").classes("fk-mono").style("width: 70px; text-align: right")
                ui.button("Trim…", icon="content_cut", on_click=self.ask).props(
                    "no-caps unelevated no-wrap"
                ).classes("fk-solid").mark("trim")
            self.chart = ui.echart({"series": []}, on_point_click=self.clicked).classes("w-full grow")
            self.chart.props(
                'role=img aria-label="Bytes and flows that each cutoff keeps; the slider says the same"'
            )
            ui.label("A filter does not change this: the captures are trimmed as they are.").classes(
                "fk-hint"
            )

    def changed(self) -> None:
        """A filter does not change what a cutoff does to the captures; other captures do."""
        if self.tab.library.version != self.version:
            super().changed()

    def empty(self) -> None:
        """Nothing to trim."""
        self.curve = []
        self.said.set_text("No capture is open: add one on the page Files.")
        draw(self.chart, {"series": []})

    async def make(self) -> None:
        """Read the captures once more, for every cutoff at the same time."""
        self.version = self.tab.library.version
        fresh = not self.curve
        self.said.set_text("reading the captures …")
        self.whole = await asyncio.to_thread(lambda: trim.curve_of(self.tab.library))
        every: list[dict[str, Any]] = self.whole["cutoffs"]
        # Behind the first cutoff that keeps all, nothing changes.
        last = next((n for n, one in enumerate(every) if not one["flows_cut"]), len(every) - 1)
        self.curve = every[: last + 1]
        if not self.curve:
            return
        self.slider.props(f"max={len(self.curve) - 1}")
        if fresh:
            self.slider.set_value(
                min(range(len(self.curve)), key=lambda i: abs(self.curve[i]["cutoff"] - 100_000))
            )
        self.moved()

    def _draw(self, cutoff: int) -> None:
        kept = [[one["cutoff"], one["kept_bytes"]] for one in self.curve]
        whole = [[one["cutoff"], self.whole["flows"] - one["flows_cut"]] for one in self.curve]
        ink = Ink(self.tab.dark)
        mark = {"silent": True, "symbol": "none", "lineStyle": {"color": ink.text, "type": "dashed"},
                "label": {"show": False}, "data": [{"xAxis": cutoff}]}  # fmt: skip
        draw(self.chart, ink.chart(
            grid={"left": 90, "right": 90, "top": 40, "bottom": 40}, tooltip={"trigger": "axis"},
            xAxis=ink.axis(type="log", name="cutoff", nameLocation="middle", nameGap=26,
                           min=self.curve[0]["cutoff"], max=self.curve[-1]["cutoff"],
                           axisLabel={":formatter": "v => fk.bytes(v)"}),
            yAxis=[
                ink.axis(type="value", name="bytes kept", min=0,
                         axisLabel={":formatter": "v => fk.bytes(v)"}),
                ink.axis(type="value", name="flows whole", min=0, splitLine={"show": False},
                         axisLabel={":formatter": "v => fk.count(v)"}),
            ],
            series=[
                {"name": "bytes kept", "type": "line", "data": kept, "color": ink.first, "markLine": mark,
                 "areaStyle": {"opacity": 0.12}, "tooltip": {":valueFormatter": "v => fk.bytes(v)"}},
                {"name": "flows whole", "type": "line", "data": whole, "yAxisIndex": 1, "color": ink.second,
                 "tooltip": {":valueFormatter": "v => fk.count(v)"}},
            ],
        ))  # fmt: skip

    def moved(self) -> None:
        """Say what this cutoff would do."""
        if not self.curve:
            return
        one = self.curve[min(int(self.slider.value or 0), len(self.curve) - 1)]
        self.chosen.set_text(as_cutoff(one["cutoff"]))
        share = 100 * one["kept_bytes"] / max(self.whole["bytes"], 1)
        self.said.set_text(
            f"{as_cutoff(one['cutoff'])} would turn {size(self.whole['bytes'])} into "
            f"{size(one['kept_bytes'])} "
            f"({100 - share:.1f} % less) and leave {self.whole['flows'] - one['flows_cut']:,} of "
            f"{self.whole['flows']:,} flows whole"
        )
        self.part.style(f"width: {share:.2f}%")
        self._draw(one["cutoff"])

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
