"""Bytes over time; a range of it becomes a filter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from nicegui import ui

from ...errors import FlowkeepError
from ...units import parse_time, time
from ..api import rows
from .charts import Ink, Lazy, draw
from .tab import Tab, arguments

_BINS = 240


class Timeline(Lazy):
    """Pull the mouse across the picture, or write the times."""

    name = "Timeline"

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        super().__init__(tab)
        self.start = self.step = 0
        with ui.column().classes("fk-fill p-3 gap-1"):
            with ui.row().classes("w-full items-center gap-2 no-wrap"):
                ui.label("Drag across the picture to keep a range of time, or write it:").classes("fk-hint")
                self.since, self.until = self._field("From"), self._field("To")
                ui.button("Show this range", icon="filter_alt", on_click=self.written).props(
                    "dense no-caps flat no-wrap"
                ).mark("brush")
                ui.button("All of time", on_click=self.whole).props("dense no-caps flat no-wrap")
            self.chart = ui.echart({"series": []}).classes("w-full grow").mark("timeline")
            self.chart.props('role=img aria-label="Bytes over time; the fields above choose a range"')
            self.chart.on("chart:brushEnd", self.brushed, ["areas"])
            ui.label("The bytes of a flow are spread evenly over its duration.").classes("fk-hint")

    def _field(self, name: str) -> ui.input:
        field = ui.input(placeholder=f"{name}, UTC").classes("fk-mono").style("width: 280px")
        field.props(f'dense outlined aria-label="{name}: a time, UTC"').on("keydown.enter", self.written)
        return field

    async def make(self) -> None:
        """Draw the view, whatever range of time it has."""
        table = self.tab.library.table
        assert table is not None
        view = replace(self.tab.view, since_ns=None, until_ns=None)
        made = await asyncio.to_thread(lambda: rows.spread(table, table.choose(view), _BINS))
        self.start, self.step = int(made["start_ns"]), int(made["step_ns"])
        end = self.start + self.step * len(made["bytes"])
        since, until = self.tab.view.since_ns, self.tab.view.until_ns
        self.since.set_value(time(self.start if since is None else since, digits=9))
        self.until.set_value(time(end if until is None else until, digits=9))
        chosen: list[Any] = []
        if since is not None or until is not None:
            chosen = [[{"xAxis": (self.start if since is None else since) / 1e6},
                       {"xAxis": (end if until is None else until) / 1e6}]]  # fmt: skip
        ink = Ink(self.tab.dark)
        begin = [(self.start + i * self.step) / 1e6 for i in range(len(made["bytes"]))]
        draw(self.chart, ink.chart(
            useUTC=self.tab.utc, grid={"left": 80, "right": 80, "top": 40, "bottom": 76},
            tooltip={"trigger": "axis"},
            brush={"xAxisIndex": 0, "brushLink": "none", "toolbox": [], "outOfBrush": {"colorAlpha": 1}},
            toolbox={"show": False},
            xAxis=ink.axis(type="time", axisLabel={"hideOverlap": True}),
            yAxis=[ink.axis(type="value", name="bytes", axisLabel={":formatter": "v => fk.bytes(v)"}),
                   ink.axis(type="value", name="flows that begin", minInterval=1, splitLine={"show": False},
                            axisLabel={":formatter": "v => fk.count(v)"})],
            dataZoom=[{"type": "slider", "filterMode": "none", "showDetail": False},
                      {"type": "inside", "filterMode": "none", "moveOnMouseMove": False}],
            series=[
                {"name": "bytes", "type": "bar", "barWidth": "95%", "itemStyle": {"color": ink.first},
                 "tooltip": {":valueFormatter": "v => fk.bytes(v)"},
                 "markArea": {"silent": True, "data": chosen,
                              "itemStyle": {"color": ink.second, "opacity": 0.2}},
                 "data": [list(pair) for pair in zip(begin, made["bytes"], strict=True)]},
                {"name": "flows that begin", "type": "line", "step": "end", "yAxisIndex": 1,
                 "symbol": "none", "itemStyle": {"color": ink.second}, "lineStyle": {"width": 1.5},
                 "tooltip": {":valueFormatter": "v => fk.count(v)"},
                 "data": [list(pair) for pair in zip(begin, made["flows"], strict=True)]},
            ],
        ))  # fmt: skip
        self.tab.run(f"fk.brush({self.chart.id})")

    def empty(self) -> None:
        """No time passes."""
        draw(self.chart, {"series": []})

    async def brushed(self, event: Any) -> None:
        """The mouse was pulled across the picture."""
        areas = arguments(event).get("areas")
        try:
            since, until = (int(float(edge) * 1e6) for edge in areas[0]["coordRange"])  # type: ignore[index]
        except (TypeError, ValueError, LookupError, OverflowError):
            return
        await self.tab.show(replace(self.tab.view, since_ns=min(since, until), until_ns=max(since, until)))

    async def written(self) -> None:
        """What the fields say becomes a filter."""
        try:
            since, until = (
                parse_time(field.value) if field.value else None for field in (self.since, self.until)
            )
        except FlowkeepError as error:
            self.tab.complain(error)
            return
        await self.tab.show(replace(self.tab.view, since_ns=since, until_ns=until))

    async def whole(self) -> None:
        """Without a range of time."""
        await self.tab.show(replace(self.tab.view, since_ns=None, until_ns=None))
