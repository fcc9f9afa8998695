"""Which protocols there are, by bytes and by flows."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from ..api import rows
from ..view import Term
from .charts import Ink, Lazy, draw
from .tab import Tab, arguments

_MOST_PROTOCOLS = 40
_UNKNOWN = " (not identified)"


class Protocols(Lazy):
    """A bar and a row for each protocol."""

    name = "Protocols"

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        super().__init__(tab)
        with ui.row().classes("fk-fill no-wrap p-3 gap-4"):
            with ui.column().classes("h-full grow gap-1").style("min-width: 0"):
                ui.label(
                    "Share of the bytes and of the flows that the filters leave. "
                    "Click a bar or a row to see its flows alone."
                ).classes("fk-hint")
                self.chart = ui.echart({"series": []}, on_point_click=self.picked).classes("w-full grow")
                self.chart.props(
                    'role=img aria-label="Share of each protocol; the table beside it says the same"'
                )
            self.table = ui.table(
                columns=[
                    {"name": "protocol", "label": "Protocol", "field": "protocol", "align": "left",
                     "sortable": True},
                    _column("flows", "Flows", "count"),
                    _column("share_flows", "% flows", "percent"),
                    _column("bytes", "Bytes", "bytes"),
                    _column("share_bytes", "% bytes", "percent"),
                ],
                rows=[], row_key="protocol", pagination=0,
            ).props("dense flat virtual-scroll hide-pagination").mark("protocols")  # fmt: skip
            self.table.classes("h-full")
            self.table.style("width: 440px; flex: none")
            self.table.on(
                "rowClick", self.row_picked, js_handler="(e, row) => emit({protocol: row.protocol})"
            )

    async def make(self) -> None:
        """Draw the shares of this view."""
        table = self.tab.library.table
        assert table is not None
        view = self.tab.view
        shares = await asyncio.to_thread(lambda: rows.shares(table, table.choose(view)))
        all_bytes = sum(row["bytes"] for row in shares) or 1
        all_flows = sum(row["flows"] for row in shares) or 1
        self.table.rows = [
            {
                **row,
                "share_flows": 100 * row["flows"] / all_flows,
                "share_bytes": 100 * row["bytes"] / all_bytes,
            }
            for row in shares
        ]
        self.table.update()
        ink = Ink(self.tab.dark)
        bars = (("flows", "share_flows", ink.second), ("bytes", "share_bytes", ink.first))
        top = self.table.rows[:_MOST_PROTOCOLS][::-1]
        percent = {":formatter": "v => v + ' %'"}
        draw(self.chart, ink.chart(
            grid={"left": 150, "right": 30, "top": 30, "bottom": 30},
            xAxis=ink.axis(type="value", axisLabel=percent),
            yAxis=ink.axis(type="category", data=[row["protocol"] for row in top],
                           axisLabel={"width": 140, "overflow": "truncate", "interval": 0}),
            tooltip={"trigger": "axis", ":valueFormatter": "v => fk.format(v, 'percent')"},
            series=[
                {"type": "bar", "name": name, "data": [row[field] for row in top], "barMaxWidth": 14,
                 "itemStyle": {"color": color}} for name, field, color in bars
            ],
        ))  # fmt: skip

    def empty(self) -> None:
        """No protocols."""
        self.table.rows = []
        self.table.update()
        draw(self.chart, {"series": []})

    async def picked(self, event: Any) -> None:
        """A bar is clicked: its flows alone."""
        await self._only(str(event.name))

    async def row_picked(self, event: Any) -> None:
        """A row is clicked."""
        await self._only(str(arguments(event).get("protocol")))

    async def _only(self, name: str) -> None:
        if name.endswith(_UNKNOWN):
            # There is no term for what is not known: SQL says it.
            proto = name.removesuffix(_UNKNOWN).replace("'", "''")
            await self.tab.narrow(f"service IS NULL AND proto = '{proto}'")
        else:
            await self.tab.only(Term("service", name))


def _column(name: str, label: str, unit: str) -> dict[str, Any]:
    return {
        "name": name, "label": label, "field": name, "sortable": True, "align": "right", "sortOrder": "da",
        ":format": f"v => fk.format(v, '{unit}')", "classes": "fk-num",
    }  # fmt: skip
